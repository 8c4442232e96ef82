/**
 * Whether a client may speak for the domain that it names, by SPF (RFC 7208): anybody can name a friend, so an entry of who is
 * welcome counts for those alone that are proven to come from there.
 */
import { parseIpv4, parseIpv6 } from "../dns/ip_address.ts";
import type { Resolver } from "../dns/resolver.ts";
import { checkSpf } from "../mailauth/spf.ts";
import type { CheckFacts } from "./check.ts";

/** A look-up of names takes no longer, all of them together. */
const MAX_MS = 3_000;

/** `sender`: the reverse path, or "" where the EHLO name is in question. False where it is not known in time. Never rejects. */
export function provenBySpf(
  resolver: Resolver,
  { receiver, now }: { readonly receiver: string; readonly now: () => number },
) {
  return ({ client }: CheckFacts, domain: string, sender: string): boolean | Promise<boolean> => {
    const { address, heloName: helo } = client;
    if (parseIpv4(address) === null && parseIpv6(address) === null) return false; // it came over a local socket
    const outcome = checkSpf(resolver, { address, domain, sender, helo, receiver, now: now() });
    return outcome instanceof Promise
      ? inTime(outcome.then(({ result }) => result === "pass"))
      : outcome.result === "pass";
  };
}

async function inTime(answer: Promise<boolean>): Promise<boolean> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<boolean>((resolve) => timer = setTimeout(() => resolve(false), MAX_MS));
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * VRFY and EXPN (RFC 5321 3.5): who an address is, and who is behind an alias, for those who may ask.
 *
 * By default nobody may: 252 and 502, as strangers would harvest addresses (RFC 5321 7.3). Where it is allowed, answers are
 * what RCPT would do. Limit: {@linkcode MAX_SHOWN} addresses of an alias. Pure but for the cached directory.
 */
import { CANNOT_VRFY, NOT_IMPLEMENTED, type Reply, reply } from "../protocols/smtp/reply.ts";
import { normalizeAddress } from "../storage/address_form.ts";
import type { Directory } from "../storage/directory_view.ts";
import { UNKNOWN_RECIPIENT } from "./policy.ts";
import type { ClientFacts } from "./reception.ts";
import type { RecipientResolver } from "./recipients.ts";

/** Who gets an answer. */
export type Askers = "nobody" | "logins" | "everybody";

export interface LookupPolicy {
  readonly vrfy: Askers;
  readonly expn: Askers;
}

const MAX_SHOWN = 100;
const NO_LIST = reply(550, "5.1.1", "No such list here");

export function lookupReply(
  client: ClientFacts,
  { verb, text }: { readonly verb: "VRFY" | "EXPN"; readonly text: string },
  facts: {
    readonly directory: Directory;
    readonly resolver: RecipientResolver;
    readonly policy: LookupPolicy;
  },
): Reply {
  const askers = verb === "VRFY" ? facts.policy.vrfy : facts.policy.expn;
  const allowed = askers === "everybody" || (askers === "logins" && client.account !== null);
  if (!allowed) return verb === "VRFY" ? CANNOT_VRFY : NOT_IMPLEMENTED;
  const address = normalizeAddress(text.replace(/^<(.*)>$/, "$1"));
  if (address === null) return UNKNOWN_RECIPIENT;
  if (verb === "VRFY") {
    const resolution = facts.resolver.resolveAddress(address);
    if (resolution.kind === "refused") return UNKNOWN_RECIPIENT;
    const outside = resolution.targets.some((target) =>
      target.kind === "remote" && target.forwardedBy === ""
    );
    return outside ? CANNOT_VRFY : reply(250, "2.1.5", `<${address}>`);
  }
  const alias = facts.directory.alias(address);
  if (alias === null) return NO_LIST;
  const [first = address, ...more] = alias.targets.slice(0, MAX_SHOWN).map((target) => `<${target}>`);
  return { code: 250, enhanced: "2.1.5", text: first, more };
}

/** EHLO names that no honest server gives: ours, no full name, an address that is not the client's (RFC 5321 4.1.1.1). */
import { canonicalAddress } from "../../dns/ip_address.ts";
import type { Check, ClientView } from "../check.ts";
import { type Action, CONTINUE } from "../verdict.ts";

export function helo(
  { action, hostname, isLocal }: { action: Action; hostname: string; isLocal: (domain: string) => boolean },
): Check {
  return {
    name: "helo",
    stages: ["ehlo"],
    run({ client }) {
      const reason = problemOf(client, { hostname, isLocal });
      if (reason === null) return CONTINUE;
      const text = "EHLO name not accepted";
      const reply = action === "defer"
        ? { code: 450, enhanced: "4.7.1", text }
        : { code: 550, enhanced: "5.7.1", text };
      return { action, reason, reply };
    },
  };
}

function problemOf(
  { heloName, address }: ClientView,
  { hostname, isLocal }: { hostname: string; isLocal: (domain: string) => boolean },
): string | null {
  const name = heloName.toLowerCase().replace(/\.$/, "");
  const literal = /^\[(?:ipv6:)?([^\]]+)\]$/.exec(name)?.[1];
  if (literal !== undefined) {
    const said = canonicalAddress(literal);
    return said !== null && said === canonicalAddress(address)
      ? null
      : `EHLO ${heloName} is not the client's address`;
  }
  if (canonicalAddress(name) !== null) return `EHLO ${heloName} is an address without brackets`;
  if (name === hostname || isLocal(name)) return `EHLO ${heloName} is our own name`;
  if (!name.includes(".")) return `EHLO ${heloName} is no full name`;
  return /^[a-z0-9]([a-z0-9_-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9_-]*[a-z0-9])?)+$/.test(name)
    ? null
    : `EHLO ${heloName} is no host name`;
}

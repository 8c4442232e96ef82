/** Parts of addresses in tests (RFC 5228 2.7.4, RFC 5233): the whole, either side, user and detail. */
import { type Call, has, type TagSpecs } from "./grammar.ts";
import type { Mailbox } from "./message_view.ts";
import type { Run } from "./run.ts";

export const ADDRESS_PART_TAGS: TagSpecs = {
  all: { group: "part" },
  localpart: { group: "part" },
  domain: { group: "part" },
  user: { group: "part", extension: "subaddress" },
  detail: { group: "part", extension: "subaddress" },
};

/** Null where the address has no such part: it matches nothing then. */
export type AddressPart = (run: Run, mailbox: Mailbox) => string | null;

export function addressPartOf(call: Call): AddressPart {
  if (has(call, "localpart")) return (_, { localPart }) => localPart;
  if (has(call, "domain")) return (_, { domain }) => domain;
  if (has(call, "user")) return (run, mailbox) => split(run, mailbox).user;
  if (has(call, "detail")) return (run, mailbox) => split(run, mailbox).detail;
  return (_, { localPart, domain }) => domain === "" ? localPart : `${localPart}@${domain}`;
}

/** RFC 5233 3.: a local part without separator is all user, and has no detail. */
function split({ host }: Run, { localPart }: Mailbox): { user: string; detail: string | null } {
  for (let i = 0; i < localPart.length; i++) {
    if (host.separators.includes(localPart[i]!)) {
      return { user: localPart.slice(0, i), detail: localPart.slice(i + 1) };
    }
  }
  return { user: localPart, detail: null };
}

/** An address of the envelope; the null path has no parts but itself. */
export function envelopeMailbox(address: string): Mailbox {
  const at = address.lastIndexOf("@");
  return at < 0
    ? { localPart: address, domain: "" }
    : { localPart: address.slice(0, at), domain: address.slice(at + 1) };
}

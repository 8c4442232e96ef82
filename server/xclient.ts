/**
 * XCLIENT, by which a filter or proxy that is trusted says for which client it speaks (a command of Postfix).
 *
 * ADDR, PORT, HELO and PROTO (SMTP or ESMTP, whatever greeting of the filter follows) are taken; `[UNAVAILABLE]` and
 * `[TEMPUNAVAIL]` leave things as they are. LOGIN is not offered: who speaks for a login must log in. Pure.
 */
import { isIP } from "node:net";
import { plainAddress } from "./deno_transport.ts";
import type { PeerFacts } from "./transport.ts";

const ATTRIBUTES: ReadonlySet<string> = new Set(["ADDR", "PORT", "HELO", "PROTO"]);

/** Who is spoken for; null is what was not said. */
export interface NamedClient {
  readonly peer: PeerFacts;
  readonly heloName: string | null;
  /** It greeted with EHLO. */
  readonly esmtp: boolean | null;
}

/** Null when an attribute is unknown or its value makes no sense. */
export function clientOf(
  attributes: ReadonlyMap<string, string>,
  peer: PeerFacts,
): NamedClient | null {
  let { address, port } = peer;
  let heloName: string | null = null;
  let esmtp: boolean | null = null;
  for (const [name, value] of attributes) {
    if (!ATTRIBUTES.has(name)) return null;
    if (/^\[(?:TEMPUNAVAIL|UNAVAILABLE)\]$/i.test(value)) continue;
    if (name === "ADDR") {
      address = plainAddress(value.replace(/^IPV6:/i, "").toLowerCase());
      if (isIP(address) === 0) return null;
    } else if (name === "PORT") {
      port = Number(value);
      if (!/^\d{1,5}$/.test(value) || port > 65_535) return null;
    } else if (name === "HELO") {
      if (!/^[!-~]{1,255}$/.test(value)) return null;
      heloName = value;
    } else {
      if (!/^E?SMTP$/i.test(value)) return null;
      esmtp = /^E/i.test(value);
    }
  }
  return { peer: { ...peer, address, port }, heloName, esmtp };
}

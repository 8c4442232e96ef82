/**
 * Traps: addresses of ours that nobody writes to. What comes there is unwanted, and so are copies of nearly the same text to others.
 *
 * Whoever learns of such an address could have wanted mail sent to it. Only mail of strangers counts that nothing vouches for: no
 * login, no network or relay of ours, no pass of SPF or DKIM for the domain in From, no list or sealer that is believed; and none
 * that DNS was in the way of.
 */
import { formatPath } from "../../protocols/smtp/path.ts";
import { normalizeAddress } from "../../storage/address_form.ts";
import { isVouchedFor } from "../authentication.ts";
import type { Mail } from "./mail.ts";

export function isTrapped({ mayRelay, findings, envelope, setting }: Mail): boolean {
  const traps = setting.spam?.config.traps ?? [];
  const { authentication } = setting.config;
  if (traps.length === 0 || mayRelay || findings === null || authentication === undefined) return false;
  const { spf, dkim, dmarc, relayed } = findings;
  if (relayed || spf === null || dkim === null || dmarc === null) return false;
  if ([spf, dmarc, ...dkim].some(({ result }) => result === "temperror")) return false;
  if (isVouchedFor(findings, authentication)) return false;
  return envelope.taken().some(({ path }) => traps.includes(normalizeAddress(formatPath(path)) ?? ""));
}

/**
 * The answers that well-known lists in DNS document: any other says nothing of whom was asked about.
 *
 * A bit mask (RFC 5782 2.3) is told by its bits: 127.0.0.6 is 127.0.0.2 and 127.0.0.4. Of a list that is not here only 127.0.0.2 is
 * documented, which every list has (RFC 5782 2.1). Answers are what their operators publish; error answers (127.0.1.255 of
 * dbl.spamhaus.org for an address, 127.0.0.255 of list.dnswl.org for too many questions) are not among them. Pure.
 */

interface Documented {
  readonly codes: ReadonlySet<string>;
  /** The last octet is a bit mask, `codes` are its bits. */
  readonly mask: boolean;
}

const SBL = [2, 3, 9];
const XBL = [4, 5, 6, 7];
const PBL = [10, 11];
const DBL = documented("127.0.1", [2, 4, 5, 6, 102, 103, 104, 105, 106]);
const ONE = documented("127.0.0", [2]);
/** The third octet is the kind of business, the last one the trust. */
const DNSWL: Documented = {
  codes: new Set(
    [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 20].flatMap((business) =>
      [0, 1, 2, 3].map((trust) => `127.0.${business}.${trust}`)
    ),
  ),
  mask: false,
};

const LISTS: ReadonlyMap<string, Documented> = new Map([
  ["b.barracudacentral.org", ONE],
  ["bl.spamcop.net", ONE],
  ["psbl.surriel.com", ONE],
  ["list.dnswl.org", DNSWL],
  ["multi.surbl.org", documented("127.0.0", [8, 16, 64, 128], { mask: true })],
  ["multi.uribl.com", documented("127.0.0", [2, 4, 8], { mask: true })],
  // The public ones, and behind a customer's key.
  ...["spamhaus.org", "dq.spamhaus.net"].flatMap((at): [string, Documented][] => [
    [`sbl.${at}`, documented("127.0.0", SBL)],
    [`xbl.${at}`, documented("127.0.0", XBL)],
    [`sbl-xbl.${at}`, documented("127.0.0", [...SBL, ...XBL])],
    [`pbl.${at}`, documented("127.0.0", PBL)],
    [`zen.${at}`, documented("127.0.0", [...SBL, ...XBL, ...PBL])],
    [`dbl.${at}`, DBL],
  ]),
]);

/** A label that only a key can be. */
const KEY = /^[a-z0-9]{20,}\./;

/** The list as others may know it: the operator's key in front of the zone is a secret. */
export function publicName(zone: string): string {
  const name = zone.toLowerCase().replace(/\.$/, "");
  const rest = name.slice(name.indexOf(".") + 1);
  return !LISTS.has(name) && LISTS.has(rest) ? rest : name.replace(KEY, "");
}

/** What the list at a zone documents, null of one that is not known; a key may stand in front of it. */
function documentedBy(zone: string): Documented | null {
  return LISTS.get(publicName(zone)) ?? null;
}

/** The documented codes of an answer; none: it lists nobody. */
export function documentedCodes(zone: string, answer: string): readonly string[] {
  const { codes, mask } = documentedBy(zone) ?? ONE;
  if (!mask) return codes.has(answer) ? [answer] : [];
  const octets = answer.split(".");
  const last = Number(octets.pop());
  return [1, 2, 4, 8, 16, 32, 64, 128].filter((bit) => (last & bit) !== 0)
    .map((bit) => [...octets, bit].join(".")).filter((code) => codes.has(code));
}

/** Whether nothing can be made of an answer: the list is known, and does not document it. */
export function isUndocumented(zone: string, answer: string): boolean {
  return documentedBy(zone) !== null && documentedCodes(zone, answer).length === 0;
}

function documented(network: string, last: readonly number[], { mask = false } = {}): Documented {
  return { codes: new Set(last.map((octet) => `${network}.${octet}`)), mask };
}

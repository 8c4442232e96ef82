/**
 * Replies of ICAP servers (RFC 3507 4.3.3, 4.4): the head of the reply, what is encapsulated, and what a scanner means by
 * it. Pure. The head of the message that a server sends back tells whether it let it through; its body is not read.
 */
import { CLEAN, hit, ScanFault, type ScanResult } from "./result.ts";

/** Octets of a head. */
export const MAX_HEAD_OCTETS = 64 * 1024;

export interface IcapHead {
  readonly status: number;
  /** Names in lower case; the first of each. */
  readonly fields: ReadonlyMap<string, string>;
}

/** The block without its empty line, one character an octet. Throws ScanFault where it is no reply. */
export function parseIcapHead(block: string): IcapHead {
  const [first = "", ...lines] = block.split("\r\n");
  const status = /^ICAP\/1\.\d (\d{3})(?: |$)/.exec(first);
  if (status === null) throw new ScanFault("no ICAP reply");
  return { status: Number(status[1]), fields: fieldsOf(lines) };
}

/** Octets of the HTTP head in the reply; 0 where there is none (RFC 3507 4.4.1). */
export function encapsulatedHead({ fields }: IcapHead): { readonly start: number; readonly end: number } {
  const sections = (fields.get("encapsulated") ?? "").split(",").map((one) =>
    /^\s*([a-z-]+)\s*=\s*(\d{1,7})\s*$/i.exec(one)
  );
  const at = sections.findIndex((one) => one?.[1]?.toLowerCase() === "res-hdr");
  const start = Number(sections[at]?.[2] ?? 0);
  const end = Number(sections[at + 1]?.[2] ?? 0);
  return at < 0 || end <= start || end > MAX_HEAD_OCTETS ? { start: 0, end: 0 } : { start, end };
}

/** Fields by which scanners name what they found. */
const NAMES = ["x-infection-found", "x-virus-id", "x-virus-name", "x-violations-found"];

/** `http` is the encapsulated head, "" without. Throws ScanFault where the server could not. */
export function icapResult(head: IcapHead, http: string, markOnly: readonly string[]): ScanResult {
  const { status, fields } = head;
  if (status === 204) return CLEAN;
  if (status === 413) return { kind: "not-scanned", why: "larger than the scanner takes" };
  if (status !== 200 && status !== 201) throw new ScanFault(`ICAP status ${status}`);
  for (const name of NAMES) {
    const value = fields.get(name);
    if (value !== undefined) return hit(threatOf(value), markOnly);
  }
  // Without a name: a page of its own in place of the message means that it is blocked.
  const answered = Number(/^HTTP\/\d\.\d (\d{3})/.exec(http)?.[1] ?? 200);
  return answered >= 400 ? { kind: "infected", name: "blocked by the scanner" } : CLEAN;
}

/** `Type=0; Resolution=2; Threat=NAME;`, or the name alone. */
function threatOf(value: string): string {
  const threat = /(?:^|;)\s*threat\s*=\s*([^;]*)/i.exec(value)?.[1]?.trim() ?? value.trim();
  return threat === "" ? "without a name" : threat.slice(0, 200);
}

function fieldsOf(lines: readonly string[]): Map<string, string> {
  const fields = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(":");
    if (colon <= 0) continue;
    const name = line.slice(0, colon).trim().toLowerCase();
    if (!fields.has(name)) fields.set(name, line.slice(colon + 1).trim());
  }
  return fields;
}

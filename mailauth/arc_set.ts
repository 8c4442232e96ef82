/**
 * The ARC sets of a header (RFC 8617 4): for each instance one seal, one message signature, one AAR. Pure.
 *
 * Reading is strict: a chain that is not complete, or has a field that breaks its grammar, is no chain. At most
 * {@linkcode MAX_INSTANCES} (4.2.1).
 */
import { type FieldSpan, fieldValue } from "../message/header.ts";
import type { DkimSignature } from "./dkim_signature.ts";
import type { HeaderFields } from "./signed_fields.ts";
import { base64Value, colonList, parseTagList } from "./tag_list.ts";

export const MAX_INSTANCES = 50;

export const SEAL = "arc-seal";
const MESSAGE_SIGNATURE = "arc-message-signature";
export const RESULTS = "arc-authentication-results";

export type ChainStatus = "none" | "pass" | "fail";

export interface ArcSeal {
  readonly algorithm: "rsa-sha256" | "ed25519-sha256";
  readonly signature: Uint8Array;
  readonly domain: string;
  readonly selector: string;
  readonly status: ChainStatus;
}

/** As in DKIM, without v= and with i= as the instance (4.1.2). */
export type ArcMessageSignature =
  & ArcSeal
  & Pick<DkimSignature, "bodyHash" | "headerForm" | "bodyForm" | "fields" | "bodyLimit">;

export interface ArcSet {
  readonly instance: number;
  readonly seal: ArcSeal;
  readonly messageSignature: Omit<ArcMessageSignature, "status">;
  /** The fields as they stand, one character an octet. */
  readonly sealField: string;
  readonly messageSignatureField: string;
  readonly resultsField: string;
  /** The value of the AAR behind its instance, unfolded. */
  readonly results: string;
}

const NAMES: ReadonlySet<string> = new Set([SEAL, MESSAGE_SIGNATURE, RESULTS]);
const DOMAIN = /^[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?$/;
const INSTANCE = /^[1-9]\d?$/;
const AAR = /^i[ \t]*=[ \t]*([1-9]\d?)[ \t]*;(.*)$/s;

/** The sets in the order of their instances; a text says why they are no chain. */
export function readSets(header: HeaderFields): ArcSet[] | string {
  const spans = header.spans.filter(({ name }) => NAMES.has(name));
  if (spans.length === 0) return [];
  if (spans.length > MAX_INSTANCES * 3) return `more than ${MAX_INSTANCES} ARC sets`;
  const found = new Map<string, FieldSpan>();
  for (const span of spans) {
    const instance = instanceOf(span.name, fieldValue(header.block, span));
    if (instance === null) return `${span.name} has no instance`;
    const key = `${span.name} ${instance}`;
    if (found.has(key)) return `${span.name} of instance ${instance} is there twice`;
    found.set(key, span);
  }
  const sets: ArcSet[] = [];
  for (let instance = 1; instance <= spans.length / 3; instance++) {
    const set = readSet(header, found, instance);
    if (typeof set === "string") return set;
    sets.push(set);
  }
  return sets.length * 3 === spans.length ? sets : "ARC sets are not complete";
}

function readSet(header: HeaderFields, found: Map<string, FieldSpan>, instance: number): ArcSet | string {
  const sealSpan = found.get(`${SEAL} ${instance}`);
  const messageSpan = found.get(`${MESSAGE_SIGNATURE} ${instance}`);
  const resultsSpan = found.get(`${RESULTS} ${instance}`);
  if (sealSpan === undefined || messageSpan === undefined || resultsSpan === undefined) {
    return `the ARC set ${instance} is not complete`;
  }
  const seal = parseSeal(fieldValue(header.block, sealSpan));
  if (typeof seal === "string") return `the seal ${instance}: ${seal}`;
  const messageSignature = parseMessageSignature(fieldValue(header.block, messageSpan));
  if (typeof messageSignature === "string") return `the message signature ${instance}: ${messageSignature}`;
  return {
    ...{ instance, seal, messageSignature },
    sealField: header.text(sealSpan),
    messageSignatureField: header.text(messageSpan),
    resultsField: header.text(resultsSpan),
    results: AAR.exec(fieldValue(header.block, resultsSpan))?.[2]?.trim() ?? "",
  };
}

function instanceOf(name: string, value: string): number | null {
  const text = name === RESULTS ? AAR.exec(value)?.[1] : parseTagList(value)?.get("i");
  if (text === undefined || !INSTANCE.test(text)) return null;
  return Number(text) <= MAX_INSTANCES ? Number(text) : null;
}

/** RFC 8617 4.1.3. */
function parseSeal(value: string): ArcSeal | string {
  const tags = parseTagList(value);
  if (tags === null) return "no list of tags";
  if (tags.has("h") || tags.has("bh")) return "it must not name fields";
  const status = tags.get("cv");
  if (status !== "none" && status !== "pass" && status !== "fail") return "cv= is missing or unknown";
  const common = signatureOf(tags);
  return typeof common === "string" ? common : { ...common, status };
}

/** RFC 8617 4.1.2. */
function parseMessageSignature(value: string): Omit<ArcMessageSignature, "status"> | string {
  const tags = parseTagList(value);
  if (tags === null) return "no list of tags";
  const common = signatureOf(tags);
  if (typeof common === "string") return common;
  const bodyHash = base64Value(tags.get("bh"));
  if (bodyHash === null) return "bh= is missing or no base64";
  const list = tags.get("h");
  if (list === undefined) return "h= is missing";
  const fields = colonList(list).map((name) => name.toLowerCase());
  if (fields.length > 300) return "h= names too many fields";
  if (fields.includes(SEAL)) return "h= names a seal";
  // Without c= sealers mean relaxed, as the public suite has it; RFC 6376 3.5 would say simple.
  const [headerForm, bodyForm = "simple"] = (tags.get("c") ?? "relaxed/relaxed").split("/");
  if (!isForm(headerForm) || !isForm(bodyForm)) return "the canonical form is not known";
  const limit = tags.get("l");
  if (limit !== undefined && !/^\d{1,15}$/.test(limit)) return "l= is no number";
  return {
    ...common,
    bodyHash,
    fields,
    headerForm,
    bodyForm,
    bodyLimit: limit === undefined ? null : Number(limit),
  };
}

function signatureOf(tags: Map<string, string>): Omit<ArcSeal, "status"> | string {
  const algorithm = tags.get("a");
  if (algorithm !== "rsa-sha256" && algorithm !== "ed25519-sha256") return "the algorithm is not known";
  const signature = base64Value(tags.get("b"));
  if (signature === null) return "b= is missing or no base64";
  const domain = tags.get("d")?.toLowerCase() ?? "", selector = tags.get("s") ?? "";
  if (!DOMAIN.test(domain) || !DOMAIN.test(selector)) return "d= or s= is missing or malformed";
  const time = tags.get("t");
  if (time !== undefined && !/^\d{1,15}$/.test(time)) return "t= is no number";
  return { algorithm, signature, domain, selector };
}

function isForm(text: string | undefined): text is "simple" | "relaxed" {
  return text === "simple" || text === "relaxed";
}

/**
 * The tree walk of DMARC (RFC 9989 4.10): from a domain up to its policy and its organizational domain.
 *
 * At most {@linkcode MAX_QUERIES} questions a walk, however many labels the domain has. {@linkcode TreeWalker} remembers
 * answers for the one message it serves, so that domains that share parents do not ask twice. RFC 7489 found the
 * organizational domain by the public suffix list instead; {@linkcode listedDomain} does so for those who want that.
 */
import { type Steps, when } from "../bytes/steps.ts";
import { ask } from "../dns/asking.ts";
import { canonicalName, labelCount, lastLabels, parentName } from "../dns/name.ts";
import { ResolveError, type Resolver } from "../dns/resolver.ts";
import { txtTexts } from "../dns/txt.ts";
import { type DmarcRecord, isDmarcRecord, parseDmarcRecord } from "./dmarc_record.ts";

/** RFC 9989 4.10. */
const MAX_QUERIES = 8;

/** DNS did not answer: nothing is known about the domain. */
export class DmarcTempError extends Error {
  override readonly name = "DmarcTempError";
}

export interface Found {
  readonly domain: string;
  readonly record: DmarcRecord;
}

export class TreeWalker {
  readonly #resolver: Resolver;
  readonly #records: Map<string, DmarcRecord | null | DmarcTempError>;

  constructor(resolver: Resolver) {
    this.#resolver = resolver;
    this.#records = new Map();
  }

  /** The record of this very name; null without a valid one. Throws {@linkcode DmarcTempError}. */
  *record(domain: string): Steps<DmarcRecord | null> {
    let record = this.#records.get(domain);
    if (record === undefined) this.#records.set(domain, record = yield* this.#ask(domain));
    if (record instanceof DmarcTempError) throw record;
    return record;
  }

  /** All valid records on the way up, the longest name first; the walk ends at psd=y and psd=n. */
  *walk(domain: string): Steps<Found[]> {
    const found: Found[] = [];
    for (const name of walkNames(domain)) {
      const record = yield* this.record(name);
      if (record === null) continue;
      found.push({ domain: name, record });
      if (record.psd !== "u") break;
    }
    return found;
  }

  /** RFC 9989 4.10.2. */
  *organizationalDomain(domain: string): Steps<string> {
    return selectOrganization(domain, yield* this.walk(domain));
  }

  *#ask(domain: string): Steps<DmarcRecord | null | DmarcTempError> {
    const name = `_dmarc.${domain}`;
    try {
      const texts = txtTexts(yield* ask(this.#resolver, name, "TXT")).filter(isDmarcRecord);
      // RFC 9989 4.10: several are none.
      return texts.length === 1 ? parseDmarcRecord(texts[0]!) : null;
    } catch (error) {
      if (!(error instanceof ResolveError)) throw error;
      if (error.temporary) return new DmarcTempError(`${name}: ${error.plain}`);
      return null;
    }
  }
}

/** The names a walk asks for, the domain itself first. */
export function walkNames(domain: string): string[] {
  const names = [domain];
  const labels = labelCount(domain);
  const first = labels < MAX_QUERIES ? labels - 1 : MAX_QUERIES - 1;
  for (let count = first; count > 0; count--) names.push(lastLabels(domain, count));
  return names;
}

export function selectOrganization(start: string, found: readonly Found[]): string {
  for (const { domain, record } of found) {
    if (record.psd === "n") return domain;
    if (record.psd === "y" && domain !== start) return lastLabels(start, labelCount(domain) + 1);
  }
  return found.at(-1)?.domain ?? start;
}

let suffixes: typeof import("tldts") | null = null;

/** By the public suffix list (RFC 7489 3.2), which takes 12 ms to load: only who asks first waits for it. */
export function* listedDomain(domain: string): Steps<string> {
  suffixes ??= yield* when(import("tldts"));
  return suffixes.getDomain(domain, { allowPrivateDomains: true }) ?? domain;
}

/** A domain of an identifier in the form used here; null where it cannot be one. */
export function dmarcDomain(text: string): string | null {
  const name = canonicalName(text);
  return name === null || name === "." || parentName(name) === "." ? null : name;
}

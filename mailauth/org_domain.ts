/**
 * The tree walk of DMARC (RFC 9989 4.10): from a domain up to its policy and its organizational domain.
 *
 * At most {@linkcode MAX_QUERIES} questions a walk, however many labels the domain has. {@linkcode TreeWalker} remembers
 * answers for the one message it serves, so that domains that share parents do not ask twice. RFC 7489 found the
 * organizational domain by the public suffix list instead; {@linkcode listedDomain} does so for those who want that.
 */
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
  readonly #records: Map<string, Promise<DmarcRecord | null>>;

  constructor(resolver: Resolver) {
    this.#resolver = resolver;
    this.#records = new Map();
  }

  /** The record of this very name; null without a valid one. Rejects with {@linkcode DmarcTempError}. */
  record(domain: string): Promise<DmarcRecord | null> {
    let pending = this.#records.get(domain);
    if (pending === undefined) this.#records.set(domain, pending = this.#ask(domain));
    return pending;
  }

  /** All valid records on the way up, the longest name first; the walk ends at psd=y and psd=n. */
  async walk(domain: string): Promise<Found[]> {
    const found: Found[] = [];
    for (const name of walkNames(domain)) {
      const record = await this.record(name);
      if (record === null) continue;
      found.push({ domain: name, record });
      if (record.psd !== "u") break;
    }
    return found;
  }

  /** RFC 9989 4.10.2. */
  async organizationalDomain(domain: string): Promise<string> {
    return selectOrganization(domain, await this.walk(domain));
  }

  async #ask(domain: string): Promise<DmarcRecord | null> {
    const name = `_dmarc.${domain}`;
    try {
      const texts = txtTexts(await this.#resolver.resolve(name, "TXT")).filter(isDmarcRecord);
      // RFC 9989 4.10: several are none.
      return texts.length === 1 ? parseDmarcRecord(texts[0]!) : null;
    } catch (error) {
      if (!(error instanceof ResolveError)) throw error;
      if (error.temporary) throw new DmarcTempError(`${name}: ${error.message}`);
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

/** By the public suffix list (RFC 7489 3.2), which takes 12 ms to load: only who asks waits for it. */
export async function listedDomain(domain: string): Promise<string> {
  const { getDomain } = await import("tldts");
  return getDomain(domain, { allowPrivateDomains: true }) ?? domain;
}

/** A domain of an identifier in the form used here; null where it cannot be one. */
export function dmarcDomain(text: string): string | null {
  const name = canonicalName(text);
  return name === null || name === "." || parentName(name) === "." ? null : name;
}

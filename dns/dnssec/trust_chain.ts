/**
 * The chain of trust from the root to the zone that a name is in (RFC 4035 5).
 *
 * It is walked label by label: each name above the signer has a DS set that leads into a zone of its own, or a proof that it has
 * none. What was learned about a name is kept for its time.
 */
import { TtlCache } from "../cache.ts";
import { isWithin, parentName } from "../name.ts";
import { type DataOf, type RecordType, TYPE_CODES } from "../rdata.ts";
import type { DnskeyData } from "../rdata_dnssec.ts";
import { EXTENDED_ERRORS, type ExtendedError } from "../resolver.ts";
import type { RrSet } from "../rrset.ts";
import type { Reply, Source, SourceQuestion } from "../source.ts";
import { bitmapHas } from "../type_bitmap.ts";
import type { Work } from "../work.ts";
import { keysNamedBy, type TrustAnchors } from "./anchors.ts";
import { type DnssecCrypto, isSupportedAlgorithm, isSupportedDigest } from "./crypto.ts";
import { deny, proofsOf, tooManyIterations } from "./proofs.ts";
import { bogus, checkSignatures, isZoneKey, keyTag, REVOKED, signatureContext } from "./signature.ts";
import {
  BOGUS_TTL_SECONDS,
  bogusCut,
  insecureCut,
  MAX_STEP_TTL_SECONDS,
  NO_ANCHOR,
  type SecureZone,
  type Step,
  stepText,
  type Trust,
} from "./trust.ts";
import { askUntilGood } from "./until_good.ts";

/** Keys of a zone that DS records may name; more is a trap. */
const MAX_ENTRY_POINTS = 4;
const MAX_STEPS_KEPT = 20_000, STEP_OCTETS = 400;

export interface TrustOptions {
  readonly source: Source;
  readonly crypto: DnssecCrypto;
  readonly anchors: TrustAnchors;
  /** Called when the anchors have changed and should be kept. */
  readonly anchorsChanged?: () => void;
  /** Milliseconds, steady: for what is kept. */
  readonly now: () => number;
  /** Milliseconds since 1970: for the times in signatures. */
  readonly wallClock: () => number;
}

export class TrustChain {
  readonly #options: TrustOptions;
  readonly #steps: TtlCache<Step>;
  readonly #flights: Map<string, Promise<Step>>;

  constructor(options: TrustOptions) {
    this.#options = options;
    this.#steps = new TtlCache({
      maxEntries: MAX_STEPS_KEPT,
      maxOctets: MAX_STEPS_KEPT * STEP_OCTETS,
      now: options.now,
    });
    this.#flights = new Map();
  }

  /** Asks for the keys of the root anew, whatever is known: RFC 5011 2.3. */
  async refreshAnchors(work: Work): Promise<void> {
    const step = await this.#root(work);
    this.#steps.put(".", step, { ttlSeconds: step.ttlSeconds, octets: STEP_OCTETS });
  }

  /** The zone in which `name` is, by the chain from the root. */
  async trustOf(name: string, work: Work): Promise<Trust> {
    const root = await this.#step(".", () => this.#root(work));
    let trust = root.kind === "cut" ? root.trust : NO_ANCHOR;
    const path: string[] = [];
    for (let at: string | null = name; at !== null && at !== "."; at = parentName(at)) path.unshift(at);
    for (const child of path) {
      if (trust.kind !== "secure") return trust;
      const above: SecureZone = trust;
      const step = await this.#step(child, () => this.#descend(child, above, work));
      if (step.kind === "gone") return trust;
      if (step.kind === "cut") trust = step.trust;
    }
    return trust;
  }

  /** From what is known; who asks for what is being found out already waits for it. */
  #step(name: string, find: () => Promise<Step>): Promise<Step> | Step {
    const known = this.#steps.get(name);
    if (known !== null) return known.value;
    const flight = this.#flights.get(name);
    if (flight !== undefined) return flight;
    const found = find().then((step) => {
      this.#steps.put(name, step, {
        ttlSeconds: Math.min(step.ttlSeconds, MAX_STEP_TTL_SECONDS),
        octets: STEP_OCTETS,
      });
      return step;
    }).finally(() => this.#flights.delete(name));
    this.#flights.set(name, found);
    return found;
  }

  async #root(work: Work): Promise<Step> {
    const { anchors, crypto } = this.#options;
    if (!anchors.any) return { kind: "cut", trust: NO_ANCHOR, ttlSeconds: BOGUS_TTL_SECONDS };
    const question = { name: ".", type: TYPE_CODES.DNSKEY };
    const entryPoints = (keys: readonly DnskeyData[]) => anchors.entryPoints(keys, crypto);
    const { step, set } = await this.#until(
      question,
      work,
      (reply) => this.#keys(reply, { zone: ".", entryPoints, work }),
    );
    if (set !== null) await this.#observe(set, work);
    return step;
  }

  /** RFC 5011 2.1: a revoked key counts when it has signed the set that says so. */
  async #observe(set: RrSet, work: Work): Promise<void> {
    const keys = set.records.filter(isKey);
    const signedItself: DnskeyData[] = [];
    for (const key of keys.filter(({ flags }) => (flags & REVOKED) !== 0)) {
      const own = {
        ...set,
        signatures: set.signatures.filter((signature) => signature.keyTag === keyTag(key)),
      };
      const check = await checkSignatures(own, { zone: ".", keys: [key] }, {
        ...signatureContext(this.#options, work),
        revoked: true,
      });
      if (check.kind === "secure") signedItself.push(key);
    }
    const nowSeconds = Math.floor(this.#options.wallClock() / 1000);
    const changed = await this.#options.anchors.observe({ keys, signedItself }, {
      crypto: this.#options.crypto,
      nowSeconds,
    });
    if (changed) this.#options.anchorsChanged?.();
  }

  /** Whether a zone begins at `child`, asked of the zone above it. */
  async #descend(child: string, above: SecureZone, work: Work): Promise<Step> {
    const question = { name: child, type: TYPE_CODES.DS };
    const { step } = await this.#until(question, work, async (reply) => ({
      step: await this.#descendBy(reply, { child, above, work }),
      set: null,
    }));
    work.trace(() => `chain: ${child} ${stepText(step)}`);
    return step;
  }

  async #descendBy(reply: Reply, about: { child: string; above: SecureZone; work: Work }): Promise<Step> {
    const { child, above, work } = about;
    const context = signatureContext(this.#options, work);
    const ds = setOf(reply.answers, child, "DS");
    if (ds !== undefined) {
      const check = await checkSignatures(ds, above, context);
      if (check.kind === "bogus" || check.wildcard !== null) {
        return bogusCut(check.kind === "bogus" ? check.reason : noWildcard(child));
      }
      return await this.#enter(ds, { child, work, ttlSeconds: check.ttlSeconds });
    }
    const alias = setOf(reply.answers, child, "CNAME");
    const dname = reply.answers.find((set) =>
      set.type === TYPE_CODES.DNAME && child !== set.name && isWithin(child, set.name)
    );
    const instead = dname ?? alias;
    if (instead !== undefined) {
      const check = await checkSignatures(instead, above, context);
      if (check.kind === "bogus") return bogusCut(check.reason);
      // Neither an alias nor a name below a DNAME is the apex of a zone (RFC 1034 3.6.2, RFC 6672 2.4).
      return { kind: dname === undefined ? "inside" : "gone", ttlSeconds: check.ttlSeconds };
    }
    return await this.#noDs(reply, { child, above, work });
  }

  /** No DS: an insecure delegation, no delegation at all, or no such name. */
  async #noDs(reply: Reply, about: { child: string; above: SecureZone; work: Work }): Promise<Step> {
    const { child, above, work } = about;
    const proofs = await proofsOf(reply, above, signatureContext(this.#options, work));
    const { ttlSeconds } = proofs;
    if (proofs.nsec3.tooManyIterations) return insecureCut(tooManyIterations(above.zone), ttlSeconds);
    const types = proofs.nsec.find(({ owner }) => owner === child)?.types ?? proofs.nsec3.typesAt(child);
    const denial = deny(proofs, { name: child, type: TYPE_CODES.DS });
    switch (denial.kind) {
      case "proved":
        if (types !== null && bitmapHas(types, TYPE_CODES.NS)) {
          return insecureCut(bogus(EXTENDED_ERRORS.OTHER, `${child}: delegated without DS`), ttlSeconds);
        }
        return { kind: denial.what === "no-data" ? "inside" : "gone", ttlSeconds };
      case "opt-out":
        return insecureCut(
          bogus(EXTENDED_ERRORS.OTHER, `${child}: in a span of ${above.zone} with opt-out`),
          ttlSeconds,
        );
      case "too-many-iterations":
      case "missing":
        return bogusCut(
          proofs.fault ??
            bogus(EXTENDED_ERRORS.NSEC_MISSING, `${child}: no proof that ${above.zone} has no DS for it`),
        );
      default:
        return denial satisfies never;
    }
  }

  /** Into the zone that `ds` leads to. */
  async #enter(ds: RrSet, about: { child: string; work: Work; ttlSeconds: number }): Promise<Step> {
    const { child, work } = about;
    const records = ds.records.filter(isDs);
    const known = records.filter(({ algorithm }) => isSupportedAlgorithm(algorithm));
    if (known.length === 0) {
      return insecureCut(
        bogus(EXTENDED_ERRORS.UNSUPPORTED_ALGORITHM, `${child}: no supported algorithm`),
        about.ttlSeconds,
      );
    }
    const usable = known.filter(({ digestType }) => isSupportedDigest(digestType));
    if (usable.length === 0) {
      return insecureCut(
        bogus(EXTENDED_ERRORS.UNSUPPORTED_DIGEST, `${child}: no supported digest`),
        about.ttlSeconds,
      );
    }
    const question = { name: child, type: TYPE_CODES.DNSKEY };
    const entryPoints = (keys: readonly DnskeyData[]) =>
      keysNamedBy(usable, { owner: child, keys }, this.#options.crypto);
    const { step } = await this.#until(
      question,
      work,
      (reply) => this.#keys(reply, { zone: child, entryPoints, work }),
    );
    return { ...step, ttlSeconds: Math.min(step.ttlSeconds, about.ttlSeconds) };
  }

  /** The keys of a zone, when one that is trusted already signs them. */
  async #keys(
    reply: Reply,
    about: { zone: string; entryPoints: (keys: readonly DnskeyData[]) => Promise<DnskeyData[]>; work: Work },
  ): Promise<{ step: Step; set: RrSet | null }> {
    const { zone, work } = about;
    const set = setOf(reply.answers, zone, "DNSKEY");
    if (set === undefined) {
      return { step: bogusCut(bogus(EXTENDED_ERRORS.DNSKEY_MISSING, `${zone}: no DNSKEY`)), set: null };
    }
    const keys = set.records.filter(isKey);
    const trusted = (await about.entryPoints(keys)).filter(isZoneKey).slice(0, MAX_ENTRY_POINTS);
    if (trusted.length === 0) {
      return {
        step: bogusCut(
          bogus(EXTENDED_ERRORS.DNSKEY_MISSING, `${zone}: no DNSKEY is the one that is trusted`),
        ),
        set: null,
      };
    }
    const check = await checkSignatures(set, { zone, keys: trusted }, signatureContext(this.#options, work));
    if (check.kind === "bogus") return { step: bogusCut(check.reason), set: null };
    const trust: Trust = {
      kind: "secure",
      zone,
      keys: keys.filter((key) => isZoneKey(key) && isSupportedAlgorithm(key.algorithm)),
    };
    return { step: { kind: "cut", trust, ttlSeconds: check.ttlSeconds }, set };
  }

  async #until(
    question: SourceQuestion,
    work: Work,
    judge: (reply: Reply) => Promise<{ step: Step; set: RrSet | null }>,
  ): Promise<{ step: Step; set: RrSet | null }> {
    return await askUntilGood(this.#options.source, { ...question, work }, async (reply) => {
      const found = await judge(reply);
      const { step } = found;
      return {
        ...found,
        bogus: step.kind === "cut" && step.trust.kind === "bogus" ? step.trust.reason : null,
      };
    });
  }
}

function setOf(sets: readonly RrSet[], name: string, type: RecordType): RrSet | undefined {
  return sets.find((set) => set.name === name && set.type === TYPE_CODES[type]);
}

function isKey(data: { readonly type: string }): data is DnskeyData {
  return data.type === "DNSKEY";
}

function isDs(data: { readonly type: string }): data is DataOf<"DS"> {
  return data.type === "DS";
}

function noWildcard(name: string): ExtendedError {
  return bogus(EXTENDED_ERRORS.BOGUS, `${name}: DS made from a wildcard`);
}

/**
 * How far DNSSEC vouches for a reply: the chain of trust from the root to the zone that signed, then the signatures and
 * the proofs in the reply itself.
 *
 * RFC 4033 5 (the states), RFC 4035 5. The chain is walked label by label: each name above the signer has a DS set that
 * leads into a zone of its own, or a proof that it has none. What was learned about a name is kept for its time. A reply
 * that is bogus is asked for again from another server before it counts: one bad server must not stop the mail.
 */
import { TtlCache } from "../cache.ts";
import { RCODES } from "../message.ts";
import { isWithin, parentName } from "../name.ts";
import { type DataOf, type RecordType, TYPE_CODES } from "../rdata.ts";
import type { DnskeyData } from "../rdata_dnssec.ts";
import { EXTENDED_ERRORS, type ExtendedError, ResolveError } from "../resolver.ts";
import type { RrSet } from "../rrset.ts";
import type { Reply, Source, SourceQuestion } from "../source.ts";
import { bitmapHas } from "../type_bitmap.ts";
import type { Work } from "../work.ts";
import { keysNamedBy, type TrustAnchors } from "./anchors.ts";
import { type DnssecCrypto, isSupportedAlgorithm, isSupportedDigest } from "./crypto.ts";
import { type Nsec, nsecAllowsWildcard, nsecDenies, nsecOf } from "./nsec.ts";
import { chainOf, type Nsec3, type Nsec3Denial, Nsec3Proofs } from "./nsec3.ts";
import { checkSignatures, isZoneKey, keyTag, REVOKED, type SignatureContext } from "./signature.ts";

/** Tries at a reply that is bogus, each with another server. */
const MAX_TRIES = 3;
/** Sets of NSEC or NSEC3 of a reply that are looked at: three suffice for any proof, with room. */
const MAX_PROOFS = 8;
/** Keys of a zone that DS records may name; more is a trap. */
const MAX_ENTRY_POINTS = 4;
const MAX_STEPS_KEPT = 20_000, STEP_OCTETS = 400;
const MAX_STEP_TTL_SECONDS = 3_600, BOGUS_TTL_SECONDS = 30;

export type Judgement =
  | {
    readonly security: "secure";
    readonly ttlSeconds: number;
    readonly proofs?: ProvenProofs;
    /** The records were made from this name. */
    readonly wildcard?: string;
  }
  | { readonly security: "insecure" | "bogus" | "indeterminate"; readonly reason: ExtendedError };

/** Denials of a secure zone, for use in other questions (RFC 8198). */
export interface ProvenProofs {
  readonly zone: string;
  readonly nsec: readonly Nsec[];
  readonly nsec3: readonly Nsec3[];
}

/** What is known about a zone: its keys, or why it has none that count. */
type Trust =
  | { readonly kind: "secure"; readonly zone: string; readonly keys: readonly DnskeyData[] }
  | { readonly kind: "insecure" | "bogus" | "indeterminate"; readonly reason: ExtendedError };

/** What is known about one name on the way down. `ttlSeconds`: for how long. */
type Step =
  /** A zone begins here, or its chain ends here. */
  | { readonly kind: "cut"; readonly trust: Trust; readonly ttlSeconds: number }
  /** It belongs to the zone above. */
  | { readonly kind: "inside"; readonly ttlSeconds: number }
  /** It does not exist, nor does anything below. */
  | { readonly kind: "gone"; readonly ttlSeconds: number };

export interface ValidatorOptions {
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

export class Validator {
  readonly #options: ValidatorOptions;
  readonly #steps: TtlCache<Step>;
  readonly #flights: Map<string, Promise<Step>>;

  constructor(options: ValidatorOptions) {
    this.#options = options;
    this.#steps = new TtlCache({
      maxEntries: MAX_STEPS_KEPT,
      maxOctets: MAX_STEPS_KEPT * STEP_OCTETS,
      now: options.now,
    });
    this.#flights = new Map();
  }

  get crypto(): DnssecCrypto {
    return this.#options.crypto;
  }

  /** How far a set of an answer is to be trusted; `reply` is where the proof for a wildcard stands. */
  async judgeSet(set: RrSet, reply: Reply, work: Work): Promise<Judgement> {
    if (set.signatures.length === 0) return await this.#unsigned(set.name, set.type, work);
    const signer = set.signatures[0]!.signer;
    const trust = await this.#trustOfSigner(signer, set, work);
    if (trust.kind !== "secure") return { security: trust.kind, reason: trust.reason };
    const check = await checkSignatures(set, trust, this.#context(work));
    if (check.kind === "bogus") return { security: "bogus", reason: check.reason };
    if (check.wildcard === null) return { security: "secure", ttlSeconds: check.ttlSeconds };
    return await this.#judgeWildcard(set, reply, {
      trust,
      wildcard: check.wildcard,
      ttlSeconds: check.ttlSeconds,
      work,
    });
  }

  /** How far it is to be trusted that `name` has nothing of `type`, or does not exist. */
  async judgeDenial(reply: Reply, question: SourceQuestion, work: Work): Promise<Judgement> {
    const { name, type } = question;
    const signed = reply.authorities.find((set) => isProof(set) && set.signatures.length > 0);
    if (signed === undefined) {
      return await this.#unsigned(
        name,
        type,
        work,
        bogus(EXTENDED_ERRORS.NSEC_MISSING, `${name}: no proof that it has no records`),
      );
    }
    const trust = await this.#trustOfSigner(signed.signatures[0]!.signer, { name, type }, work);
    if (trust.kind !== "secure") return { security: trust.kind, reason: trust.reason };
    const proofs = await this.#proofsOf(reply, trust, work);
    const denial = deny(proofs, { name, type });
    const expected = reply.rcode === RCODES.NXDOMAIN ? "no-such-domain" : "no-data";
    switch (denial.kind) {
      case "proved":
        if (denial.what !== expected) break;
        return {
          security: "secure",
          ttlSeconds: proofs.ttlSeconds,
          proofs: proven(proofs),
        };
      case "opt-out":
        return {
          security: "insecure",
          reason: bogus(EXTENDED_ERRORS.OTHER, `${name}: in a span of ${trust.zone} with opt-out`),
        };
      case "too-many-iterations":
        return { security: "insecure", reason: tooManyIterations(trust.zone) };
      case "missing":
        break;
      default:
        denial satisfies never;
    }
    return {
      security: "bogus",
      reason: proofs.fault ??
        bogus(EXTENDED_ERRORS.NSEC_MISSING, `${name}: not proved that it has no records`),
    };
  }

  /** Asks for the keys of the root anew, whatever is known: RFC 5011 2.3. */
  async refreshAnchors(work: Work): Promise<void> {
    const step = await this.#root(work);
    this.#steps.put(".", step, { ttlSeconds: step.ttlSeconds, octets: STEP_OCTETS });
  }

  async #judgeWildcard(
    set: RrSet,
    reply: Reply,
    about: { trust: SecureZone; wildcard: string; ttlSeconds: number; work: Work },
  ): Promise<Judgement> {
    const { trust, wildcard, work } = about;
    const proofs = await this.#proofsOf(reply, trust, work);
    const secure: Judgement = {
      security: "secure",
      ttlSeconds: Math.min(about.ttlSeconds, proofs.ttlSeconds),
      proofs: proven(proofs),
      wildcard,
    };
    if (nsecAllowsWildcard(proofs.nsec, { name: set.name, zone: trust.zone, wildcard })) return secure;
    const denial = proofs.nsec3.allowsWildcard(set.name, wildcard);
    switch (denial.kind) {
      case "proved":
        return secure;
      case "opt-out":
        return {
          security: "insecure",
          reason: bogus(EXTENDED_ERRORS.OTHER, `${set.name}: a wildcard in a span with opt-out`),
        };
      case "too-many-iterations":
        return { security: "insecure", reason: tooManyIterations(trust.zone) };
      case "missing":
        return {
          security: "bogus",
          reason: proofs.fault ??
            bogus(
              EXTENDED_ERRORS.NSEC_MISSING,
              `${set.name}: made from ${wildcard} without proof that it may be`,
            ),
        };
      default:
        return denial satisfies never;
    }
  }

  /** Nothing is signed: all right where the chain of trust has ended above. */
  async #unsigned(name: string, type: number, work: Work, missing?: ExtendedError): Promise<Judgement> {
    const trust = await this.#trustOf(type === TYPE_CODES.DS ? parentName(name) ?? "." : name, work);
    if (trust.kind !== "secure") return { security: trust.kind, reason: trust.reason };
    return {
      security: "bogus",
      reason: missing ??
        bogus(EXTENDED_ERRORS.RRSIGS_MISSING, `${name}: no signature, though ${trust.zone} is signed`),
    };
  }

  /** The trust in the zone that a signature names, which must be one and enclose what is signed. */
  async #trustOfSigner(signer: string, signed: { name: string; type: number }, work: Work): Promise<Trust> {
    const { name, type } = signed;
    // RFC 4035 2.4: DS belongs to the zone above.
    const outside = !isWithin(name, signer) || (type === TYPE_CODES.DS && name === signer && name !== ".");
    if (outside) {
      return { kind: "bogus", reason: bogus(EXTENDED_ERRORS.BOGUS, `${name}: signed by ${signer}`) };
    }
    const trust = await this.#trustOf(signer, work);
    if (trust.kind !== "secure" || trust.zone === signer) return trust;
    return {
      kind: "bogus",
      reason: bogus(EXTENDED_ERRORS.BOGUS, `${name}: signed by ${signer}, which is no zone`),
    };
  }

  /** The zone in which `name` is, by the chain from the root. */
  async #trustOf(name: string, work: Work): Promise<Trust> {
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
        ...this.#context(work),
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
    const context = this.#context(work);
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
    const proofs = await this.#proofsOf(reply, above, work);
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
    const check = await checkSignatures(set, { zone, keys: trusted }, this.#context(work));
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

  /** The proofs in a reply that a zone has signed. */
  async #proofsOf(reply: Reply, zone: SecureZone, work: Work): Promise<Proofs> {
    const nsec: Nsec[] = [], nsec3: Nsec3[] = [];
    let ttlSeconds = MAX_STEP_TTL_SECONDS, fault: ExtendedError | null = null;
    const sets = reply.authorities.filter((set) =>
      isProof(set) && set.signatures.some(({ signer }) => signer === zone.zone)
    );
    for (const set of sets.slice(0, MAX_PROOFS)) {
      const check = await checkSignatures(set, zone, this.#context(work));
      if (check.kind === "bogus") fault = check.reason;
      // A record that proves something stands at its own name.
      if (check.kind === "bogus" || check.wildcard !== null) continue;
      ttlSeconds = Math.min(ttlSeconds, check.ttlSeconds);
      for (const record of set.records) {
        if (record.type === "NSEC") nsec.push(nsecOf(set.name, record));
        else if (record.type === "NSEC3") nsec3.push({ owner: set.name, data: record });
      }
    }
    const context = { crypto: this.#options.crypto, work };
    return {
      zone: zone.zone,
      nsec,
      nsec3: new Nsec3Proofs(chainOf(nsec3, zone.zone), zone.zone, context),
      nsec3Records: nsec3,
      ttlSeconds,
      fault,
    };
  }

  #context(work: Work): SignatureContext {
    return { crypto: this.#options.crypto, work, nowSeconds: Math.floor(this.#options.wallClock() / 1000) };
  }
}

type SecureZone = Extract<Trust, { kind: "secure" }>;

interface Proofs {
  readonly zone: string;
  readonly nsec: readonly Nsec[];
  readonly nsec3: Nsec3Proofs;
  readonly nsec3Records: readonly Nsec3[];
  readonly ttlSeconds: number;
  /** Why one of them does not count. */
  readonly fault: ExtendedError | null;
}

function proven({ zone, nsec, nsec3Records }: Proofs): ProvenProofs {
  return { zone, nsec, nsec3: nsec3Records };
}

/** Asks, and asks other servers again while the reply is bogus. */
export async function askUntilGood<T extends { readonly bogus: ExtendedError | null }>(
  source: Source,
  question: SourceQuestion & { readonly work: Work },
  judge: (reply: Reply) => Promise<T>,
): Promise<T> {
  const { name, type, work } = question;
  const avoid = new Set<string>();
  let first: T | null = null;
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    let reply: Reply;
    try {
      reply = await source.ask({ name, type, avoid }, work);
    } catch (error) {
      // Nobody else to ask: what was bogus stays so.
      if (first === null || !(error instanceof ResolveError)) throw error;
      return first;
    }
    const verdict = await judge(reply);
    const { bogus } = verdict;
    if (bogus === null) return verdict;
    first ??= verdict;
    work.trace(() => `bogus from ${reply.from}: ${bogus.text}`);
    avoid.add(reply.from);
  }
  return first!;
}

function deny(proofs: Proofs, question: { name: string; type: number }): Nsec3Denial {
  const denial = nsecDenies(proofs.nsec, { ...question, zone: proofs.zone });
  return denial.kind === "missing" ? proofs.nsec3.denies(question) : denial;
}

const NO_ANCHOR: Trust = {
  kind: "indeterminate",
  reason: { code: EXTENDED_ERRORS.INDETERMINATE, text: "there is no trust anchor" },
};

function isProof(set: RrSet): boolean {
  return set.type === TYPE_CODES.NSEC || set.type === TYPE_CODES.NSEC3;
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

function bogus(code: number, text: string): ExtendedError {
  return { code, text };
}

function noWildcard(name: string): ExtendedError {
  return bogus(EXTENDED_ERRORS.BOGUS, `${name}: DS made from a wildcard`);
}

function tooManyIterations(zone: string): ExtendedError {
  return bogus(EXTENDED_ERRORS.UNSUPPORTED_NSEC3_ITERATIONS, `${zone}: too many NSEC3 iterations`);
}

function bogusCut(reason: ExtendedError): Step {
  return { kind: "cut", trust: { kind: "bogus", reason }, ttlSeconds: BOGUS_TTL_SECONDS };
}

function insecureCut(reason: ExtendedError, ttlSeconds: number): Step {
  return { kind: "cut", trust: { kind: "insecure", reason }, ttlSeconds };
}

function stepText(step: Step): string {
  if (step.kind === "inside") return "belongs to the zone above";
  if (step.kind === "gone") return "does not exist";
  return step.trust.kind === "secure"
    ? `is a secure zone (${step.trust.keys.length} keys)`
    : `is ${step.trust.kind}: ${step.trust.reason.text}`;
}

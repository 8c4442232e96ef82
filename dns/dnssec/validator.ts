/**
 * How far DNSSEC vouches for a reply: the chain of trust from the root to the zone that signed (trust_chain.ts), then the
 * signatures and the proofs in the reply itself. RFC 4033 5 (the states), RFC 4035 5.
 */
import { RCODES } from "../message.ts";
import { isWithin, parentName } from "../name.ts";
import { TYPE_CODES } from "../rdata.ts";
import { EXTENDED_ERRORS, type ExtendedError } from "../resolver.ts";
import type { RrSet } from "../rrset.ts";
import type { Reply, SourceQuestion } from "../source.ts";
import type { Work } from "../work.ts";
import type { DnssecCrypto } from "./crypto.ts";
import { nsecAllowsWildcard } from "./nsec.ts";
import { deny, isProof, proofsOf, proven, type ProvenProofs, tooManyIterations } from "./proofs.ts";
import { bogus, checkSignatures, signatureContext } from "./signature.ts";
import type { SecureZone, Trust } from "./trust.ts";
import { TrustChain, type TrustOptions } from "./trust_chain.ts";

export type Judgement =
  | {
    readonly security: "secure";
    readonly ttlSeconds: number;
    readonly proofs?: ProvenProofs;
    /** The records were made from this name. */
    readonly wildcard?: string;
  }
  | { readonly security: "insecure" | "bogus" | "indeterminate"; readonly reason: ExtendedError };

export class Validator {
  readonly #options: TrustOptions;
  readonly #chain: TrustChain;

  constructor(options: TrustOptions) {
    this.#options = options;
    this.#chain = new TrustChain(options);
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
    const check = await checkSignatures(set, trust, signatureContext(this.#options, work));
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
    const proofs = await proofsOf(reply, trust, signatureContext(this.#options, work));
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
    await this.#chain.refreshAnchors(work);
  }

  async #judgeWildcard(
    set: RrSet,
    reply: Reply,
    about: { trust: SecureZone; wildcard: string; ttlSeconds: number; work: Work },
  ): Promise<Judgement> {
    const { trust, wildcard, work } = about;
    const proofs = await proofsOf(reply, trust, signatureContext(this.#options, work));
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
    const trust = await this.#chain.trustOf(type === TYPE_CODES.DS ? parentName(name) ?? "." : name, work);
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
    const trust = await this.#chain.trustOf(signer, work);
    if (trust.kind !== "secure" || trust.zone === signer) return trust;
    return {
      kind: "bogus",
      reason: bogus(EXTENDED_ERRORS.BOGUS, `${name}: signed by ${signer}, which is no zone`),
    };
  }
}

/**
 * How likely a message is unwanted by what was learnt: the tokens that say most, weighed together.
 *
 * The probability of a token leans to the middle until it was seen often; the strongest speak by the mean of their logarithms of
 * odds, which no length of a message drives up. A user's own knowledge and the shared one are counted together; of the
 * shared one a token speaks only after {@linkcode MIN_TEACHERS} users taught it. Pure. Hot: bench/filter/.
 */
import type { Knowledge } from "./knowledge.ts";

export interface Judgement {
  /** Mean logarithm of odds: about -5 surely wanted, 5 surely not. */
  readonly evidence: number;
  /** 0 to 1: how much there was to learn from. */
  readonly trust: number;
  /** Points for the score. */
  readonly points: number;
  /** Tokens that spoke. */
  readonly tokens: number;
}

const MIN_TEACHERS = 3;
/** Chosen from training halves of the comparison by bench/filter/choose.ts. */
export interface JudgeConstants {
  /** Messages of the rarer kind at which half of the trust is there. */
  readonly halfTrust: number;
  /** Points for a unit of evidence at full trust. */
  readonly points: number;
  /** So many sightings does the belief in the middle weigh. */
  readonly strength: number;
  /** A token with less speaks not. */
  readonly minEvidence: number;
  /** Tokens that speak at most. */
  readonly strongest: number;
}

const JUDGE_CONSTANTS: JudgeConstants = {
  halfTrust: 10,
  points: 2.6,
  strength: 0.2,
  minEvidence: 2,
  strongest: 400,
};

interface Knowledges {
  readonly own: Knowledge | null;
  readonly shared: Knowledge | null;
}

/** Messages of both kinds were learnt. */
export function canJudge(knowledges: Knowledges): boolean {
  const { spam, ham } = messagesOf(knowledges);
  return spam >= 1 && ham >= 1;
}

function messagesOf({ own, shared }: Knowledges): { readonly spam: number; readonly ham: number } {
  return { spam: (own?.spam ?? 0) + (shared?.spam ?? 0), ham: (own?.ham ?? 0) + (shared?.ham ?? 0) };
}

/** Null where nothing can be said. */
export function judge(
  tokens: Uint32Array,
  { own, shared }: Knowledges,
  { halfTrust, points, strength, minEvidence, strongest } = JUDGE_CONSTANTS,
): Judgement | null {
  const { spam, ham } = messagesOf({ own, shared });
  if (spam < 1 || ham < 1) return null;
  const strong = new Float64Array(tokens.length);
  let count = 0;
  for (const token of tokens) {
    let s = 0;
    let h = 0;
    if (own !== null) {
      const at = own.find(token);
      if (at >= 0) {
        s = own.spamAt(at);
        h = own.hamAt(at);
      }
    }
    if (shared !== null) {
      const at = shared.find(token);
      if (at >= 0 && shared.teachersAt(at) >= MIN_TEACHERS) {
        s += shared.spamAt(at);
        h += shared.hamAt(at);
      }
    }
    const seen = s + h;
    if (seen === 0) continue;
    const a = s / spam;
    const b = h / ham;
    const probability = (strength / 2 + seen * a / (a + b)) / (strength + seen);
    const evidence = Math.log(probability / (1 - probability));
    if (evidence > minEvidence || evidence < -minEvidence) strong[count++] = evidence;
  }
  const found = strong.subarray(0, count).sort(); // ascending: the strongest stand at both ends
  let sum = 0;
  let low = 0;
  let high = count - 1;
  const used = Math.min(count, strongest);
  for (let i = 0; i < used; i++) sum += -found[low]! > found[high]! ? found[low++]! : found[high--]!;
  const evidence = used === 0 ? 0 : sum / used;
  const rarer = Math.min(spam, ham);
  const trust = rarer / (rarer + halfTrust);
  return { evidence, trust, points: evidence * trust * points, tokens: used };
}

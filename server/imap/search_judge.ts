/**
 * The keys of a search (RFC 3501 6.4.4) as one function of what is known of a message. A key whose evidence is not there yet is
 * "unknown", so that `OR SEEN TEXT x` reads only what is unseen.
 */
import type { SearchKey } from "../../protocols/imap/search_program.ts";
import { contains, type Ranges, SAVED_RESULT, type SequenceSet } from "../../protocols/imap/sequence_set.ts";
import { type Casemap, decodeNeedle, type MessageText } from "../../search/message_text.ts";
import type { MessageRow, ObjectFacts } from "../../storage/messages.ts";
import type { Selected } from "./context.ts";
import { emailId, threadId } from "./object_id.ts";
import { isRuledOut, type RuledOut } from "./search_candidates.ts";
import { type FuzzyScore, fuzzyScore, type TextKey, wantedOf } from "./search_fuzzy.ts";
import { resolveSet } from "./store.ts";
import type { TextAnswers } from "./text_answers.ts";

const DAY = 86_400_000;

/** True, false, or null when the evidence at hand does not decide. */
export type Verdict = boolean | null;

/** What is known of one message. */
export interface Evidence {
  sequence: number;
  uid: number;
  flags: number;
  keywords: string;
  modSeq: number;
  recent: boolean;
  readonly row: Pick<MessageRow, "internalDate" | "sentAt" | "sizeOctets"> | null;
  readonly text: MessageText | null;
  /** Of a long text: what is known of it; else null. */
  readonly answers: TextAnswers | null;
  /** Read with the row when some key needs them. */
  readonly facts: ObjectFacts | null;
}

export type Judge = (evidence: Readonly<Evidence>) => Verdict;

/** What keys are judged against. */
export interface Scene {
  readonly selected: Selected;
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** Filled while the search runs. */
  readonly ruledOut: RuledOut;
  /** Of the active comparator. */
  readonly casemap: Casemap;
  /** Inside of FUZZY. */
  readonly fuzzy: boolean;
  /** Filled with one for each fuzzy text key. */
  readonly scores: FuzzyScore[];
}

/** The tree of a search as a function. */
export function compile(key: SearchKey, scene: Scene): Judge {
  const { selected } = scene;
  switch (key.kind) {
    case "all":
      return () => true;
    case "sequence": {
      const ranges = resolveSearchSet(selected, key.set);
      return ({ sequence }) => contains(ranges, sequence);
    }
    case "uid": {
      const ranges = resolveSet(selected, { uid: true, set: key.set }) ?? [];
      return ({ sequence }) => contains(ranges, sequence);
    }
    case "flag":
      return ({ flags }) => (flags & key.flags) === key.flags;
    case "keyword":
      return ({ keywords }) => keywords !== "" && ` ${keywords.toLowerCase()} `.includes(` ${key.keyword} `);
    case "recent":
      return ({ recent }) => recent;
    case "mod-seq":
      return ({ modSeq }) => modSeq >= key.least;
    case "older":
    case "younger": {
      const limit = scene.now - key.seconds * 1000;
      const older = key.kind === "older";
      return ({ row }) => row === null ? null : older ? row.internalDate <= limit : row.internalDate >= limit;
    }
    case "larger":
      return ({ row }) => row === null ? null : row.sizeOctets > key.octets;
    case "smaller":
      return ({ row }) => row === null ? null : row.sizeOctets < key.octets;
    case "internal-date":
      return ({ row }) => row === null ? null : within(row.internalDate, key);
    case "sent-date":
      return ({ row }) => row === null ? null : row.sentAt !== null && within(row.sentAt, key);
    case "saved-date":
      return ({ row, facts }) => row === null ? null : facts !== null && within(facts.savedAt, key);
    case "object-id":
      return ({ row, facts }) =>
        row === null
          ? null
          : facts !== null && (key.of === "EMAILID" ? emailId(facts) : threadId(facts)) === key.id;
    case "header": {
      const fuzzy = scene.fuzzy ? compileFuzzy(key, scene) : null;
      if (fuzzy !== null) return fuzzy;
      const needle = decodeNeedle(key.needle, scene.casemap);
      if (needle === null) return () => false;
      return ({ uid, text, answers }) => {
        if (answers !== null) return answers.ask(key, needle);
        if (text !== null) return text.headerContains(key.field, needle);
        return isRuledOut(scene.ruledOut, key, uid) ? false : null;
      };
    }
    case "body":
    case "text": {
      const fuzzy = scene.fuzzy ? compileFuzzy(key, scene) : null;
      if (fuzzy !== null) return fuzzy;
      const needle = decodeNeedle(key.needle, scene.casemap);
      if (needle === null) return () => false;
      const whole = key.kind === "text";
      return ({ uid, text, answers }) => {
        if (text === null) return isRuledOut(scene.ruledOut, key, uid) ? false : null;
        if (answers !== null && needle !== "") return answers.ask(key, needle);
        // Every text contains the empty string.
        if (needle === "" || (whole && text.anyHeaderContains(needle))) return true;
        if (text.body !== null && text.body.includes(needle)) return true;
        return text.whole ? false : null;
      };
    }
    case "and": {
      const judges = key.keys.map((part) => compile(part, scene));
      return (evidence) => {
        let verdict: Verdict = true;
        for (const judge of judges) {
          const one = judge(evidence);
          if (one === false) return false;
          if (one === null) verdict = null;
        }
        return verdict;
      };
    }
    case "or": {
      const left = compile(key.left, scene);
      const right = compile(key.right, scene);
      return (evidence) => {
        const one = left(evidence);
        if (one === true) return true;
        const other = right(evidence);
        return other === true ? true : one === null || other === null ? null : false;
      };
    }
    case "not": {
      const judge = compile(key.key, scene);
      return (evidence) => {
        const verdict = judge(evidence);
        return verdict === null ? null : !verdict;
      };
    }
    case "fuzzy":
      return compile(key.key, { ...scene, fuzzy: true });
    default:
      return key satisfies never;
  }
}

/** Null for a key without words, which is matched exactly. */
function compileFuzzy(key: TextKey, { ruledOut, scores }: Scene): Judge | null {
  const wanted = wantedOf(key);
  if (wanted === null) return null;
  const score = fuzzyScore(key, wanted);
  scores.push(score);
  return ({ uid, text, answers }) => {
    if (text === null) return isRuledOut(ruledOut, key, uid) ? false : null;
    if (answers !== null) return answers.ask(key, score);
    const found = score(text);
    return found === null ? null : found > 0;
  };
}

/** Dates compare by day, without time and zone (RFC 3501 6.4.4). */
function within(
  time: number,
  key: { readonly since: number | null; readonly before: number | null },
): boolean {
  const day = Math.floor(time / DAY) * DAY;
  return (key.since === null || day >= key.since) && (key.before === null || day < key.before);
}

/** What message numbers in a search stand for, and `$`. */
export function resolveSearchSet(selected: Selected, set: SequenceSet): Ranges {
  return set === SAVED_RESULT ? selected.view.resolveUids(selected.saved) : selected.view.clipSequence(set);
}

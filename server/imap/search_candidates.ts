/**
 * What the full-text index says before messages are read: for each key that looks for text, which ones it rules out.
 *
 * The index never finds; it only narrows down, so that a search with it, without it or with half of it answers the same.
 * Asked only when more than {@linkcode WORTH_ASKING} messages would have to be read.
 */
import type { SearchKey } from "../../protocols/imap/search_program.ts";
import type { Candidates, IndexQuestion } from "../../search/index_reader.ts";
import { decodeNeedle, WORD_FIELDS } from "../../search/message_text.ts";
import { substringQuery, wordsQuery } from "../../search/query.ts";
import type { ImapContext, Selected } from "./context.ts";
import { wantedOf } from "./search_fuzzy.ts";

const WORTH_ASKING = 10;
/** Keys of one search that are looked up; what the others would rule out is read. */
const MAX_QUESTIONS = 32;

/** Answers by key; a key without one rules nothing out. */
export type RuledOut = Map<SearchKey, Candidates>;

/** True when the index has ruled the message out for this key. */
export function isRuledOut(answers: RuledOut, key: SearchKey, uid: number): boolean {
  const candidates = answers.get(key);
  return candidates !== undefined && uid <= candidates.through && !candidates.uids.has(uid);
}

/** Asks for each key of the tree and puts the answers into `answers`. */
export async function askIndex(
  context: ImapContext,
  selected: Selected,
  search: { readonly key: SearchKey; readonly undecided: number; readonly answers: RuledOut },
): Promise<void> {
  const { indexes } = context;
  const { key, undecided, answers } = search;
  if (indexes === null || undecided <= WORTH_ASKING) return;
  const { mailbox, index } = selected;
  const where = { accountId: mailbox.accountId, mailboxId: mailbox.id, uidNext: index.uidNext };
  let questions = 0;
  for (const [one, question] of questionsOf(key)) {
    if (++questions > MAX_QUESTIONS) return;
    const withWaiting = context.attached !== null && one.kind !== "header";
    const candidates = await indexes.candidates(
      where,
      { ...question, withWaiting },
      async () => await context.drain(),
    );
    if (candidates !== null) answers.set(one, candidates);
  }
}

function* questionsOf(
  key: SearchKey,
  fuzzy = false,
): Generator<[SearchKey, Omit<IndexQuestion, "withWaiting">]> {
  switch (key.kind) {
    case "and":
      for (const part of key.keys) yield* questionsOf(part, fuzzy);
      return;
    case "or":
      yield* questionsOf(key.left, fuzzy);
      yield* questionsOf(key.right, fuzzy);
      return;
    case "not":
      yield* questionsOf(key.key, fuzzy);
      return;
    case "fuzzy":
      yield* questionsOf(key.key, true);
      return;
    case "header":
    case "body":
    case "text": {
      const wanted = fuzzy ? wantedOf(key) : null;
      if (wanted !== null) {
        if (key.kind === "header" && !WORD_FIELDS.has(key.field)) return;
        const match = wordsQuery(wanted);
        if (match !== null) yield [key, { tables: ["words"], match }];
        return;
      }
      const needle = decodeNeedle(key.needle);
      const match = needle === null ? null : substringQuery(needle);
      if (match !== null) yield [key, { tables: TABLES[key.kind], match }];
      return;
    }
    default:
      return;
  }
}

const TABLES = { header: ["head"], body: ["body"], text: ["head", "body"] } as const;

/** SORT, UID SORT, THREAD and UID THREAD (RFC 5256 3; RETURN: RFC 5267 3.1; DISPLAYFROM, DISPLAYTO: RFC 5957). Pure. */
import { SP } from "../../../bytes/ascii.ts";
import type { Command } from "../command.ts";
import { astring, atom, type CommandCursor, list } from "../lexer.ts";
import { asksFuzzy } from "../search_program.ts";
import { searchReturn, searchTree } from "./search.ts";

const KEYS = [
  "ARRIVAL",
  "CC",
  "DATE",
  "FROM",
  "SIZE",
  "SUBJECT",
  "TO",
  "DISPLAYFROM",
  "DISPLAYTO",
  "RELEVANCY",
] as const;
const MAX_SORT_KEYS = 16;

export interface SortKey {
  readonly by: typeof KEYS[number];
  readonly reverse: boolean;
}

export function parseSort(uid: boolean): (cursor: CommandCursor) => Command {
  return (cursor) => {
    cursor.space();
    const returns = cursor.word("return ") ? searchReturn(cursor) : null;
    if (returns !== null) cursor.space();
    const order = list(cursor, () => sortKey(cursor), {
      least: 1,
      most: MAX_SORT_KEYS,
      expected: "sort keys",
    });
    cursor.space();
    const charset = astring(cursor, "a charset").toUpperCase();
    cursor.space();
    const key = searchTree(cursor);
    // RFC 6203 6.
    if ((returns?.relevancy || order.some(({ by }) => by === "RELEVANCY")) && !asksFuzzy(key)) {
      cursor.fail("FUZZY with RELEVANCY");
    }
    return { name: "SORT", uid, returns, order, charset, key };
  };
}

function sortKey(cursor: CommandCursor): SortKey {
  const at = cursor.at;
  let word = atom(cursor, "a sort key").toUpperCase();
  const reverse = word === "REVERSE" && cursor.take(SP);
  if (reverse) word = atom(cursor, "a sort key").toUpperCase();
  const by = KEYS.find((key) => key === word);
  if (by === undefined) {
    if (cursor.ok) cursor.at = at;
    cursor.fail(`one of ${KEYS.join(", ")}`);
  }
  return { by: by ?? "ARRIVAL", reverse };
}

const ALGORITHMS = ["REFERENCES", "REFS", "ORDEREDSUBJECT"] as const;

export function parseThread(uid: boolean): (cursor: CommandCursor) => Command {
  return (cursor) => {
    cursor.space();
    const at = cursor.at;
    const word = atom(cursor, "a threading algorithm").toUpperCase();
    const algorithm = ALGORITHMS.find((name) => name === word);
    if (algorithm === undefined) {
      if (cursor.ok) cursor.at = at;
      cursor.fail(`one of ${ALGORITHMS.join(", ")}`);
    }
    cursor.space();
    const charset = astring(cursor, "a charset").toUpperCase();
    cursor.space();
    return { name: "THREAD", uid, algorithm: algorithm ?? "REFERENCES", charset, key: searchTree(cursor) };
  };
}

/**
 * LIST and LSUB (RFC 3501 6.3.8, 6.3.9) with the selection and return options of RFC 5258, RFC 6154, RFC 5819,
 * RFC 8440 and RFC 9590.
 *
 * Pure. Limits: {@linkcode MAX_PATTERN} characters in a pattern, {@linkcode MAX_ALL_PATTERNS} in all, each behind the reference.
 */
import { LPAREN, SP } from "../../../bytes/ascii.ts";
import type { Command, ListCommand } from "../command.ts";
import { astringOctets, atom, type CommandCursor, list, listMailbox } from "../lexer.ts";
import { decodeMailboxName } from "../mailbox_name.ts";
import { utf8 } from "../../../bytes/decode.ts";
import { metadataEntries } from "./metadata.ts";
import { statusItems } from "./status.ts";

const MAX_PATTERN = 1_024;
const MAX_PATTERNS = 64;
const MAX_ALL_PATTERNS = 8_192;

export function parseList(cursor: CommandCursor): Command {
  cursor.space();
  const selection = new Set<string>();
  let extended = cursor.peek() === LPAREN;
  if (extended) {
    for (const option of words(cursor)) selection.add(option);
    cursor.space();
  }
  const reference = referenceName(cursor);
  cursor.space();
  if (cursor.peek() === LPAREN) extended = true;
  const patterns = cursor.peek() === LPAREN
    ? list(cursor, () => pattern(cursor), { least: 1, most: MAX_PATTERNS })
    : [pattern(cursor)];
  if (patterns.reduce((sum, { length }) => sum + reference.length + length, 0) > MAX_ALL_PATTERNS) {
    cursor.fail(`patterns of at most ${MAX_ALL_PATTERNS} characters together`);
  }
  const returns = {
    children: false,
    subscribed: false,
    specialUse: false,
    myRights: false,
    metadata: [] as ListCommand["returns"]["metadata"],
    status: [] as ListCommand["returns"]["status"],
  };
  if (cursor.take(SP)) {
    extended = true;
    if (!cursor.word("return ")) cursor.fail("RETURN");
    list(cursor, () => returnOption(cursor, returns), { least: 0, most: 16, expected: "return options" });
  }
  return {
    name: "LIST",
    reference,
    patterns,
    extended,
    subscribed: selection.has("SUBSCRIBED"),
    recursiveMatch: selection.has("RECURSIVEMATCH"),
    specialUse: selection.has("SPECIAL-USE"),
    // RFC 5258 3.1: selecting by subscription also returns it; RFC 6154 2 the same for special uses.
    returns: {
      ...returns,
      subscribed: returns.subscribed || selection.has("SUBSCRIBED"),
      specialUse: returns.specialUse || selection.has("SPECIAL-USE"),
    },
  };
}

export function parseLsub(cursor: CommandCursor): Command {
  cursor.space();
  const reference = referenceName(cursor);
  cursor.space();
  return {
    name: "LSUB",
    reference,
    patterns: [pattern(cursor)],
    extended: false,
    subscribed: true,
    recursiveMatch: false,
    specialUse: false,
    returns: {
      children: false,
      subscribed: false,
      specialUse: false,
      myRights: false,
      metadata: [],
      status: [],
    },
  };
}

/** A reference may end in the middle of nothing: it is no mailbox name, so nothing about it is refused. */
function referenceName(cursor: CommandCursor): string {
  const octets = astringOctets(cursor, "a reference name");
  const name = decodeMailboxName(octets, cursor.utf8Names) ?? utf8(octets);
  if (name.length > MAX_PATTERN) cursor.fail(`a reference of at most ${MAX_PATTERN} characters`);
  return name;
}

function pattern(cursor: CommandCursor): string {
  const text = listMailbox(cursor);
  if (text.length > MAX_PATTERN) cursor.fail(`a pattern of at most ${MAX_PATTERN} characters`);
  return text;
}

function words(cursor: CommandCursor): string[] {
  const options = list(cursor, () => atom(cursor, "an option").toUpperCase(), {
    least: 0,
    most: 16,
  });
  const known = ["SUBSCRIBED", "REMOTE", "RECURSIVEMATCH", "SPECIAL-USE"];
  if (options.some((option) => !known.includes(option))) cursor.fail("a known selection option");
  // RFC 5258 3.1: RECURSIVEMATCH modifies another option and means nothing alone.
  const base = options.includes("SUBSCRIBED") || options.includes("SPECIAL-USE");
  if (options.includes("RECURSIVEMATCH") && !base) cursor.fail("SUBSCRIBED or SPECIAL-USE");
  return options;
}

function returnOption(
  cursor: CommandCursor,
  returns: { -readonly [K in keyof ListCommand["returns"]]: ListCommand["returns"][K] },
): void {
  switch (atom(cursor, "a return option").toUpperCase()) {
    case "CHILDREN":
      returns.children = true;
      return;
    case "SUBSCRIBED":
      returns.subscribed = true;
      return;
    case "SPECIAL-USE":
      returns.specialUse = true;
      return;
    case "MYRIGHTS":
      returns.myRights = true;
      return;
    case "METADATA":
      cursor.space();
      returns.metadata = metadataEntries(cursor);
      return;
    case "STATUS":
      cursor.space();
      returns.status = statusItems(cursor);
      return;
    default:
      cursor.fail("a known return option");
  }
}

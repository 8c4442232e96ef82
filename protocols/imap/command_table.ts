/**
 * Every command: its parser, the states that allow it, and how it stands to sequence numbers. Rules as data.
 *
 * RFC 3501 6 (states), 5.5 and 7.4.1 (when EXPUNGE may be told), after the command flags of Dovecot. An extension
 * adds its line here and its parser in `commands/`. Pure.
 */
import type { CommandCursor } from "./lexer.ts";
import type { BareName, Command } from "./command.ts";
import { parseIdentifierAcl, parseMailboxAcl, parseSetAcl } from "./commands/acl.ts";
import { parseAuthenticate } from "./commands/authenticate.ts";
import { parseComparator } from "./commands/comparator.ts";
import { parseCompress } from "./commands/compress.ts";
import { parseCopyMove } from "./commands/copy_move.ts";
import { parseEnable } from "./commands/enable.ts";
import { parseCancelUpdate, parseEsearch } from "./commands/esearch.ts";
import { parseExpunge, parseUidExpunge } from "./commands/expunge.ts";
import { parseFetch } from "./commands/fetch.ts";
import { parseId } from "./commands/id.ts";
import { parseList, parseLsub } from "./commands/list.ts";
import { parseLogin } from "./commands/login.ts";
import { parseCreate, parseMailboxCommand, parseRename } from "./commands/mailbox.ts";
import { parseGetQuota, parseGetQuotaRoot, parseSetQuota } from "./commands/quota.ts";
import { parseGetMetadata, parseSetMetadata } from "./commands/metadata.ts";
import { parseNotify } from "./commands/notify.ts";
import { parseSearch } from "./commands/search.ts";
import { parseSelect } from "./commands/select.ts";
import { parseSort, parseThread } from "./commands/sort.ts";
import { parseStatus } from "./commands/status.ts";
import { parseUidBatches } from "./commands/uid_batches.ts";
import { parseStore } from "./commands/store.ts";

export type SessionState = "not-authenticated" | "authenticated" | "selected" | "logout";

export interface CommandRule {
  /** Reads the arguments, from the space behind the name on. */
  readonly parse: (cursor: CommandCursor) => Command;
  readonly states: readonly SessionState[];
  /**
   * The client counts on sequence numbers while it runs (FETCH, STORE, SEARCH without UID): no EXPUNGE may be told
   * before its tagged reply is out (RFC 3501 7.4.1).
   */
  readonly usesSequence: boolean;
}

const NOT_AUTHENTICATED: readonly SessionState[] = ["not-authenticated"];
const AUTHENTICATED: readonly SessionState[] = ["authenticated", "selected"];
const SELECTED: readonly SessionState[] = ["selected"];
const ANY: readonly SessionState[] = ["not-authenticated", "authenticated", "selected"];

function rule(
  states: readonly SessionState[],
  parse: (cursor: CommandCursor) => Command,
  sequence: "" | "uses" = "",
): CommandRule {
  return { parse, states, usesSequence: sequence === "uses" };
}

/** A command without arguments; one object serves all of them. */
function bare(name: BareName): () => Command {
  const command: Command = { name };
  return () => command;
}

/** By name in capitals. What brings messages is not here: it is read in pieces (commands/append.ts). */
export const COMMANDS: ReadonlyMap<string, CommandRule> = new Map([
  ["CAPABILITY", rule(ANY, bare("CAPABILITY"))],
  ["NOOP", rule(ANY, bare("NOOP"))],
  ["LOGOUT", rule(ANY, bare("LOGOUT"))],
  ["ID", rule(ANY, parseId)],
  ["STARTTLS", rule(NOT_AUTHENTICATED, bare("STARTTLS"))],
  ["AUTHENTICATE", rule(NOT_AUTHENTICATED, parseAuthenticate)],
  ["LOGIN", rule(NOT_AUTHENTICATED, parseLogin)],
  ["UNAUTHENTICATE", rule(AUTHENTICATED, bare("UNAUTHENTICATE"))],
  ["COMPRESS", rule(AUTHENTICATED, parseCompress)],
  ["GETMETADATA", rule(AUTHENTICATED, parseGetMetadata)],
  ["SETMETADATA", rule(AUTHENTICATED, parseSetMetadata)],
  ["COMPARATOR", rule(AUTHENTICATED, parseComparator)],
  ["GETACL", rule(AUTHENTICATED, parseMailboxAcl("GETACL"))],
  ["MYRIGHTS", rule(AUTHENTICATED, parseMailboxAcl("MYRIGHTS"))],
  ["LISTRIGHTS", rule(AUTHENTICATED, parseIdentifierAcl("LISTRIGHTS"))],
  ["SETACL", rule(AUTHENTICATED, parseSetAcl)],
  ["DELETEACL", rule(AUTHENTICATED, parseIdentifierAcl("DELETEACL"))],
  ["GETQUOTA", rule(AUTHENTICATED, parseGetQuota)],
  ["GETQUOTAROOT", rule(AUTHENTICATED, parseGetQuotaRoot)],
  ["SETQUOTA", rule(AUTHENTICATED, parseSetQuota)],
  ["ENABLE", rule(AUTHENTICATED, parseEnable)],
  ["SELECT", rule(AUTHENTICATED, parseSelect("SELECT"))],
  ["EXAMINE", rule(AUTHENTICATED, parseSelect("EXAMINE"))],
  ["CREATE", rule(AUTHENTICATED, parseCreate)],
  ["DELETE", rule(AUTHENTICATED, parseMailboxCommand("DELETE"))],
  ["RENAME", rule(AUTHENTICATED, parseRename)],
  ["SUBSCRIBE", rule(AUTHENTICATED, parseMailboxCommand("SUBSCRIBE"))],
  ["UNSUBSCRIBE", rule(AUTHENTICATED, parseMailboxCommand("UNSUBSCRIBE"))],
  ["LIST", rule(AUTHENTICATED, parseList)],
  ["LSUB", rule(AUTHENTICATED, parseLsub)],
  ["NAMESPACE", rule(AUTHENTICATED, bare("NAMESPACE"))],
  ["NOTIFY", rule(AUTHENTICATED, parseNotify)],
  ["STATUS", rule(AUTHENTICATED, parseStatus)],
  ["IDLE", rule(AUTHENTICATED, bare("IDLE"))],
  ["CHECK", rule(SELECTED, bare("CHECK"))],
  ["CLOSE", rule(SELECTED, bare("CLOSE"))],
  ["UNSELECT", rule(SELECTED, bare("UNSELECT"))],
  ["UIDBATCHES", rule(SELECTED, parseUidBatches, "uses")],
  ["EXPUNGE", rule(SELECTED, parseExpunge)],
  ["UID EXPUNGE", rule(SELECTED, parseUidExpunge)],
  ["SEARCH", rule(SELECTED, parseSearch(false), "uses")],
  ["UID SEARCH", rule(SELECTED, parseSearch(true))],
  ["ESEARCH", rule(AUTHENTICATED, parseEsearch)],
  ["CANCELUPDATE", rule(SELECTED, parseCancelUpdate, "uses")],
  ["SORT", rule(SELECTED, parseSort(false), "uses")],
  ["UID SORT", rule(SELECTED, parseSort(true))],
  ["THREAD", rule(SELECTED, parseThread(false), "uses")],
  ["UID THREAD", rule(SELECTED, parseThread(true))],
  ["FETCH", rule(SELECTED, parseFetch(false), "uses")],
  ["UID FETCH", rule(SELECTED, parseFetch(true))],
  ["STORE", rule(SELECTED, parseStore(false), "uses")],
  ["UID STORE", rule(SELECTED, parseStore(true))],
  ["COPY", rule(SELECTED, parseCopyMove("COPY", false))],
  ["UID COPY", rule(SELECTED, parseCopyMove("COPY", true))],
  ["MOVE", rule(SELECTED, parseCopyMove("MOVE", false))],
  ["UID MOVE", rule(SELECTED, parseCopyMove("MOVE", true))],
]);

/** Commands that name messages by number: not for a client with UIDONLY (RFC 9586 3.2, 3.8). */
export const BY_NUMBER: ReadonlySet<string> = new Set([
  "FETCH",
  "STORE",
  "SEARCH",
  "SORT",
  "THREAD",
  "COPY",
  "MOVE",
  "REPLACE",
]);

/** States that allow the commands that bring messages as literals. */
export const APPENDING: ReadonlyMap<string, readonly SessionState[]> = new Map([
  ["APPEND", AUTHENTICATED],
  ["REPLACE", SELECTED],
  ["UID REPLACE", SELECTED],
]);

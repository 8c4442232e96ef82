/** GETQUOTA, GETQUOTAROOT, SETQUOTA (RFC 9208 4.1). Pure. Limit: 16 resources. */
import type { Command } from "../command.ts";
import { astring, atom, type CommandCursor, list, mailbox } from "../lexer.ts";

export function parseGetQuota(cursor: CommandCursor): Command {
  cursor.space();
  return { name: "GETQUOTA", root: astring(cursor, "a quota root") };
}

export function parseGetQuotaRoot(cursor: CommandCursor): Command {
  cursor.space();
  return { name: "GETQUOTAROOT", mailbox: mailbox(cursor) };
}

export function parseSetQuota(cursor: CommandCursor): Command {
  cursor.space();
  const root = astring(cursor, "a quota root");
  cursor.space();
  const limits = list(cursor, () => {
    const resource = atom(cursor, "a resource").toUpperCase();
    cursor.space();
    return { resource, limit: cursor.number(Number.MAX_SAFE_INTEGER, "a limit") };
  }, { least: 0, most: 16, expected: "resources and limits" });
  return { name: "SETQUOTA", root, limits };
}

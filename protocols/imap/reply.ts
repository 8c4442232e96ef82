/** Tagged replies, and those that the grammar's faults become. Pure. */
import type { CommandCursor } from "./lexer.ts";

/** A tagged reply. `code` is a response code without brackets, "" for none. */
export interface Reply {
  readonly status: "OK" | "NO" | "BAD";
  readonly code?: string;
  readonly text: string;
}

/** RFC 3501 5.1.3. */
export const BAD_NAME: Reply = {
  status: "NO",
  code: "CANNOT",
  text: "The mailbox name is not valid modified UTF-7",
};

/** What was expected where, of a cursor that has a fault; octets count from 1. */
export function fault(cursor: CommandCursor): Reply {
  const { expected, at } = cursor.fault!;
  return { status: "BAD", text: `Expected ${expected} at octet ${at - cursor.start + 1}` };
}

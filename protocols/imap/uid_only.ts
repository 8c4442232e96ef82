/** What a client with UIDONLY may not send (RFC 9586). Pure. */
import type { Command } from "./command.ts";
import type { Reply } from "./reply.ts";
import { asksNumbers } from "./search_program.ts";

/** RFC 9586 3. */
export const UID_REQUIRED: Reply = {
  status: "BAD",
  code: "UIDREQUIRED",
  text: "Message numbers are not allowed once UIDONLY is enabled",
};

/** True when an argument holds message numbers (RFC 9586 3.5, 3.7). */
export function namesNumbers(command: Command): boolean {
  switch (command.name) {
    case "SEARCH":
    case "SORT":
    case "THREAD":
    case "ESEARCH":
      return asksNumbers(command.key);
    case "SELECT":
    case "EXAMINE":
      return command.qresync?.matchData === true;
    default:
      return false;
  }
}

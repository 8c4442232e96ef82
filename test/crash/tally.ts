/**
 * How often each command that changes something was acknowledged in a crash run. Which there are is read from the tables of
 * the protocols: a new command counts as one that changes until it is named here.
 */
import { APPENDING, COMMANDS } from "../../protocols/imap/command_table.ts";
import { VERBS } from "../../protocols/managesieve/command.ts";

const CHANGES_NOTHING = new Set([
  ...[
    "CAPABILITY",
    "NOOP",
    "LOGOUT",
    "ID",
    "STARTTLS",
    "AUTHENTICATE",
    "LOGIN",
    "UNAUTHENTICATE",
    "COMPRESS",
  ],
  ...["GETMETADATA", "COMPARATOR", "GETACL", "MYRIGHTS", "LISTRIGHTS", "GETQUOTA", "GETQUOTAROOT", "ENABLE"],
  // \Recent alone, which is promised to nobody.
  ...["SELECT", "EXAMINE", "UNSELECT"],
  ...["LIST", "LSUB", "NAMESPACE", "NOTIFY", "STATUS", "IDLE", "CHECK", "UIDBATCHES", "CANCELUPDATE"],
  ...["SEARCH", "UID SEARCH", "ESEARCH", "SORT", "UID SORT", "THREAD", "UID THREAD"],
  ...["CHECKSCRIPT", "GETSCRIPT", "HAVESPACE", "LISTSCRIPTS"],
]);
/** Of POP3, where everything else only reads. */
const POP3 = ["DELE", "QUIT"];
/** Forms of commands that change more than the command alone. */
const FORMS = ["CREATE (USE", "RENAME INBOX", "RENAME with children", "APPEND of several"];

export const CHANGING: readonly string[] = [
  ...[...COMMANDS.keys(), ...APPENDING.keys(), ...VERBS].filter((name) => !CHANGES_NOTHING.has(name)),
  ...POP3,
  ...FORMS,
];

export class Tally {
  readonly #counts = new Map<string, number>();

  count(name: string): void {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
  }

  add(other: Tally): void {
    for (const [name, count] of other.#counts) {
      this.#counts.set(name, (this.#counts.get(name) ?? 0) + count);
    }
  }

  /** That were never acknowledged. */
  get missing(): string[] {
    return CHANGING.filter((name) => !this.#counts.has(name));
  }

  toString(): string {
    return CHANGING.map((name) => `${name} ${this.#counts.get(name) ?? 0}`).join(", ");
  }
}

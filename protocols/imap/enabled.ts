/**
 * What a client has enabled (RFC 5161), by ENABLE or by commands that imply it (RFC 7162 3.1), and what follows. Pure.
 */
import { isHidden } from "./capability.ts";
import type { Command } from "./command.ts";
import { asksModSeq } from "./search_program.ts";

/** Extensions that change what a client is told, and so wait for its ENABLE. */
const CAN_ENABLE: ReadonlySet<string> = new Set([
  "CONDSTORE",
  "QRESYNC",
  "UTF8=ACCEPT",
  "IMAP4REV2",
  "METADATA",
  "METADATA-SERVER",
  "UIDONLY",
]);

export class Enabled {
  #names = new Set<string>();

  /** The client knows MODSEQ: it is told of it with every change of flags (RFC 7162 3.1). */
  get condstore(): boolean {
    return this.#names.has("CONDSTORE");
  }

  get qresync(): boolean {
    return this.#names.has("QRESYNC");
  }

  /** The client speaks RFC 9051: ESEARCH for SEARCH, nothing of \Recent, names in UTF-8. */
  get rev2(): boolean {
    return this.#names.has("IMAP4REV2");
  }

  /** Names and quoted strings are UTF-8 both ways (RFC 6855 3, RFC 9051 5.1). */
  get utf8(): boolean {
    return this.utf8Accept || this.rev2;
  }

  /** A charset in SEARCH is a contradiction (RFC 6855 3), which it is not for RFC 9051 6.4.4. */
  get utf8Accept(): boolean {
    return this.#names.has("UTF8=ACCEPT");
  }

  /** Message numbers are neither taken nor told (RFC 9586 3). */
  get uidOnly(): boolean {
    return this.#names.has("UIDONLY");
  }

  /** Expunges are told by VANISHED (RFC 7162 3.2.10, RFC 9586 3.4). */
  get vanished(): boolean {
    return this.qresync || this.uidOnly;
  }

  /** Changes of annotations are told: of mailboxes and the account, or of the account alone (RFC 5464 4.1). */
  get metadata(): boolean {
    return this.#names.has("METADATA");
  }

  get serverMetadata(): boolean {
    return this.metadata || this.#names.has("METADATA-SERVER");
  }

  /**
   * ENABLE: returns what is new. Unknown names are no error (RFC 5161 3.1); QRESYNC brings CONDSTORE along
   * (RFC 7162 3.2.3).
   */
  add(names: readonly string[], hidden: ReadonlySet<string>): string[] {
    const fresh = names.filter((name, at) =>
      CAN_ENABLE.has(name) && !isHidden(hidden, name) && names.indexOf(name) === at && !this.#names.has(name)
    );
    for (const name of fresh) this.#names.add(name);
    if (this.qresync) this.#names.add("CONDSTORE");
    return fresh;
  }

  /** A command that enables CONDSTORE does so before it is carried out. */
  note(command: Command): void {
    if (enablesCondstore(command)) this.#names.add("CONDSTORE");
  }

  clear(): void {
    this.#names.clear();
  }
}

/** CONDSTORE enabling commands (RFC 7162 3.1). */
function enablesCondstore(command: Command): boolean {
  switch (command.name) {
    case "SELECT":
    case "EXAMINE":
      return command.condstore;
    case "STATUS":
      return command.items.includes("HIGHESTMODSEQ");
    case "FETCH":
      return command.changedSince !== null || command.items.some(({ kind }) => kind === "MODSEQ");
    case "STORE":
      return command.unchangedSince !== null;
    case "SEARCH":
    case "ESEARCH":
    case "SORT":
    case "THREAD":
      return asksModSeq(command.key);
    default:
      return false;
  }
}

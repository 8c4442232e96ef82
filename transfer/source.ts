/** Where mail is brought from: folders, and the messages of each in the order they came. */

export interface SourceMessage {
  /** What it is called there, for good: an import leaves out what it has brought before. */
  readonly item: string;
  /** The folder, where a source has no order by folders; null is the one it was asked of. */
  readonly folder: string | null;
  /** Bits as in storage/changes.ts. */
  readonly flags: number;
  readonly keywords: readonly string[];
  readonly internalDate: number;
  readonly uid: number | null;
  /** The id that POP3 clients know it by. */
  readonly uidl: string | null;
  /** The octets, in pieces; line ends as they are there. Called once. */
  octets(): AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

export interface SourceFolder {
  /** UTF-8, levels separated by "/"; the first is "INBOX" in any source that has one. */
  readonly name: string;
  /** As in "\\Sent"; null without. */
  readonly specialUse: string | null;
  readonly uidValidity: number | null;
  /** Messages in all, as far as that is known before they are read. */
  readonly messages: number;
  /** Each message must be read before the next is asked for. */
  readonly sequential: boolean;
  /** Those whose item is not `known`, UIDs ascending. */
  list(known: ReadonlySet<string>): AsyncIterable<SourceMessage>;
}

export interface Source {
  /** Which source it is, the same each time it is opened. */
  readonly identity: string;
  folders(): Promise<SourceFolder[]>;
  close(): Promise<void>;
}

/** The source cannot be read; the message is for the operator. */
export class SourceError extends Error {
  override readonly name = "SourceError";
}

/** The POP3 id that Dovecot gives a message out of the box (pop3_uidl_format `%08Xu%08Xv`). */
export function dovecotUidl(uid: number, uidValidity: number): string {
  return [uid, uidValidity].map((number) => number.toString(16).padStart(8, "0")).join("");
}

const KEYWORD = /^[!#$&',\-.0-9:;<=>?@A-Z^_`a-z|~/+]{1,100}$/;

/** Keywords that IMAP can carry, sorted, without the system flags. */
export function cleanKeywords(words: Iterable<string>): string[] {
  return [...new Set([...words].filter((word) => KEYWORD.test(word)))].sort().slice(0, 50);
}

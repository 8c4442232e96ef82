/**
 * Writes the mail of an account as Maildir++ or as mbox files, in the form that import reads back: flags, keywords, dates,
 * UIDs, and the ids that POP3 gave each message. Lines end with LF, as both forms have it.
 *
 * Reads beside a running server: a message that is expunged meanwhile is left out, one that compaction moves is looked up
 * again. Memory: a piece of a message, and the flags of one mailbox.
 */
import { CR, LF } from "../bytes/ascii.ts";
import { encodeLatin1 } from "../bytes/decode.ts";
import { encodeUtf7 } from "../protocols/imap/utf7.ts";
import { uniqueIdOf } from "../protocols/pop3/maildrop.ts";
import { FLAG_ANSWERED, FLAG_DELETED, FLAG_DRAFT, FLAG_FLAGGED, FLAG_SEEN } from "../storage/changes.ts";
import { maildirLetters } from "../storage/maildir_letters.ts";
import type { Mailbox } from "../storage/mailboxes.ts";
import type { MessageRow } from "../storage/messages.ts";
import { StorageError, type Store } from "../storage/store.ts";

const PAGE = 200;
const PIECE_OCTETS = 256 * 1024;
const QUOTED = encodeLatin1("From ");

export type ExportForm = "maildir" | "mbox";

export interface ExportOptions {
  readonly store: Store;
  readonly accountId: number;
  readonly form: ExportForm;
  /** Empty, or not there. */
  readonly to: string;
  readonly progress?: (progress: { readonly done: number; readonly total: number }) => void;
}

export interface ExportReport {
  readonly folders: number;
  readonly messages: number;
  readonly octets: number;
  /** Messages that could not be read. */
  readonly failures: readonly { readonly folder: string; readonly item: string; readonly reason: string }[];
}

interface Facts {
  readonly flags: number;
  readonly keywords: readonly string[];
  readonly uidl: string;
}

/** Where the messages of one mailbox go. */
interface Target {
  /** `lines` are whole lines of the message, ending with LF but for the last. */
  add(row: MessageRow, facts: Facts, lines: AsyncIterable<Uint8Array>): Promise<void>;
  close(): void;
}

export async function exportMail(options: ExportOptions): Promise<ExportReport> {
  const { store, accountId, form, to, progress } = options;
  Deno.mkdirSync(to, { recursive: true, mode: 0o700 });
  for (const _ of Deno.readDirSync(to)) throw new Error(`${to} is not empty`);
  const mailboxes = store.mailboxes.list(accountId).filter(({ selectable }) => selectable);
  const total = mailboxes.reduce((sum, { messages }) => sum + messages, 0);
  const failures: { folder: string; item: string; reason: string }[] = [];
  let messages = 0, octets = 0;
  for (const mailbox of mailboxes) {
    const index = await store.mailboxes.open(mailbox.id);
    if (index === null) continue; // deleted meanwhile
    const uidls = store.messages.keptUidls(mailbox.id);
    const target = form === "maildir" ? new MaildirFolder(to, mailbox) : new MboxFile(to, mailbox);
    try {
      for (let after = 0;;) {
        const rows = store.messages.rows(mailbox.id, [[after + 1, 0xffffffff]], {
          limit: PAGE,
          withImap: false,
        });
        for (const row of rows) {
          const position = index.positionOf(row.uid);
          if (position < 0) continue; // it came behind the index, or went
          const facts = {
            flags: index.flagsAt(position),
            keywords: index.keywordsAt(position).split(" ").filter((word) => word !== ""),
            uidl: uidls.get(row.uid) ?? uniqueIdOf(row.uid, mailbox.uidValidity),
          };
          try {
            await target.add(row, facts, linesOf(store, mailbox.id, row));
            messages++;
            octets += row.sizeOctets;
          } catch (error) {
            if (!(error instanceof StorageError)) throw error;
            failures.push({ folder: mailbox.name, item: String(row.uid), reason: error.message });
          }
        }
        progress?.({ done: messages, total });
        const last = rows.at(-1);
        if (last === undefined || rows.length < PAGE) break;
        after = last.uid;
      }
    } finally {
      target.close();
      index.release();
    }
  }
  return { folders: mailboxes.length, messages, octets, failures };
}

/** A message in pieces of whole lines, CRLF as LF. */
async function* linesOf(store: Store, mailboxId: number, row: MessageRow): AsyncGenerator<Uint8Array> {
  let rest = new Uint8Array(0);
  for await (const piece of octetsOf(store, mailboxId, row)) {
    const bytes = new Uint8Array(rest.length + piece.length);
    bytes.set(rest);
    bytes.set(piece, rest.length);
    const cut = bytes.lastIndexOf(LF) + 1;
    rest = bytes.slice(cut);
    if (cut > 0) yield withoutCr(bytes.subarray(0, cut));
  }
  if (rest.length > 0) yield withoutCr(rest);
}

async function* octetsOf(store: Store, mailboxId: number, row: MessageRow): AsyncGenerator<Uint8Array> {
  yield row.prefix;
  let { blob } = row;
  for (let at = 0; at < row.blob.length; at += PIECE_OCTETS) {
    const end = Math.min(row.blob.length, at + PIECE_OCTETS);
    try {
      yield await store.blobs.read(blob, at, end);
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      const again = store.messages.row(mailboxId, row.uid, { withImap: false });
      if (again === null) throw error;
      blob = again.blob;
      yield await store.blobs.read(blob, at, end);
    }
  }
}

function withoutCr(bytes: Uint8Array): Uint8Array {
  const into = new Uint8Array(bytes.length);
  let at = 0;
  for (let i = 0; i < bytes.length; i++) {
    if (bytes[i] !== CR || bytes[i + 1] !== LF) into[at++] = bytes[i]!;
  }
  return into.subarray(0, at);
}

class MaildirFolder implements Target {
  readonly #path: string;
  readonly #mailbox: Mailbox;
  #keywords: string[];
  #uids: string[];

  constructor(to: string, mailbox: Mailbox) {
    this.#mailbox = mailbox;
    this.#path = mailbox.name === "INBOX" ? to : `${to}/.${mailbox.name.split("/").map(levelName).join(".")}`;
    this.#keywords = [];
    this.#uids = [];
    for (const sub of ["cur", "new", "tmp"]) {
      Deno.mkdirSync(`${this.#path}/${sub}`, { recursive: true, mode: 0o700 });
    }
    if (mailbox.name !== "INBOX") Deno.writeTextFileSync(`${this.#path}/maildirfolder`, "");
  }

  async add(row: MessageRow, facts: Facts, lines: AsyncIterable<Uint8Array>): Promise<void> {
    const seconds = Math.floor(row.internalDate / 1000);
    const name = `${seconds}.V${this.#mailbox.uidValidity}U${row.uid}.veredus`;
    const path = `${this.#path}/cur/${name}:2,${this.#letters(facts)}`;
    try {
      using file = Deno.openSync(path, { write: true, createNew: true, mode: 0o600 });
      for await (const piece of lines) writeAll(file, piece);
      file.utimeSync(seconds, seconds);
    } catch (error) {
      Deno.removeSync(path);
      throw error;
    }
    this.#uids.push(`${row.uid} P${facts.uidl} :${name}\n`);
  }

  close(): void {
    const { uidValidity, uidNext } = this.#mailbox;
    const text = `3 V${uidValidity} N${uidNext}\n${this.#uids.join("")}`;
    Deno.writeTextFileSync(`${this.#path}/dovecot-uidlist`, text, { mode: 0o600 });
    if (this.#keywords.length === 0) return;
    const keywords = this.#keywords.map((word, at) => `${at} ${word}\n`).join("");
    Deno.writeTextFileSync(`${this.#path}/dovecot-keywords`, keywords, { mode: 0o600 });
  }

  /** System flags, then letters for the first 26 keywords of the mailbox. */
  #letters({ flags, keywords }: Facts): string {
    const letters = maildirLetters(flags);
    for (const word of keywords) {
      let at = this.#keywords.indexOf(word);
      if (at < 0 && this.#keywords.length < 26) at = this.#keywords.push(word) - 1;
      if (at >= 0) letters.push(String.fromCharCode(97 + at));
    }
    return letters.sort().join("");
  }
}

/** A dot separates levels in Maildir++. */
function levelName(level: string): string {
  return encodeUtf7(level).replace(/[%.]/g, (character) => character === "." ? "%2E" : "%25");
}

class MboxFile implements Target {
  readonly #file: Deno.FsFile;

  constructor(to: string, mailbox: Mailbox) {
    const levels = mailbox.name.split("/").map((level) =>
      level.replace(/^\.|%/g, (character) => character === "." ? "%2E" : "%25")
    );
    const path = `${to}/${levels.join("/")}.mbox`;
    Deno.mkdirSync(path.slice(0, path.lastIndexOf("/")), { recursive: true, mode: 0o700 });
    this.#file = Deno.openSync(path, { write: true, createNew: true, mode: 0o600 });
  }

  async add(row: MessageRow, facts: Facts, lines: AsyncIterable<Uint8Array>): Promise<void> {
    const begin = this.#file.seekSync(0, Deno.SeekMode.Current);
    try {
      this.#text(`From MAILER-DAEMON ${asctime(row.internalDate)}\n${ownFields(facts)}`);
      let last = LF;
      for await (const piece of lines) {
        this.#quoted(piece);
        last = piece.at(-1) ?? last;
      }
      this.#text(last === LF ? "\n" : "\n\n");
    } catch (error) {
      this.#file.truncateSync(begin);
      this.#file.seekSync(begin, Deno.SeekMode.Start);
      throw error;
    }
  }

  close(): void {
    this.#file.close();
  }

  /** mboxrd: every line of `>`s and `From ` gets one more. */
  #quoted(lines: Uint8Array): void {
    let from = 0;
    for (let at = 0; at < lines.length;) {
      let quotes = at;
      while (lines[quotes] === 0x3e) quotes++;
      if (QUOTED.every((octet, i) => lines[quotes + i] === octet)) {
        writeAll(this.#file, lines.subarray(from, at));
        this.#text(">");
        from = at;
      }
      const lf = lines.indexOf(LF, at);
      at = lf < 0 ? lines.length : lf + 1;
    }
    writeAll(this.#file, lines.subarray(from));
  }

  #text(text: string): void {
    writeAll(this.#file, encodeLatin1(text));
  }
}

function ownFields({ flags, keywords, uidl }: Facts): string {
  const status = (flags & FLAG_SEEN ? "R" : "") + "O";
  const more = (flags & FLAG_ANSWERED ? "A" : "") + (flags & FLAG_FLAGGED ? "F" : "") +
    (flags & FLAG_DRAFT ? "T" : "") + (flags & FLAG_DELETED ? "D" : "");
  return `Status: ${status}\n${more === "" ? "" : `X-Status: ${more}\n`}` +
    `${keywords.length === 0 ? "" : `X-Keywords: ${keywords.join(" ")}\n`}X-UIDL: ${uidl}\n`;
}

/** `Wed Jan  1 00:00:00 2025`, UTC. */
function asctime(time: number): string {
  const [day = "", date = "", month = "", year = "", clock = ""] = new Date(time).toUTCString().split(/,? /);
  return `${day} ${month} ${date.replace(/^0/, " ")} ${clock} ${year}`;
}

function writeAll(file: Deno.FsFile, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += file.writeSync(bytes.subarray(at));
}

/**
 * Writes every intact message as Maildir, from the segment files alone or with what is left of the database.
 *
 * Each record tells its accounts, mailbox and date. Where the database can be read it tells more: where the message is
 * now, its flags, and the lines before the shared octets; and it tells which messages were removed. Those, and all
 * others it knows nothing of, are written to a folder `Unreferenced` then. Segments are read as they are, nothing is
 * changed. Damaged records are listed, and the next one is looked for by its magic: such a finding is marked, because
 * octets inside a damaged message can look like a record.
 *
 *     DIR/<account>/{cur,new,tmp}            INBOX           DIR/queue/...   messages on their way out,
 *     DIR/<account>/.Sent.2024/{cur,new,tmp} other mailboxes DIR/queue.jsonl with their envelopes
 */
import { dirname } from "node:path";
import { crc32 } from "node:zlib";
import { encode, utf8 } from "../bytes/decode.ts";
import { maildirLetters } from "./maildir_letters.ts";
import type { DataFolder } from "./data_folder.ts";
import { SalvageIndex } from "./salvage_index.ts";
import { readAt, type ScannedRecord, scanSegment, segmentNumber } from "./segment.ts";

export interface SkippedRecord {
  readonly segment: number;
  readonly offset: number;
  readonly octets: number;
  readonly reason: string;
}

export interface SalvageReport {
  /** Files written; a message in two mailboxes is two. */
  readonly written: number;
  readonly octets: number;
  /** Maildir folders, by account. */
  readonly folders: number;
  readonly skipped: readonly SkippedRecord[];
  /** Why the database was not used; null when it was. */
  readonly withoutDatabase: string | null;
}

export interface SalvageOptions {
  readonly folder: DataFolder;
  /** Must not exist, or be empty. */
  readonly to: string;
  readonly progress: (progress: { readonly done: number; readonly total: number }) => void;
}

/** One place a message is written to. */
interface Place {
  /** Folder below `to`. */
  readonly folder: string;
  readonly flags: number;
  readonly internalDate: number;
  readonly prefix: Uint8Array;
}

const PIECE_OCTETS = 1024 * 1024;
/** Leaves room for the mark of what was found behind damage. */
const MAX_NAME_OCTETS = 220;
const NO_PREFIX = new Uint8Array(0);

export async function salvage(options: SalvageOptions): Promise<SalvageReport> {
  const { folder, to, progress } = options;
  Deno.mkdirSync(to, { recursive: true, mode: 0o700 });
  for (const _ of Deno.readDirSync(to)) throw new Error(`${to} is not empty`);
  const names = [...Deno.readDirSync(folder.segments)].map((entry) => entry.name)
    .filter((name) => segmentNumber(name) !== null).sort();
  const total = names.reduce((sum, name) => sum + Deno.statSync(`${folder.segments}/${name}`).size, 0);
  const work = new Salvage(to, SalvageIndex.open(folder.database));
  try {
    let done = 0;
    for (const name of names) {
      using file = Deno.openSync(`${folder.segments}/${name}`);
      await work.segment(file, segmentNumber(name)!);
      done += file.statSync().size;
      progress({ done, total });
    }
    return work.report();
  } finally {
    work.close();
  }
}

class Salvage {
  #to: string;
  #index: SalvageIndex;
  #folders = new Set<string>();
  #skipped: SkippedRecord[] = [];
  #written = 0;
  #octets = 0;

  constructor(to: string, index: SalvageIndex) {
    this.#to = to;
    this.#index = index;
  }

  report(): SalvageReport {
    return {
      written: this.#written,
      octets: this.#octets,
      folders: this.#folders.size,
      skipped: this.#skipped,
      withoutDatabase: this.#index.unusable,
    };
  }

  close(): void {
    this.#index.close();
  }

  async segment(file: Deno.FsFile, segment: number): Promise<void> {
    for (const record of scanSegment(file, { checkPayloads: true })) {
      const { offset, header, intact, gapOctets } = record;
      if (gapOctets > 0) {
        const at = offset - gapOctets;
        this.#skipped.push({ segment, offset: at, octets: gapOctets, reason: "no record begins there" });
      }
      if (intact) this.#record(file, { segment, record });
      else {
        const reason = record.salvage === null ? "its salvage header is damaged" : "its octets are damaged";
        this.#skipped.push({ segment, offset, octets: header.payloadLength, reason });
      }
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
  }

  #record(file: Deno.FsFile, found: { segment: number; record: ScannedRecord }): void {
    const { segment, record } = found;
    const { offset, header } = record;
    const name = `${segment}_${offset}`;
    for (const [i, place] of this.#places(segment, record).entries()) {
      const seconds = Math.max(0, Math.floor(place.internalDate / 1000));
      const letters = maildirLetters(place.flags).join("");
      const path = `${this.#maildir(place.folder)}/cur/${seconds}.${name}_${i}.veredus:2,${letters}`;
      this.#write(path, { file, offset, length: header.payloadLength, prefix: place.prefix });
      Deno.utimeSync(path, seconds, seconds);
    }
  }

  #places(segment: number, record: ScannedRecord): Place[] {
    const facts = record.salvage!;
    const { internalDate } = facts;
    const mark = record.gapOctets > 0 ? ".Found behind damage" : "";
    const here = (folder: string): Place => ({
      folder: folder + mark,
      flags: 0,
      internalDate,
      prefix: NO_PREFIX,
    });
    const known = this.#index.placesOf({ segment, offset: record.offset });
    if (known !== null) {
      const places: Place[] = known.messages.map((message) => ({
        ...message,
        folder: `${safe(message.account)}${maildirName(message.mailbox)}`,
      }));
      if (known.queued) places.push(this.#queued(segment, record));
      return places.length > 0
        ? places
        : facts.accounts.map((account) => here(`${safe(account)}/.Unreferenced`));
    }
    if (facts.accounts.length === 0) return [this.#queued(segment, record)];
    return facts.accounts.map((account) => here(safe(account) + maildirName(facts.mailbox)));
  }

  /** Beside the message its envelope, so that it can be sent again. */
  #queued(segment: number, record: ScannedRecord): Place {
    const { sender, recipients, internalDate, traceId } = record.salvage!;
    const line = JSON.stringify({ file: `${segment}_${record.offset}`, traceId, sender, recipients });
    Deno.writeTextFileSync(`${this.#to}/queue.jsonl`, line + "\n", { append: true, mode: 0o600 });
    return { folder: "queue", flags: 0, internalDate, prefix: NO_PREFIX };
  }

  #maildir(folder: string): string {
    const path = `${this.#to}/${folder}`;
    if (this.#folders.has(folder)) return path;
    for (const part of ["cur", "new", "tmp"]) {
      Deno.mkdirSync(`${path}/${part}`, { recursive: true, mode: 0o700 });
    }
    // Maildir++ knows a subfolder by this file.
    if (dirname(folder) !== ".") Deno.writeTextFileSync(`${path}/maildirfolder`, "");
    this.#folders.add(folder);
    return path;
  }

  #write(
    path: string,
    from: { file: Deno.FsFile; offset: number; length: number; prefix: Uint8Array },
  ): void {
    using out = Deno.openSync(path, { write: true, createNew: true, mode: 0o600 });
    write(out, from.prefix);
    const buffer = new Uint8Array(Math.min(PIECE_OCTETS, from.length));
    for (let at = 0; at < from.length;) {
      const piece = buffer.subarray(0, Math.min(buffer.length, from.length - at));
      readAt(from.file, from.offset + at, piece);
      write(out, piece);
      at += piece.length;
    }
    this.#written++;
    this.#octets += from.prefix.length + from.length;
  }
}

function write(file: Deno.FsFile, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += file.writeSync(bytes.subarray(at));
}

/** An address as one path component. */
function safe(address: string): string {
  const name = encodeURIComponent(address.toWellFormed()).replaceAll("%40", "@");
  return cut(name.startsWith(".") ? `%2E${name.slice(1)}` : name);
}

/** Maildir++: INBOX is the account's folder, others are beside each other with their levels joined by dots. */
function maildirName(mailbox: string): string {
  if (mailbox === "INBOX" || mailbox === "") return "";
  // deno-lint-ignore no-control-regex
  const levels = mailbox.split("/").map((level) => level.replace(/[.%\x00-\x1f\x7f]/g, escaped));
  return cut(`/.${levels.join(".")}`);
}

function escaped(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`;
}

/** A file name has at most 255 octets: a longer one keeps its start and a checksum of all of it. */
function cut(name: string): string {
  const octets = encode(name);
  if (octets.length <= MAX_NAME_OCTETS) return name;
  return `${utf8(octets, 0, MAX_NAME_OCTETS - 20).replace(/\uFFFD$/, "")}~${crc32(octets).toString(16)}`;
}

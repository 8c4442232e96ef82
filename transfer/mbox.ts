/**
 * An mbox file as a source, or a folder of them (`Sent/2024.mbox` is Sent/2024), as RFC 4155 and its relatives have it.
 *
 * A message begins at a line `From ` with a time of day and a year, behind an empty line or at the start. `>From ` loses one `>` (mboxrd). Flags stand in
 * Status and X-Status, keywords in X-Keywords, a POP3 id in X-UIDL; those fields are left out of what is brought. The date
 * of the `From ` line is INTERNALDATE. An item is a hash of the beginning and the length, so that a file that has grown,
 * or lost messages, brings what is new.
 */
import { joined } from "../bytes/joined.ts";
import { createHash } from "node:crypto";
import { LF } from "../bytes/ascii.ts";
import { encodeLatin1, latin1 } from "../bytes/decode.ts";
import { fieldValue, scanFields } from "../message/header.ts";
import { FLAG_ANSWERED, FLAG_DELETED, FLAG_DRAFT, FLAG_FLAGGED, FLAG_SEEN } from "../storage/changes.ts";
import { realPath } from "./maildir.ts";
import { cleanKeywords, type Source, type SourceFolder, type SourceMessage } from "./source.ts";

const BLOCK_OCTETS = 1024 * 1024;
const PIECE_OCTETS = 256 * 1024;
/** Of a message, for its fields and its hash. */
const HEAD_OCTETS = 32 * 1024;
/** Longer lines are no marks. */
const MARK_OCTETS = 256;
const MBOX_NAME = /\.(mbox|mbx)$/i;
const FROM = encodeLatin1("From ");
const OWN_FIELDS: ReadonlySet<string> = new Set(["status", "x-status", "x-keywords", "x-uidl", "x-uid"]);

export function openMbox(path: string): Source {
  const root = realPath(path);
  return {
    identity: `mbox ${root}`,
    folders: () => Promise.resolve([...foldersOf(root)]),
    close: () => Promise.resolve(),
  };
}

function* foldersOf(root: string): Generator<SourceFolder> {
  if (!Deno.statSync(root).isDirectory) return yield folder(root, "INBOX");
  yield* below(root, "");
}

function* below(path: string, name: string): Generator<SourceFolder> {
  const entries = [...Deno.readDirSync(path)].filter(({ name }) => !name.startsWith("."));
  for (const entry of entries.sort((a, b) => a.name < b.name ? -1 : 1)) {
    const level = entry.name.replace(MBOX_NAME, "").replace(
      /%(2E|25)/gi, // as export writes what a file name cannot have
      (_, hex: string) => String.fromCharCode(parseInt(hex, 16)),
    );
    const full = name === "" ? level : `${name}/${level}`;
    if (entry.isDirectory) yield* below(`${path}/${entry.name}`, full);
    else if (entry.isFile && isMbox(`${path}/${entry.name}`)) {
      yield folder(`${path}/${entry.name}`, full);
    }
  }
}

/** An empty one is told by its name. */
function isMbox(path: string): boolean {
  using file = Deno.openSync(path);
  if (file.statSync().size === 0) return MBOX_NAME.test(path);
  const octets = new Uint8Array(FROM.length);
  return file.readSync(octets) === octets.length && isFrom(octets, 0);
}

function folder(path: string, name: string): SourceFolder {
  const starts = startsOf(path);
  return {
    name: /^inbox$/i.test(name) ? "INBOX" : name,
    specialUse: null,
    uidValidity: null,
    messages: starts.length - 1,
    sequential: false,
    async *list(known) {
      using file = await Deno.open(path);
      const seen = new Map<string, number>();
      for (let at = 0; at + 1 < starts.length; at++) {
        const [start, end] = [starts[at]!, starts[at + 1]!];
        const head = await readAt(file, start, Math.min(HEAD_OCTETS, end - start));
        const hash = createHash("sha256").update(`${end - start} `).update(head).digest("hex").slice(0, 24);
        const copies = seen.get(hash) ?? 0;
        seen.set(hash, copies + 1);
        const item = copies === 0 ? hash : `${hash}.${copies}`;
        if (!known.has(item)) yield message(path, { item, head, start, end });
      }
    },
  };
}

/** Where each message begins, and the end of the file. */
function startsOf(path: string): number[] {
  using file = Deno.openSync(path);
  const { size } = file.statSync();
  const starts: number[] = [];
  const block = new Uint8Array(BLOCK_OCTETS);
  let offset = 0, carried = 0;
  for (;;) {
    const count = file.readSync(block.subarray(carried));
    const length = carried + (count ?? 0);
    // What may be the beginning of a mark is looked at with the next block.
    const end = count === null ? length : Math.max(0, length - MARK_OCTETS);
    for (let at = 0; at < end;) {
      const begins = offset + at === 0 || afterEmptyLine(block, at);
      if (begins && isMark(block.subarray(at, Math.min(length, at + MARK_OCTETS)))) starts.push(offset + at);
      const lf = block.indexOf(LF, at);
      at = lf < 0 || lf >= length ? length : lf + 1;
    }
    if (count === null) break;
    // Three octets before, for the empty line.
    const keep = Math.max(0, end - 3);
    block.copyWithin(0, keep, length);
    offset += keep;
    carried = length - keep;
  }
  return [...new Set(starts), size];
}

function isFrom(bytes: Uint8Array, at: number): boolean {
  return FROM.every((octet, i) => bytes[at + i] === octet);
}

/** A sentence may begin with From; it has no time of day and year. */
function isMark(bytes: Uint8Array): boolean {
  if (!isFrom(bytes, 0)) return false;
  const lf = bytes.indexOf(LF);
  return /\d:\d\d.* \d{4}\b/.test(latin1(bytes, 0, lf < 0 ? bytes.length : lf));
}

/** `\n\n` or `\r\n\r\n` before; a file's own first line is looked at by the caller. */
function afterEmptyLine(bytes: Uint8Array, at: number): boolean {
  if (bytes[at - 1] !== LF) return false;
  const before = bytes[at - 2] === 0x0d ? at - 3 : at - 2;
  return bytes[before] === LF;
}

function message(
  path: string,
  found: { readonly item: string; readonly head: Uint8Array; readonly start: number; readonly end: number },
): SourceMessage {
  const { item, head, start, end } = found;
  const lineEnd = head.indexOf(LF) + 1;
  const fields = scanFields(head, lineEnd, head.length);
  const value = (name: string) => {
    const span = fields.find((field) => field.name === name);
    return span === undefined ? "" : fieldValue(head, span);
  };
  const status = `${value("status")}${value("x-status")}`;
  const flags = (/R/.test(status) ? FLAG_SEEN : 0) | (/A/.test(status) ? FLAG_ANSWERED : 0) |
    (/F/.test(status) ? FLAG_FLAGGED : 0) | (/D/.test(status) ? FLAG_DELETED : 0) |
    (/T/.test(status) ? FLAG_DRAFT : 0);
  return {
    item,
    folder: null,
    flags,
    keywords: cleanKeywords(value("x-keywords").split(/\s+/)),
    internalDate: dateOf(latin1(head, 0, lineEnd)) ?? (Date.parse(value("date")) || 0),
    uid: null,
    uidl: /^[\x21-\x7e]{1,70}$/.exec(value("x-uidl"))?.[0] ?? null,
    async *octets() {
      // The header without the fields that are the mbox's own.
      const headEnd = fields.at(-1)?.end ?? lineEnd;
      for (const field of fields) {
        if (!OWN_FIELDS.has(field.name)) yield head.subarray(field.start, field.end);
      }
      yield* body(path, start + headEnd, end);
    },
  };
}

/** The octets of `[start, end)` without the quoting of lines and the empty line that ends a message. */
async function* body(path: string, start: number, end: number): AsyncGenerator<Uint8Array> {
  using file = await Deno.open(path);
  const last = await readAt(file, Math.max(start, end - 2), Math.min(2, end - start));
  if (last.at(-1) === LF) end -= last.length > 1 && last[0] === 0x0d ? 2 : 1;
  let rest = new Uint8Array(0);
  for (let at = start; at < end;) {
    const piece = await readAt(file, at, Math.min(PIECE_OCTETS, end - at));
    if (piece.length === 0) break;
    at += piece.length;
    const bytes = rest.length === 0 ? piece : joined([rest, piece]);
    // Whole lines; a line longer than a piece goes as it is.
    const cut = at < end ? bytes.lastIndexOf(LF) + 1 || bytes.length : bytes.length;
    rest = bytes.slice(cut);
    yield* unquoted(bytes.subarray(0, cut));
  }
  if (rest.length > 0) yield* unquoted(rest);
}

function* unquoted(bytes: Uint8Array): Generator<Uint8Array> {
  let from = 0;
  for (let at = 0; at < bytes.length;) {
    let quotes = at;
    while (bytes[quotes] === 0x3e) quotes++;
    if (quotes > at && isFrom(bytes, quotes)) {
      if (at > from) yield bytes.subarray(from, at);
      from = at + 1;
    }
    const lf = bytes.indexOf(LF, at);
    at = lf < 0 ? bytes.length : lf + 1;
  }
  if (from < bytes.length) yield bytes.subarray(from);
}

/** `From sender Wed Jan  1 00:00:00 2025`, UTC; null where it has none that can be read. */
function dateOf(line: string): number | null {
  const match =
    /(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)\s+([A-Z][a-z]{2})\s+(\d{1,2})\s+(\d\d:\d\d(?::\d\d)?)(?:\s+(?:[A-Z]+|[+-]\d{4}))?\s+(\d{4})/
      .exec(line);
  if (match === null) return null;
  const time = Date.parse(`${match[2]} ${match[1]} ${match[4]} ${match[3]} UTC`);
  return Number.isNaN(time) ? null : time;
}

async function readAt(file: Deno.FsFile, offset: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  await file.seek(offset, Deno.SeekMode.Start);
  let done = 0;
  while (done < length) {
    const count = await file.read(bytes.subarray(done));
    if (count === null) break;
    done += count;
  }
  return bytes.subarray(0, done);
}

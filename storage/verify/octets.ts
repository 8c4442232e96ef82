/** Every content against its record: there, of that length, unharmed, and saying what the row says of it. */
import { crc32 } from "node:zlib";
import type { MessageFacts } from "../../message/facts.ts";
import type { SqlValue } from "../libsql.ts";
import { readAt, readRecordHeader, RECORD_HEADER_OCTETS, segmentName } from "../segment.ts";
import { type CheckContext, giveWay, type VerifyProgress } from "./findings.ts";

/** What gathers a message's facts from its octets. */
export interface FactsBuilder {
  push(bytes: Uint8Array, start?: number, end?: number): void;
  finish(): MessageFacts;
}

const SLICE_ROWS = 200;
const PIECE_OCTETS = 256 * 1024;
const MAX_HANDLES = 32;
const FACTS = "header_octets, sent_at, imap, preview, subject, sender, message_id, reference_ids";
const COLUMNS = `id, trace_id, segment, offset, length, ${FACTS}`;

interface Row {
  readonly id: number;
  readonly traceId: string;
  readonly segment: number;
  readonly offset: number;
  readonly length: number;
  /** In the order of FACTS. */
  readonly facts: readonly SqlValue[];
}

type Fault =
  | { readonly kind: "record-missing" | "record-length" | "record-checksum"; readonly detail: string }
  | { readonly kind: "facts"; readonly detail: string; readonly facts: readonly SqlValue[] };

export class OctetCheck {
  /** Records that contents point at, by segment. */
  readonly referenced = new Map<number, number>();
  #context: CheckContext & { readonly folder: string };
  #newFacts: () => FactsBuilder;
  #progress: (progress: VerifyProgress) => void;
  #handles = new Map<number, Deno.FsFile | null>();
  #buffer = new Uint8Array(PIECE_OCTETS);

  constructor(
    context: CheckContext & { readonly folder: string },
    parts: { newFacts: () => FactsBuilder; progress: (progress: VerifyProgress) => void },
  ) {
    this.#context = context;
    this.#newFacts = parts.newFacts;
    this.#progress = parts.progress;
  }

  async run(): Promise<void> {
    const { connection, findings } = this.#context;
    const total = Number(
      connection.prepare("SELECT coalesce(sum(length), 0) FROM contents").raw().get()?.[0],
    );
    const select = connection.prepare(
      `SELECT ${COLUMNS} FROM contents WHERE id > ? ORDER BY id LIMIT ${SLICE_ROWS}`,
    )
      .raw();
    let done = 0;
    try {
      for (let after = -1;;) {
        const rows = select.all(after).map(toRow);
        for (const row of rows) {
          this.#one(row);
          this.referenced.set(row.segment, (this.referenced.get(row.segment) ?? 0) + 1);
          done += row.length;
        }
        findings.count("contents", rows.length);
        this.#progress({ done: Math.min(done, total), total });
        if (rows.length < SLICE_ROWS) return;
        after = rows.at(-1)!.id;
        await giveWay();
      }
    } finally {
      for (const file of this.#handles.values()) file?.close();
      this.#handles.clear();
    }
  }

  #one(row: Row): void {
    const { connection, fix, findings } = this.#context;
    let fault = this.#faultOf(row);
    if (fault === null) return;
    // Compaction may have moved it since the row was read, or a client removed it.
    const again = connection.prepare(`SELECT ${COLUMNS} FROM contents WHERE id = ? AND refs > 0`).raw().get(
      row.id,
    );
    if (again === undefined) return;
    this.#close(row.segment);
    fault = this.#faultOf(toRow(again));
    if (fault === null) return;
    let mended = false;
    if (fix && fault.kind === "facts") {
      mended = true;
      const names = FACTS.split(", ");
      connection.prepare(`UPDATE contents SET ${names.map((name) => `${name} = ?`).join(", ")} WHERE id = ?`)
        .run(...fault.facts, row.id);
    }
    findings.add({
      kind: fault.kind,
      subject: `content ${row.id} (${row.traceId || "no id"}) in segment ${row.segment} at ${row.offset}`,
      detail: fault.detail,
      fixed: mended,
    });
  }

  #faultOf(row: Row): Fault | null {
    const file = this.#open(row.segment);
    if (file === null) return { kind: "record-missing", detail: "the segment file is missing" };
    const head = new Uint8Array(RECORD_HEADER_OCTETS);
    readAt(file, Math.max(0, row.offset - RECORD_HEADER_OCTETS), head);
    const header = readRecordHeader(head);
    if (header === null) return { kind: "record-missing", detail: "no record begins there" };
    if (header.payloadLength !== row.length) {
      return {
        kind: "record-length",
        detail: `${row.length} octets noted, the record has ${header.payloadLength}`,
      };
    }
    const builder = this.#newFacts();
    let crc = 0;
    for (let at = 0; at < row.length;) {
      const piece = this.#buffer.subarray(0, Math.min(PIECE_OCTETS, row.length - at));
      if (readAt(file, row.offset + at, piece) < piece.length) {
        return { kind: "record-length", detail: "the file ends inside the record" };
      }
      crc = crc32(piece, crc);
      builder.push(piece, 0, piece.length);
      at += piece.length;
    }
    if (crc !== header.payloadCrc) return { kind: "record-checksum", detail: "the octets are damaged" };
    const facts = columnsOf(builder.finish());
    const wrong = FACTS.split(", ").filter((_, i) => !same(facts[i]!, row.facts[i]!));
    return wrong.length === 0
      ? null
      : { kind: "facts", detail: `not what the octets say: ${wrong.join(", ")}`, facts };
  }

  #open(segment: number): Deno.FsFile | null {
    const known = this.#handles.get(segment);
    if (known !== undefined) return known;
    const [oldest] = this.#handles.keys();
    if (this.#handles.size >= MAX_HANDLES && oldest !== undefined) this.#close(oldest);
    let file: Deno.FsFile | null = null;
    try {
      file = Deno.openSync(`${this.#context.folder}/${segmentName(segment)}`);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    this.#handles.set(segment, file);
    return file;
  }

  #close(segment: number): void {
    this.#handles.get(segment)?.close();
    this.#handles.delete(segment);
  }
}

function toRow(row: SqlValue[]): Row {
  const [id, traceId, segment, offset, length, ...facts] = row;
  return {
    id: id as number,
    traceId: traceId as string,
    segment: segment as number,
    offset: offset as number,
    length: length as number,
    facts,
  };
}

/** As they come back from the database: a NUL in text is bound as U+FFFD (storage/libsql.ts). */
function columnsOf(facts: MessageFacts): SqlValue[] {
  const { headerOctets, sentAtMs, imap, preview, subject, from, messageId, references } = facts;
  return [headerOctets, sentAtMs, imap, preview, subject, from, messageId, references.join(" ")].map((
    value,
  ) => typeof value === "string" ? value.replaceAll("\0", "\ufffd") : value);
}

function same(a: SqlValue, b: SqlValue): boolean {
  if (!(a instanceof Uint8Array) || !(b instanceof Uint8Array)) return a === b;
  return a.length === b.length && a.every((octet, i) => octet === b[i]);
}

/** Opens a disk state as the server would after the loss of power, and compares it with what must hold. */
import { crc32 } from "node:zlib";
import { FactsBuilder, type MessageFacts } from "../../message/facts.ts";
import { SegmentBlobReader } from "../../storage/blob_reader.ts";
import { FLAG_ANSWERED, FLAG_DELETED, FLAG_DRAFT, FLAG_FLAGGED, FLAG_SEEN } from "../../storage/changes.ts";
import { DataFolder, recoverSegments } from "../../storage/data_folder.ts";
import type { Connection } from "../../storage/libsql.ts";
import { verify } from "../../storage/verify.ts";
import { Writer } from "../../storage/writer.ts";
import { difference, type Message } from "../crash/imap_worker.ts";
import { markerOf } from "../crash/messages.ts";
import type { Demand } from "./ledger.ts";
import { ALICE, BOB } from "./record.ts";

const FLAGS: readonly [number, string][] = [
  [FLAG_SEEN, "\\Seen"],
  [FLAG_ANSWERED, "\\Answered"],
  [FLAG_FLAGGED, "\\Flagged"],
  [FLAG_DELETED, "\\Deleted"],
  [FLAG_DRAFT, "\\Draft"],
];
const NO_FACTS = new Map<string, never>();

/** Returns what is wrong. */
export async function checkState(path: string, demand: Demand): Promise<string[]> {
  const folder = new DataFolder(path);
  let writer: Writer;
  try {
    folder.create();
    recoverSegments(folder);
    writer = new Writer({
      databasePath: folder.database,
      segments: folder.segments,
      clock: Date.now,
      onFatal: () => {},
    });
  } catch (error) {
    return [`it does not open: ${error}`];
  }
  const blobs = new SegmentBlobReader(folder.segments);
  let findings: string[];
  try {
    findings = new State(writer.connection, blobs).compare(demand);
  } catch (error) {
    findings = [`it cannot be read: ${error}`];
  } finally {
    blobs.close();
    await writer.close();
  }
  const newFacts = () => new RememberedFacts();
  const { problems } = await verify({ folder, fix: false, newFacts, progress: () => {} });
  return [
    ...findings,
    ...problems.map(({ kind, subject, detail }) => `verify: ${kind}: ${subject}: ${detail}`),
  ];
}

class State {
  #connection: Connection;
  #blobs: SegmentBlobReader;

  constructor(connection: Connection, blobs: SegmentBlobReader) {
    this.#connection = connection;
    this.#blobs = blobs;
  }

  compare(demand: Demand): string[] {
    const findings: string[] = [];
    const folders = new Map([ALICE, BOB].map((account) => [account, this.#folders(account, findings)]));
    const inboxes = new Map([...folders].map(([account, of]) => [account, of.get("INBOX")?.messages ?? []]));
    for (const [account, messages] of inboxes) {
      const markers = messages.map(({ marker }) => marker);
      const there = new Set(markers);
      if (there.size < markers.length) findings.push(`INBOX of ${account}: a message is there twice`);
      for (const { marker, accounts } of demand.filed) {
        if (accounts.includes(account) && !there.has(marker)) {
          findings.push(`INBOX of ${account}: ${marker} is lost`);
        }
      }
    }
    findings.push(...this.#queue(demand));
    for (const [worker, allowed] of demand.folders) {
      const mine = new Map([...folders.get(BOB)!].filter(([name]) => name.startsWith(`${worker}/`)));
      const differences = allowed.map((state) => difference(state, mine, NO_FACTS));
      if (differences.every((lines) => lines.length > 0)) {
        findings.push(`${worker}: neither as acknowledged nor as asked for`, ...differences[0]!);
      }
    }
    const [alice, bob] = [...inboxes.values()].map((messages) =>
      new Set(messages.map(({ marker }) => marker))
    );
    for (const marker of demand.toBoth) {
      if (alice!.has(marker) !== bob!.has(marker)) findings.push(`${marker} is in one of its two mailboxes`);
    }
    return findings;
  }

  #folders(account: string, findings: string[]): Map<string, { messages: Message[] }> {
    const folders = new Map<string, { messages: Message[] }>();
    const names = this.#connection.prepare(
      "SELECT name FROM mailboxes WHERE selectable = 1 AND account_id = (SELECT id FROM accounts WHERE address = ?)",
    ).raw().all(account);
    for (const [name] of names) folders.set(name as string, { messages: [] });
    const rows = this.#connection.prepare(
      "SELECT b.name, m.uid, m.flags, m.keywords, m.prefix, c.segment, c.offset, c.length FROM messages AS m " +
        "JOIN mailboxes AS b ON b.id = m.mailbox_id JOIN accounts AS a ON a.id = b.account_id " +
        "JOIN contents AS c ON c.id = m.content_id WHERE a.address = ? ORDER BY b.id, m.uid",
    ).raw().all(account) as [string, number, number, string, Uint8Array, number, number, number][];
    for (const [name, uid, flags, keywords, prefix, segment, offset, length] of rows) {
      const marker = this.#marker({ segment, offset, length }, prefix);
      if (marker === null) findings.push(`${name} of ${account} UID ${uid}: octets differ`);
      const words = [...FLAGS.flatMap(([bit, word]) => flags & bit ? [word] : []), ...keywords.split(" ")];
      const shown = words.filter((word) => word !== "").sort().join(" ");
      folders.get(name)?.messages.push({ uid, marker: marker ?? "?", flags: shown });
    }
    return folders;
  }

  #queue(demand: Demand): string[] {
    const rows = this.#connection.prepare(
      "SELECT c.segment, c.offset, c.length FROM queue_messages AS q JOIN contents AS c ON c.id = q.content_id " +
        "JOIN queue_recipients AS r ON r.queue_id = q.id",
    ).raw().all() as [number, number, number][];
    const markers = rows.map(([segment, offset, length]) => this.#marker({ segment, offset, length }, null));
    const findings = markers.includes(null) ? ["queue: octets differ"] : [];
    for (const { marker } of demand.queued) {
      if (!markers.includes(marker)) findings.push(`queue: ${marker} is lost`);
    }
    return findings;
  }

  #marker(
    blob: { segment: number; offset: number; length: number },
    prefix: Uint8Array | null,
  ): string | null {
    const octets = this.#blobs.readSync(blob, 0, blob.length);
    const key = `${blob.length} ${crc32(octets)} ${prefix === null ? "" : crc32(prefix)}`;
    const known = markers.get(key);
    if (known !== undefined) return known;
    const decoder = new TextDecoder("latin1");
    const marker = markerOf((prefix === null ? "" : decoder.decode(prefix)) + decoder.decode(octets));
    markers.set(key, marker);
    return marker;
  }
}

/** Thousands of states hold the same messages: what was computed of octets once is kept by length and checksum. */
const markers = new Map<string, string | null>();
const facts = new Map<string, MessageFacts>();

class RememberedFacts {
  #pieces: Uint8Array[] = [];
  #length = 0;
  #crc = 0;

  push(bytes: Uint8Array, start = 0, end = bytes.length): void {
    const piece = bytes.slice(start, end);
    this.#pieces.push(piece);
    this.#length += piece.length;
    this.#crc = crc32(piece, this.#crc);
  }

  finish(): MessageFacts {
    const key = `${this.#length} ${this.#crc}`;
    let known = facts.get(key);
    if (known === undefined) {
      const builder = new FactsBuilder();
      for (const piece of this.#pieces) builder.push(piece);
      facts.set(key, known = builder.finish());
    }
    return known;
  }
}

/**
 * Writes a message anew with what checks want: their verdict in front, header fields added, changed or removed, perhaps
 * another body, or other parts in the place of some.
 *
 * Only messages that a check has something to say about come here. The header is held in memory (up to
 * {@linkcode MAX_HEADER_OCTETS}; a larger one only gets the verdict), the body streams. Fields keep their octets unless
 * they are changed themselves. Values from outside are made safe: they cannot end a field or the header.
 */
import { encode } from "../bytes/decode.ts";
import { FactsBuilder, type MessageFacts } from "../message/facts.ts";
import { type FieldSpan, scanFields } from "../message/header.ts";
import type { MessageChanges } from "../filter/message_source.ts";
import type { Spool } from "../storage/store.ts";

const PIECE_OCTETS = 64 * 1024;
const MAX_HEADER_OCTETS = 1024 * 1024;
const FIELD_NAME = /^[\x21-\x39\x3b-\x7e]{1,200}$/;

export interface ChangePlan {
  /** Header lines with CRLF; "" is none. */
  readonly front: string;
  readonly changes: MessageChanges;
  /** Octets of our own Received, which checks did not see. */
  readonly ownOctets: number;
  /** Of the whole header, with the empty line. */
  readonly headerOctets: number;
}

export async function applyChanges(from: Spool, to: Spool, plan: ChangePlan): Promise<MessageFacts> {
  const facts = new FactsBuilder();
  const write = async (bytes: Uint8Array) => {
    facts.push(bytes, 0, bytes.length);
    await to.write(bytes, 0, bytes.length);
  };
  const { changes, ownOctets, headerOctets } = plan;
  if (plan.front !== "") await write(encode(plan.front));
  const small = headerOctets <= MAX_HEADER_OCTETS;
  if (changes.header.length === 0 || !small) {
    await copy(from, { start: 0, end: headerOctets }, write);
  } else {
    await copy(from, { start: 0, end: ownOctets }, write);
    const block = (await from.read(ownOctets, headerOctets)).slice();
    for (const field of changedHeader(block, changes)) await write(field);
  }
  if (changes.body === null || changes.replaced.length > 0) {
    let at = headerOctets;
    for (const { start, end, octets } of changes.replaced) {
      await copy(from, { start: at, end: ownOctets + start }, write);
      await write(octets);
      at = ownOctets + end;
    }
    await copy(from, { start: at, end: from.octets }, write);
  } else for (const piece of changes.body) await write(piece);
  return facts.finish();
}

async function copy(
  from: Spool,
  { start, end }: { start: number; end: number },
  write: (bytes: Uint8Array) => Promise<void>,
): Promise<void> {
  const buffer = new Uint8Array(Math.min(PIECE_OCTETS, end - start));
  for (let at = start; at < end; at += PIECE_OCTETS) {
    await write(await from.read(at, Math.min(at + PIECE_OCTETS, end), buffer));
  }
}

interface Field {
  readonly name: string;
  octets: Uint8Array;
}

/** The fields after all changes, and the empty line. */
function changedHeader(block: Uint8Array, { header }: MessageChanges): Uint8Array[] {
  const spans = scanFields(block, 0, block.length);
  const fields: Field[] = spans.map((span: FieldSpan) => ({
    name: span.name,
    octets: block.subarray(span.start, span.end),
  }));
  const last = spans.at(-1)?.end ?? 0;
  for (const change of header) {
    const made = fieldOf(change.name, change.value);
    if (made === null) continue;
    switch (change.kind) {
      case "add":
        fields.push(made);
        break;
      case "insert":
        fields.splice(Math.min(change.at, fields.length), 0, made);
        break;
      case "change": {
        const at = nth(fields, made.name, Math.max(1, change.index));
        if (at < 0) {
          if (change.value !== "") fields.push(made);
        } else if (change.value === "") fields.splice(at, 1);
        else fields[at]!.octets = made.octets;
        break;
      }
      default:
        change satisfies never;
    }
  }
  return [...fields.map(({ octets }) => octets), block.subarray(last)];
}

function nth(fields: readonly Field[], name: string, index: number): number {
  let seen = 0;
  return fields.findIndex((field) => field.name === name && ++seen === index);
}

/** Null where the name is none. Lines of the value are folded whatever their ends were. */
function fieldOf(name: string, value: string): Field | null {
  if (!FIELD_NAME.test(name)) return null;
  const lines = value.replaceAll("\0", "").split(/\r\n|\r|\n/).filter((line) => line.trim() !== "");
  const folded = lines.map((line, at) => at === 0 || /^[ \t]/.test(line) ? line : `\t${line}`).join("\r\n");
  const gap = /^[ \t]/.test(folded) ? "" : " ";
  return { name: name.toLowerCase(), octets: encode(`${name}:${gap}${folded}\r\n`) };
}

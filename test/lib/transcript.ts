/**
 * Transcripts of server sessions: how they are read, and how a pure session is fed with them, whatever the protocol.
 *
 * `C:` a line of the client (UTF-8, CRLF behind it), `C|` the same without CRLF, `C~` with escapes (`\r`, `\n`, `\0`,
 * `\xff`, `\\`, and `\{a*2048}` for repetition) and no CRLF; `S:` a line of the server, `?` an event the session raised,
 * `!` the answer the test gives to it, `#` text, `@` an option of the session, `= TLS` the handshake: what the client
 * sent before it is dropped. What options, events and answers there are says the protocol's own file.
 */
import { joined } from "../../bytes/joined.ts";
import assert from "node:assert/strict";
import { encode, encodeLatin1, utf8 } from "../../bytes/decode.ts";
import type { Out } from "../../bytes/out.ts";
import type { SaslMechanisms } from "../../protocols/sasl/exchange.ts";
import { MAILBOX_MECHANISMS, SessionMechanisms } from "../../protocols/sasl/mechanisms.ts";

const ROOT = new URL("../transcripts/", import.meta.url);

export interface Transcript<Options> {
  readonly options: Partial<Options>;
  /** What the client sends; the next one follows a handshake. */
  readonly segments: readonly Uint8Array[];
  readonly answers: readonly Answer[];
  /** `S:` and `?` lines in order. */
  readonly expected: readonly string[];
}

export interface Answer {
  /** Number of the event above it, from 0 on. */
  readonly event: number;
  readonly text: string;
}

export interface Notation<Options> {
  readonly options: ReadonlyMap<string, Partial<Options>>;
  /** After these lines what the client sent is void. */
  readonly voids?: readonly string[];
  /** Words of `S:` lines that stand for others. */
  readonly expand?: (line: string) => string;
}

export function parseTranscript<Options>(
  text: string,
  { options: known, voids = ["= TLS"], expand = (line) => line }: Notation<Options>,
): Transcript<Options> {
  let options: Partial<Options> = {};
  const segments: Uint8Array[][] = [[]];
  const answers: Answer[] = [];
  const expected: string[] = [];
  let event = -1;
  for (const line of text.split("\n")) {
    const rest = line.slice(3);
    const segment = segments.at(-1)!;
    if (line === "" || line.startsWith("#")) continue;
    else if (line.startsWith("C:")) segment.push(encode(`${rest}\r\n`));
    else if (line.startsWith("C|")) segment.push(encode(rest));
    else if (line.startsWith("C~")) segment.push(escaped(rest));
    else if (line.startsWith("S:")) expected.push(expand(line));
    else if (line.startsWith("?")) {
      expected.push(line);
      event++;
    } else if (line.startsWith("!")) answers.push({ event, text: line.slice(2) });
    else if (voids.includes(line)) segments.push([]);
    else if (line.startsWith("@ ")) {
      options = { ...options, ...(known.get(line.slice(2)) ?? unknown(line)) };
    } else unknown(line);
  }
  return { options, segments: segments.map(joined), answers, expected };
}

function unknown(line: string): never {
  throw new Error(`a transcript has no line "${line}"`);
}

const ESCAPES: Readonly<Record<string, string>> = { r: "\r", n: "\n", 0: "\0", "\\": "\\" };

function escaped(text: string): Uint8Array {
  return encodeLatin1(
    text.replace(/\\(?:\{(.+?)\*(\d+)\}|x([0-9a-f]{2})|([rn0\\]))/g, (_all, word, times, hex, letter) => {
      if (word !== undefined) return word.repeat(Number(times));
      return hex !== undefined ? String.fromCharCode(parseInt(hex, 16)) : ESCAPES[letter]!;
    }),
  );
}

/** Splits a segment into the chunks it arrives in. */
export type Cut = (segment: Uint8Array) => Uint8Array[];

export const WHOLE: Cut = (segment) => [segment];

/** Line by line, octet by octet, and every two-way split. */
export function* cuts({ segments }: Pick<Transcript<unknown>, "segments">): Generator<[string, Cut]> {
  yield ["line by line", lines];
  yield ["octet by octet", (segment) => Array.from(segment, (octet) => Uint8Array.of(octet))];
  const longest = Math.max(...segments.map((segment) => segment.length));
  for (let at = 1; at < longest; at++) {
    yield [`split at ${at}`, (segment) => [segment.subarray(0, at), segment.subarray(at)]];
  }
}

function lines(segment: Uint8Array): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < segment.length;) {
    const lf = segment.indexOf(0x0a, at);
    const end = lf < 0 ? segment.length : lf + 1;
    chunks.push(segment.subarray(at, end));
    at = end;
  }
  return chunks;
}

/**
 * Greets, and hands the session what the client sends. `run` takes its events until it wants input, and returns false
 * when the rest of the segment is void.
 */
export function feedSegments(
  session: { greet(): void; feed(bytes: Uint8Array): void },
  segments: readonly Uint8Array[],
  { cut, run }: { readonly cut: Cut; readonly run: () => boolean },
): void {
  session.greet();
  for (const segment of segments) {
    if (!run()) return;
    for (const chunk of cut(segment)) {
      // A buffer of its own that is overwritten afterwards: the session may not keep what it borrowed.
      const borrowed = chunk.slice();
      session.feed(borrowed);
      const alive = run();
      borrowed.fill(0x58);
      if (!alive) break;
    }
  }
}

/** What the session wrote since the last call, as `S:` lines. */
export function linesOf(out: Out): string[] {
  const text = utf8(out.take());
  return text === "" ? [] : text.replace(/\r\n$/, "").split("\r\n").map((line) => `S: ${line}`);
}

/** A test for each file below `transcripts/NAME/`: the same lines whole (everything pipelined) and at all cuts. */
export function testTranscripts<Options>(
  name: string,
  { parse, replay }: {
    readonly parse: (text: string) => Transcript<Options>;
    /** The `S:` and `?` lines, and what else must not depend on the cut. */
    readonly replay: (
      transcript: Transcript<Options>,
      cut: Cut,
    ) => { readonly lines: readonly string[]; readonly observed?: readonly string[] };
  },
): void {
  for (const { file, text } of transcriptFiles(name)) {
    Deno.test(`${name} transcript ${file}`, () => {
      const transcript = parse(text);
      const whole = replay(transcript, WHOLE);
      assert.deepEqual(whole.lines, transcript.expected, `${file}, whole`);
      for (const [cutName, cut] of cuts(transcript)) {
        assert.deepEqual(replay(transcript, cut), whole, `${file}, ${cutName}`);
      }
    });
  }
}

/** Every file below `transcripts/NAME/`. */
export function transcriptFiles(name: string): { readonly file: string; readonly text: string }[] {
  return filesBelow(new URL(`${name}/`, ROOT)).map((file) => ({
    file,
    text: Deno.readTextFileSync(new URL(`${name}/${file}`, ROOT)),
  }));
}

function filesBelow(folder: URL): string[] {
  return [...Deno.readDirSync(folder)].flatMap(({ name, isDirectory }) =>
    isDirectory ? filesBelow(new URL(`${name}/`, folder)).map((file) => `${name}/${file}`) : [name]
  ).sort();
}

/** The mechanisms of mailboxes, and tokens. */
export const WITH_BEARER: SaslMechanisms = new SessionMechanisms(MAILBOX_MECHANISMS, {
  scram: () => null,
  bearer: () => true,
  certificate: () => false,
});

/** Transcripts of whole sessions: whole (everything pipelined), line by line, octet by octet, at every two-way split. */
import assert from "node:assert/strict";
import { parseTranscript, replay, type Transcript } from "./transcript.ts";

type Cut = (segment: Uint8Array) => Uint8Array[];

for (const service of ["smtp", "submission"]) {
  const root = new URL(`../../transcripts/${service}/`, import.meta.url);
  for (const topic of [...Deno.readDirSync(root)].map(({ name }) => name).sort()) {
    for (const { name } of Deno.readDirSync(new URL(`${topic}/`, root))) {
      Deno.test(`${service} transcript ${topic}/${name}`, () => {
        const transcript = parseTranscript(Deno.readTextFileSync(new URL(`${topic}/${name}`, root)));
        const whole = replay(transcript, (segment) => [segment]);
        assert.deepEqual(whole.lines, transcript.expected, `${name}, whole`);
        for (const [cutName, cut] of cuts(transcript)) {
          assert.deepEqual(replay(transcript, cut), whole, `${name}, ${cutName}`);
        }
      });
    }
  }
}

function* cuts(transcript: Transcript): Generator<[string, Cut]> {
  yield ["line by line", lines];
  yield ["octet by octet", (segment) => [...segment].map((octet) => new Uint8Array([octet]))];
  const longest = Math.max(...transcript.segments.map((segment) => segment.length));
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

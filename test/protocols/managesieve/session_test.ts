/** Transcripts of whole sessions: whole (pipelined), octet by octet, and at every two-way split. */
import assert from "node:assert/strict";
import { parseTranscript, replay } from "./transcript.ts";

const ROOT = new URL("../../transcripts/managesieve/", import.meta.url);

for (const { name } of [...Deno.readDirSync(ROOT)]) {
  Deno.test(`managesieve transcript ${name}`, () => {
    const transcript = parseTranscript(Deno.readTextFileSync(new URL(name, ROOT)));
    const cuts = new Map<string, (segment: Uint8Array) => Uint8Array[]>();
    cuts.set("whole", (segment) => [segment]);
    cuts.set("octet by octet", (segment) => [...segment].map((octet) => new Uint8Array([octet])));
    const longest = Math.max(...transcript.segments.map((segment) => segment.length));
    for (let at = 1; at < longest; at++) {
      cuts.set(`split at ${at}`, (segment) => [segment.subarray(0, at), segment.subarray(at)]);
    }
    for (const [cutName, cut] of cuts) {
      assert.deepEqual(replay(transcript, cut), transcript.expected, `${name}, ${cutName}`);
    }
  });
}

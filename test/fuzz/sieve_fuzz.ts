/**
 * Fuzzing scripts and their repository: nothing throws, a fault has a place inside the text, a run ends within its
 * budget with the message somewhere, and ManageSieve answers the same however its input is cut.
 */
import assert from "node:assert/strict";
import { encode, encodeLatin1 } from "../../bytes/decode.ts";
import { EMPTY_HOST } from "../../sieve/host.ts";
import { MessageView } from "../../sieve/message_view.ts";
import { compileScript } from "../../sieve/program.ts";
import { WHOLE } from "../lib/transcript.ts";
import { replay } from "../protocols/managesieve/transcript.ts";
import { cutsOf, Finding, fuzz, mutate, pieces, Random } from "./fuzzing.ts";

const SEEDS = [
  'require ["fileinto", "imap4flags", "variables"];\nset :lower "a" "${1}x";\nif header :matches "Subject" "*[?]*" { addflag "\\\\Seen"; fileinto :flags "a b" "${1}"; stop; }\n',
  'require ["vacation", "relational", "date", "index"];\nif allof (not exists "x", currentdate :value "ge" "date" "2026-01-01", header :index 1 :last "received" "b") { vacation :days 3 :addresses ["a@b.example"] text:\nhello\n..dot\n.\n; }\n',
  'require ["foreverypart", "mime", "extracttext", "variables", "body", "ereject", "ihave"];\nforeverypart :name "x" { if header :mime :anychild :param "name" :contains "content-type" "p" { extracttext :first 10 "t"; break :name "x"; } }\nif ihave "nothing" { blub; } elsif body :raw :contains "z" { ereject "no"; } else { /* c */ keep; } # end\n',
  'require ["editheader", "regex", "duplicate", "enotify", "copy"];\nif header :regex "subject" ["^(a|b)+$", "[[:digit:]]{2,3}"] { deleteheader :index 1 "x-a"; addheader :last "X" "y"; }\nif duplicate :handle "h" { redirect :copy "a@b.example"; notify :importance "1" "mailto:a@b.example?subject=x"; }\n',
];
const TOKENS = [
  ...'{ } ( ) [ ] ; , " \\ # /* */ text: . ${ } ${1} : 1K 99999999999999999999 \n \r\n \0'.split(" "),
  ...":is :matches :flags :copy if elsif else not anyof allof require include stop keep discard".split(" "),
  '"*?*?*"',
  '"${hex:41}"',
  "é",
  "\ud83d\ude00",
];
const MESSAGE = encode(
  "From: a@b.example\r\nSubject: [ab] 123\r\nReceived: x; Tue, 1 Apr 1997 09:06:31 -0800\r\nMIME-Version: 1.0\r\n" +
    'Content-Type: multipart/mixed; boundary=b; name="p"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nhi\r\n--b--\r\n',
);

export async function fuzzSieve(seed: number, runs: number): Promise<void> {
  const random = new Random(seed);
  for (let run = 0; run < runs; run++) {
    const input = encode(mutate(random, random.pick(SEEDS), { tokens: TOKENS, maxChanges: 6 }));
    try {
      await checkSieve(input);
    } catch (cause) {
      throw new Finding(`seed ${seed}, run ${run}`, { input, cause });
    }
  }
}

export async function checkSieve(input: Uint8Array): Promise<void> {
  const compiled = await compileScript(input);
  if ("faults" in compiled) {
    assert.ok(compiled.faults.length > 0 && compiled.faults.length <= 20);
    for (const { at, line, column } of compiled.faults) assert.ok(at >= 0 && line >= 1 && column >= 1);
    return;
  }
  const outcome = compiled.program.run(new MessageView(MESSAGE), EMPTY_HOST);
  assert.ok(outcome.actions.length <= 32);
  if (outcome.fault !== null) assert.ok(outcome.implicitKeep !== null && outcome.actions.length === 0);
}

const SESSIONS = [
  'AUTHENTICATE "PLAIN" "AGFsaWNlAHNlY3JldA=="\r\nLISTSCRIPTS\r\nPUTSCRIPT "a" {5+}\r\nkeep;\r\nGETSCRIPT "a"\r\nLOGOUT\r\n',
  'NOOP "x"\r\nCAPABILITY\r\nAUTHENTICATE "PLAIN"\r\n"*"\r\nCHECKSCRIPT "x"\r\n',
  'AUTHENTICATE "PLAIN" {20+}\r\nAGFsaWNlAHNlY3JldA==\r\nHAVESPACE "a" 55\r\nRENAMESCRIPT {1+}\r\na "b"\r\nUNAUTHENTICATE\r\n',
];
const SESSION_TOKENS = [
  "\r\n",
  "\n",
  "\r",
  '"',
  "{5+}",
  "{99999999999+}",
  "{0+}\r\n",
  "{3+}\r\nabc",
  "\0",
  "\xff",
  " ",
  "\\",
];

export function fuzzManageSieve(seed: number, runs: number): void {
  const make = (random: Random) =>
    encodeLatin1(mutate(random, random.pick(SESSIONS), { tokens: SESSION_TOKENS, maxChanges: 5 }));
  fuzz({ make, check: checkManageSieve }, seed, runs);
}

/** Everything that asks is answered: whoever logs in is let in, every script command succeeds. */
export function checkManageSieve(input: Uint8Array): void {
  const transcript = { options: {}, segments: [input], answers: [] };
  const whole = replay(transcript, WHOLE, { agree: true });
  const inPieces = replay(transcript, (segment) => pieces(segment, cutsOf(segment, 3)), { agree: true });
  assert.deepEqual(inPieces, whole);
}

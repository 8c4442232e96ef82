/**
 * Fuzzing the replies of scanners: clamd, ICAP, spamd, rspamd; and whole conversations with those that have one.
 *
 * A reply is a result of the known kinds, or a ScanFault; nothing else is thrown. A conversation ends whatever is said, the
 * same however it is cut, with all its connections closed.
 */
import assert from "node:assert/strict";
import { encodeLatin1, latin1 } from "../../bytes/decode.ts";
import { parseClamdReply } from "../../filter/scan/clamd_reply.ts";
import {
  encapsulatedHead,
  icapResult,
  MAX_HEAD_OCTETS,
  parseIcapHead,
} from "../../filter/scan/icap_reply.ts";
import { ScanFault, type ScanResult } from "../../filter/scan/result.ts";
import { parseRspamdReply } from "../../filter/scan/rspamd.ts";
import { parseSpamdReply } from "../../filter/scan/spamd.ts";
import { Clamd } from "../../filter/scan/clamd.ts";
import { Icap } from "../../filter/scan/icap.ts";
import { scanBySpamd } from "../../filter/scan/spamd.ts";
import type { ByteStream } from "../../filter/stream.ts";
import { sourceOf } from "../filter/content_source.ts";
import { cutsOf, Finding, fuzz, mutate, pieces, Random } from "./fuzzing.ts";

const SEEDS = [
  "1: stream: Eicar-Test FOUND",
  "stream: OK",
  "INSTREAM size limit exceeded. ERROR",
  "ICAP/1.0 200 OK\r\nX-Infection-Found: Type=0; Resolution=2; Threat=Eicar;\r\nEncapsulated: res-hdr=0, res-body=50",
  "ICAP/1.0 204 Unmodified\r\nPreview: 1024",
  "SPAMD/1.1 0 EX_OK\r\nContent-length: 6\r\nSpam: True ; 15.3 / 5.0\r\n\r\nGTUBE\r\n",
  '{"action":"add header","score":7.5,"required_score":15,"symbols":{"A":{"score":5},"B":null}}',
];
const TOKENS = [": ", " FOUND", " OK", "\r\n", "=", ";", "Spam: True", "{", "null", "1e999", "PUA."];
const KINDS = ["clean", "infected", "suspicious", "not-scanned", "spam", "wanted"];

export function fuzzScan(seed: number, runs: number): void {
  const make = (random: Random) =>
    encodeLatin1(mutate(random, random.pick(SEEDS), { tokens: TOKENS, maxChanges: 5 }));
  fuzz({ make, check: checkScan }, seed, runs);
}

export function checkScan(input: Uint8Array): void {
  const text = latin1(input);
  checked(() => parseClamdReply(text, ["PUA."]));
  checked(() => parseSpamdReply(text));
  checked(() => parseRspamdReply(text));
  checked(() => {
    const head = parseIcapHead(text);
    const { start, end } = encapsulatedHead(head);
    assert.ok(start >= 0 && start <= end && end <= MAX_HEAD_OCTETS);
    return icapResult(head, text, ["PUA."]);
  });
}

function checked(parse: () => ScanResult): void {
  let result: ScanResult;
  try {
    result = parse();
  } catch (error) {
    if (error instanceof ScanFault) return;
    throw error;
  }
  assert.ok(KINDS.includes(result.kind));
}

const MESSAGE = sourceOf("Subject: x\r\n\r\nhello\r\n");
const OPTIONS = "ICAP/1.0 200 OK\r\nMethods: RESPMOD\r\nPreview: 4\r\nEncapsulated: null-body=0\r\n\r\n";
const HTTP = "HTTP/1.1 200 OK\r\n\r\n";
/** The first octet says whom we talk to: `c`lamd, `i`cap, `s`pamd. */
const TALKS = [
  "c1: stream: OK\0",
  "c1: stream: Eicar-Test FOUND\0",
  `i${OPTIONS}ICAP/1.0 100 Continue\r\n\r\nICAP/1.0 204 Unmodified\r\n\r\n`,
  `i${OPTIONS}ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, res-body=${HTTP.length}\r\n\r\n${HTTP}` +
  "15\r\nSubject: x\r\n\r\nhello\r\n\r\n0\r\n\r\n",
  `i${OPTIONS}ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, res-body=${HTTP.length}\r\n\r\n${HTTP}` +
  "c;x=y\r\nSubject: x\r\n\r\n9\r\n\r\nhello\r\n\r\n0\r\n\r\n",
  "sSPAMD/1.1 0 EX_OK\r\nContent-length: 6\r\nSpam: True ; 15.3 / 5.0\r\n\r\nGTUBE\r\n",
];
const TALK_TOKENS = [
  "\0",
  "\r\n",
  "\r\n\r\n",
  "ffffffff\r\n",
  "0\r\n\r\n",
  ";",
  " FOUND\0",
  "res-hdr=-1",
  "9".repeat(20),
];

export async function fuzzScanTalk(seed: number, runs: number): Promise<void> {
  const random = new Random(seed);
  for (let run = 0; run < runs; run++) {
    const talk = mutate(random, random.pick(TALKS), { tokens: TALK_TOKENS, maxChanges: 5 });
    const input = encodeLatin1(talk);
    try {
      await checkScanTalk(input);
    } catch (cause) {
      throw new Finding(`seed ${seed}, run ${run}`, { input, cause });
    }
  }
}

export async function checkScanTalk(input: Uint8Array): Promise<void> {
  const said = input.subarray(1);
  const whole = await talkOf(input[0], [said]);
  assert.deepEqual(await talkOf(input[0], pieces(said, cutsOf(input, 3))), whole);
  assert.ok(whole === "fault" || whole === "closed" || KINDS.includes(whole));
}

/** The kind of the result; "closed" where the other side ended in the middle. All it says comes without a wait, then its end. */
async function talkOf(whom: number | undefined, says: readonly Uint8Array[]): Promise<string> {
  let open = 0;
  const connect = (): Promise<ByteStream> => {
    open++;
    const left = says.filter(({ length }) => length > 0);
    return Promise.resolve({
      read: () => Promise.resolve(left.shift() ?? null),
      write: () => Promise.resolve(),
      close: () => void open--,
    });
  };
  const options = { connect, connections: 1, timeoutMs: 10_000, markOnly: ["PUA."], now: () => 0 };
  const scanner = whom === 0x69
    ? new Icap({ ...options, url: "icap://h.test/s" })
    : whom === 0x73
    ? { scan: () => scanBySpamd(MESSAGE, options), close: () => {} }
    : new Clamd(options);
  try {
    return (await scanner.scan(MESSAGE)).kind;
  } catch (error) {
    if (error instanceof ScanFault) return "fault";
    if (error instanceof Error && / closed the connection$/.test(error.message)) return "closed";
    throw error;
  } finally {
    scanner.close();
    assert.equal(open, 0, "a connection is left open");
  }
}

/**
 * Fuzzing the replies of scanners: clamd, ICAP, spamd, rspamd.
 *
 * A reply is a result of the known kinds, or a ScanFault; nothing else is thrown.
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
import { fuzz, mutate, type Random } from "./fuzzing.ts";

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

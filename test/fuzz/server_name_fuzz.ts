/**
 * Seeded mutations of what TLS clients say first against the reader of the server name.
 *
 * Looked for: an exception, a name that depends on the cut, a name that the octets do not hold. Findings stay in the corpus.
 */
import assert from "node:assert/strict";
import { encodeLatin1, latin1 } from "../../bytes/decode.ts";
import { ServerNameReader } from "../../protocols/server_name.ts";
import { clientHello, records } from "../lib/client_hello.ts";
import { fuzz, mutate, type Random } from "./fuzzing.ts";

const SEEDS = [
  records(clientHello("mx.example.test")),
  records(clientHello("mx.example.test"), 7),
  records(clientHello(null)),
].map((octets) => latin1(octets));
const TOKENS = ["\0", "\x01", "\x16", "\x16\x03\x01\0\x01", "\xff", "\xff\xff", "\0\0", "mx"];

function make(random: Random): Uint8Array {
  return encodeLatin1(mutate(random, random.pick(SEEDS), { tokens: TOKENS, maxChanges: 4 }));
}

function read(input: Uint8Array, step: number): string | null {
  const reader = new ServerNameReader();
  for (let at = 0; at < input.length; at += step) reader.push(input.subarray(at, at + step));
  return reader.name;
}

export function checkServerName(input: Uint8Array): void {
  const name = read(input, input.length + 1);
  for (const step of [1, 2, 7]) assert.equal(read(input, step), name, `${step} octets at a time`);
  assert.ok(name === null || name.length < input.length);
}

export function fuzzServerName(seed: number, runs: number): void {
  fuzz({ make, check: checkServerName }, seed, runs);
}

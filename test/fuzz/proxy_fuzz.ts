/**
 * Seeded mutations of PROXY headers against the reader.
 *
 * Looked for: an exception, a result that depends on the cut, more octets wanted than a header may have, octets taken
 * behind the header, addresses that are none. Findings stay in the corpus.
 */
import assert from "node:assert/strict";
import { isIP } from "node:net";
import { encodeLatin1 } from "../../bytes/decode.ts";
import { MAX_V2_OCTETS, ProxyHeaderReader, type ProxyResult } from "../../protocols/proxy/header.ts";
import { fuzz, mutate, type Random } from "./fuzzing.ts";

const V2 = "\r\n\r\n\0\r\nQUIT\n";
const SEEDS = [
  "PROXY TCP4 192.0.2.1 198.51.100.2 4711 25\r\nEHLO x\r\n",
  "PROXY TCP6 2001:db8::1 ::1 4711 25\r\n",
  "PROXY UNKNOWN\r\n",
  `${V2}\x21\x11\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x02\x12\x67\0\x19EHLO`,
  `${V2}\x21\x21\0\x24${"\x20\x01".repeat(16)}\x12\x67\0\x19`,
  `${V2}\x20\0\0\0`,
  `${V2}\x21\x11\0\x10\xc0\0\x02\x01\xc6\x33\x64\x02\x12\x67\0\x19\x04\0\x01x`,
];
const TOKENS = ["\r\n", "\n", "\0", "\xff", " ", "PROXY ", "TCP4", "0", "65536", "::", ".", V2];

function make(random: Random): Uint8Array {
  return encodeLatin1(mutate(random, random.pick(SEEDS), { tokens: TOKENS, maxChanges: 4 }));
}

interface Read {
  readonly result: ProxyResult | null;
  readonly taken: number;
}

/** Gives at most `step` octets at a time. */
function read(input: Uint8Array, step: number): Read {
  const reader = new ProxyHeaderReader();
  let at = 0;
  while (at < input.length) {
    assert.ok(
      reader.wanted > 0 && at + reader.wanted <= 16 + MAX_V2_OCTETS,
      "more is wanted than a header has",
    );
    const end = Math.min(input.length, at + Math.min(step, reader.wanted));
    const result = reader.push(input.subarray(at, end));
    at = end;
    if (result !== null) return { result, taken: at };
  }
  return { result: null, taken: at };
}

export function checkProxy(input: Uint8Array): void {
  const whole = read(input, input.length + 1);
  for (const step of [1, 2, 7]) assert.deepEqual(read(input, step), whole, `${step} octets at a time`);
  if (whole.result?.kind !== "proxied") return;
  const { source, sourcePort, destination, destinationPort } = whole.result.addresses;
  assert.ok(isIP(source) > 0 && isIP(destination) > 0, "no addresses");
  for (const port of [sourcePort, destinationPort]) assert.ok(port >= 0 && port <= 65_535, "no port");
}

export function fuzzProxy(seed: number, runs: number): void {
  fuzz({ make, check: checkProxy }, seed, runs);
}

/**
 * Seeded mutation of DNS messages against the codec and the judge of answers.
 *
 * Checked: nothing throws, a name never exceeds its limit, what was read is within the octets there were, and what
 * was read can be written and reads the same again (names are written in one form, so the second time is exact).
 */
import assert from "node:assert/strict";
import { decodeMessage, encodeMessage, type Message } from "../../dns/message.ts";
import { canonicalName } from "../../dns/name.ts";
import { buildQuery, judge } from "../../dns/query.ts";
import type { RecordData } from "../../dns/rdata.ts";
import { replyOf } from "../../dns/reply.ts";
import { readLink } from "../../dns/response.ts";
import { typeBitmap } from "../../dns/type_bitmap.ts";
import { MAX_MESSAGE_OCTETS } from "../../dns/wire.ts";
import { fuzz, type Random } from "./fuzzing.ts";

const DATA: readonly RecordData[] = [
  { type: "A", address: "192.0.2.1" },
  { type: "AAAA", address: "2001:db8::1" },
  { type: "NS", host: "ns.example.test" },
  { type: "CNAME", target: "b.example.test" },
  { type: "PTR", target: "." },
  { type: "MX", preference: 10, exchange: "mx.example.test" },
  { type: "TXT", strings: [Uint8Array.of(1, 2, 3), new Uint8Array(0)] },
  { type: "SRV", priority: 1, weight: 2, port: 3, target: "srv.example.test" },
  { type: "TLSA", usage: 3, selector: 1, matching: 1, association: new Uint8Array(32) },
  { type: "unknown", code: 65_280, octets: Uint8Array.of(0xc0, 0x0c) },
  { type: "DNAME", target: "other.test" },
  { type: "CAA", flags: 128, tag: "issue", value: Uint8Array.of(0x3b) },
  {
    type: "SVCB",
    priority: 1,
    target: "Svc.example.test",
    parameters: [{ key: 3, octets: Uint8Array.of(1, 187) }],
  },
  { type: "HTTPS", priority: 0, target: ".", parameters: [] },
  { type: "DS", keyTag: 20_326, algorithm: 8, digestType: 2, digest: new Uint8Array(32) },
  { type: "DNSKEY", flags: 257, protocol: 3, algorithm: 13, key: new Uint8Array(64) },
  {
    type: "RRSIG",
    covered: 1,
    algorithm: 13,
    labels: 3,
    originalTtlSeconds: 300,
    expiration: 2_000_000_000,
    inception: 1_000_000_000,
    keyTag: 1,
    signer: "example.test",
    signature: new Uint8Array(64),
  },
  { type: "NSEC", next: "B.example.test", types: typeBitmap([1, 2, 46, 47, 65_280]) },
  {
    type: "NSEC3",
    hashAlgorithm: 1,
    flags: 1,
    iterations: 0,
    salt: Uint8Array.of(0xab),
    nextHash: new Uint8Array(20),
    types: typeBitmap([2, 6]),
  },
  { type: "NSEC3PARAM", hashAlgorithm: 1, flags: 0, iterations: 0, salt: new Uint8Array(0) },
  // RP: two names inside a type that is kept raw.
  { type: "unknown", code: 17, octets: Uint8Array.of(1, 0x61, 0, 0) },
  {
    type: "SOA",
    primary: "ns.example.test",
    mailbox: "hostmaster.example.test",
    serial: 1,
    refreshSeconds: 2,
    retrySeconds: 3,
    expireSeconds: 4,
    minimumSeconds: 5,
  },
];
/** Octets that mean something: pointers, reserved label types, lengths, OPT and SOA as types. */
const OCTETS = [0x00, 0x01, 0x0c, 0x3f, 0x40, 0x80, 0xc0, 0xc1, 0xff, 0x29, 0x06, 0x05];
const NOTHING = new Uint8Array(0);
/** Inputs that are made of one message. */
const MUTATIONS = 32;
const NAMES = ["a.example.test", "b.example.test", "example.test", "."];

/** What the answers are judged against; the same for every input, so that a finding fails again. */
const QUERY = buildQuery({ name: NAMES[0]!, type: 1, mixedCase: true, edns: true }, () => 0x4a5b);

/** Checks one input. */
export function checkDns(octets: Uint8Array): void {
  const message = decodeMessage(octets);
  if (message !== null) {
    const records = [...message.answers, ...message.authorities, ...message.additionals];
    assert.ok(records.length * 11 <= octets.length);
    for (const { name } of [...message.questions, ...records]) {
      assert.notEqual(canonicalName(name), null, name);
    }
    const written = write(message);
    const again = written && decodeMessage(written);
    if (written !== null && !same(again, message)) assert.deepEqual(again, message);
  }
  const verdict = judge(QUERY, octets);
  if (verdict.kind === "answer") {
    readLink(replyOf(verdict.message, { name: NAMES[0]!, from: "" }), { name: NAMES[0]!, type: 1 });
  }
}

/** Makes and checks `runs` inputs, the same ones for the same seed. */
export function fuzzDns(seed: number, runs: number): void {
  let whole = new Uint8Array(0), left = 0;
  const make = (random: Random) => {
    if (left-- === 0) {
      whole = encodeMessage(answerFrom(random));
      left = MUTATIONS - 1;
    }
    return mutated(whole, random);
  };
  fuzz({ make, check: checkDns }, seed, runs);
}

/** Equal in every part; what is not is looked at again by `deepEqual`, which takes far longer. */
function same(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (a instanceof Uint8Array) {
    return b instanceof Uint8Array && a.length === b.length && a.every((octet, at) => octet === b[at]);
  }
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length &&
    keys.every((key) => same((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key]));
}

/** Null when decompressed names do not fit a message any more. */
function write(message: Message): Uint8Array | null {
  try {
    return encodeMessage(message);
  } catch (error) {
    if (error instanceof RangeError && error.message.includes(`${MAX_MESSAGE_OCTETS} octets`)) return null;
    throw error;
  }
}

function answerFrom(random: Random): Message {
  const section = () =>
    Array.from({ length: random.below(4) }, () => ({
      name: random.pick(NAMES),
      class: 1,
      ttlSeconds: random.below(100_000),
      data: random.pick(DATA),
    }));
  return {
    id: QUERY.id,
    response: true,
    opcode: 0,
    authoritative: random.below(2) === 0,
    truncated: random.below(4) === 0,
    recursionDesired: true,
    recursionAvailable: true,
    authenticData: false,
    checkingDisabled: false,
    rcode: random.below(8) === 0 ? 3 : 0,
    questions: [{ name: QUERY.name, type: 1, class: 1 }],
    answers: section(),
    authorities: section(),
    additionals: section(),
    edns: random.below(2) === 0 ? null : {
      udpOctets: 1_232,
      version: 0,
      dnssecOk: false,
      options: [{ code: 10, octets: new Uint8Array(8) }],
    },
  };
}

function mutated(octets: Uint8Array, random: Random): Uint8Array {
  let now = octets.slice();
  for (let changes = random.below(6); changes > 0 && now.length > 0; changes--) {
    const at = random.below(now.length + 1), last = now.length - 1;
    switch (random.below(6)) {
      case 0:
        now[Math.min(at, last)] = random.below(256);
        break;
      case 1:
        now[Math.min(at, last)] = random.pick(OCTETS);
        break;
      case 2: // a pointer
        now = spliced(now, { at, gone: 2, come: Uint8Array.of(0xc0, random.below(now.length + 2)) });
        break;
      case 3:
        now = spliced(now, { at, gone: 1 + random.below(4), come: NOTHING });
        break;
      case 4: { // a piece again
        const come = now.subarray(random.below(now.length), random.below(now.length + 1));
        now = spliced(now, { at, gone: 0, come });
        break;
      }
      default:
        now = now.subarray(0, at);
    }
  }
  return now;
}

function spliced(
  octets: Uint8Array,
  { at, gone, come }: { readonly at: number; readonly gone: number; readonly come: Uint8Array },
): Uint8Array<ArrayBuffer> {
  const rest = octets.subarray(at + gone);
  const whole = new Uint8Array(at + come.length + rest.length);
  whole.set(octets.subarray(0, at));
  whole.set(come, at);
  whole.set(rest, at + come.length);
  return whole;
}

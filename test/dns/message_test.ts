/** The codec: round trips of every type, and what a peer may try. */
import assert from "node:assert/strict";
import * as fc from "fast-check";
import { encodeLatin1 } from "../../bytes/decode.ts";
import { decodeMessage, encodeMessage, type Message, type ResourceRecord } from "../../dns/message.ts";
import { formatIpv4, formatIpv6 } from "../../dns/ip_address.ts";
import { octetText } from "../../dns/name.ts";
import { type RecordData, TYPE_CODES } from "../../dns/rdata.ts";
import { typeBitmap } from "../../dns/type_bitmap.ts";
import { record } from "./fake_network.ts";

const SEED = { seed: 20_240_607 };

const octets = (minLength: number, maxLength: number) => fc.uint8Array({ minLength, maxLength });
const u8 = fc.nat(0xff), u16 = fc.nat(0xffff), u32 = fc.nat(0xffffffff);
/** Labels of any octets, often the same ones so that compression has work. Upper case folds, so there is none. */
const label = fc.oneof(
  fc.constantFrom("mx", "example", "test", "a"),
  fc.array(u8.filter((octet) => octet < 0x41 || octet > 0x5a), { minLength: 1, maxLength: 12 }).map((list) =>
    list.map(octetText).join("")
  ),
);
const name = fc.oneof(
  fc.constant("."),
  fc.array(label, { minLength: 1, maxLength: 6 }).map((labels) => labels.join(".")),
);

const types = fc.array(u16, { maxLength: 8 }).map(typeBitmap);

const data: fc.Arbitrary<RecordData> = fc.oneof(
  octets(4, 4).map((bytes) => ({ type: "A" as const, address: formatIpv4(bytes) })),
  octets(16, 16).map((bytes) => ({ type: "AAAA" as const, address: formatIpv6(bytes) })),
  name.map((host) => ({ type: "NS" as const, host })),
  name.map((target) => ({ type: "CNAME" as const, target })),
  name.map((target) => ({ type: "PTR" as const, target })),
  fc.record({ type: fc.constant("MX" as const), preference: u16, exchange: name }),
  fc.record({
    type: fc.constant("SOA" as const),
    primary: name,
    mailbox: name,
    serial: u32,
    refreshSeconds: u32,
    retrySeconds: u32,
    expireSeconds: u32,
    minimumSeconds: u32,
  }),
  fc.record({
    type: fc.constant("TXT" as const),
    strings: fc.array(octets(0, 255), { minLength: 1, maxLength: 4 }),
  }),
  fc.record({ type: fc.constant("SRV" as const), priority: u16, weight: u16, port: u16, target: name }),
  fc.record({
    type: fc.constant("TLSA" as const),
    usage: u8,
    selector: u8,
    matching: u8,
    association: octets(0, 64),
  }),
  fc.record({
    type: fc.constant("unknown" as const),
    code: fc.constantFrom(13, 99, 65_280),
    octets: octets(0, 40),
  }),
  name.map((target) => ({ type: "DNAME" as const, target })),
  fc.record({
    type: fc.constant("CAA" as const),
    flags: u8,
    tag: fc.constantFrom("issue", "issuewild", "iodef"),
    value: octets(0, 60),
  }),
  fc.record({
    type: fc.constantFrom("SVCB" as const, "HTTPS" as const),
    priority: u16,
    target: name,
    parameters: fc.uniqueArray(fc.record({ key: u16, octets: octets(0, 20) }), {
      selector: ({ key }) => key,
      maxLength: 5,
    }).map((list) => list.sort((a, b) => a.key - b.key)),
  }),
  fc.record({
    type: fc.constant("DS" as const),
    keyTag: u16,
    algorithm: u8,
    digestType: u8,
    digest: octets(0, 48),
  }),
  fc.record({
    type: fc.constant("DNSKEY" as const),
    flags: u16,
    protocol: u8,
    algorithm: u8,
    key: octets(0, 300),
  }),
  fc.record({
    type: fc.constant("RRSIG" as const),
    covered: u16,
    algorithm: u8,
    labels: u8,
    originalTtlSeconds: u32,
    expiration: u32,
    inception: u32,
    keyTag: u16,
    signer: name,
    signature: octets(0, 300),
  }),
  fc.record({ type: fc.constant("NSEC" as const), next: name, types }),
  fc.record({
    type: fc.constant("NSEC3" as const),
    hashAlgorithm: u8,
    flags: u8,
    iterations: u16,
    salt: octets(0, 255),
    nextHash: octets(0, 255),
    types,
  }),
  fc.record({
    type: fc.constant("NSEC3PARAM" as const),
    hashAlgorithm: u8,
    flags: u8,
    iterations: u16,
    salt: octets(0, 255),
  }),
);
const resourceRecord: fc.Arbitrary<ResourceRecord> = fc.record({
  name,
  class: fc.constant(1),
  ttlSeconds: fc.nat(0x7fffffff),
  data,
});
const section = fc.array(resourceRecord, { maxLength: 4 });
const message: fc.Arbitrary<Message> = fc.record({
  id: u16,
  response: fc.boolean(),
  opcode: fc.nat(15),
  authoritative: fc.boolean(),
  truncated: fc.boolean(),
  recursionDesired: fc.boolean(),
  recursionAvailable: fc.boolean(),
  authenticData: fc.boolean(),
  checkingDisabled: fc.boolean(),
  rcode: fc.nat(15),
  questions: fc.array(fc.record({ name, type: u16, class: u16 }), { maxLength: 2 }),
  answers: section,
  authorities: section,
  additionals: section,
  edns: fc.option(fc.record({
    udpOctets: u16,
    version: u8,
    dnssecOk: fc.boolean(),
    options: fc.array(fc.record({ code: u16, octets: octets(0, 20) }), { maxLength: 3 }),
  })),
});

Deno.test("what is written is read back, for all types", () => {
  fc.assert(
    fc.property(message, (value) => {
      assert.deepEqual(plain(decodeMessage(encodeMessage(value))), plain(value));
    }),
    { ...SEED, numRuns: 1_500 },
  );
});

Deno.test("an extended RCODE stands in OPT", () => {
  const value = { ...sample(), rcode: 16 };
  assert.equal(decodeMessage(encodeMessage(value))!.rcode, 16);
});

Deno.test("a message cut at any octet is refused, or kept as far as it goes when it says it is truncated", () => {
  const whole = encodeMessage(sample());
  for (let end = 0; end < whole.length; end++) {
    assert.equal(decodeMessage(whole.subarray(0, end)), null, `${end} octets`);
  }
  const truncated = encodeMessage({ ...sample(), truncated: true });
  let most = -1;
  for (let end = 0; end <= truncated.length; end++) {
    const read = decodeMessage(truncated.subarray(0, end));
    if (read === null) {
      assert.equal(most, -1, "once the question is whole it stays readable");
      continue;
    }
    assert.equal(read.questions.length, 1);
    assert.ok(read.answers.length >= most);
    most = read.answers.length;
  }
  assert.equal(most, sample().answers.length);
});

Deno.test("names are compressed, and types younger than RFC 1035 are not", () => {
  const mx = (host: string) => record("example.test", { type: "MX", preference: 1, exchange: host });
  const value: Message = {
    ...sample(),
    questions: [{ name: "example.test", type: TYPE_CODES.MX, class: 1 }],
    answers: [mx("mx1.example.test"), mx("mx1.example.test")],
    authorities: [],
    additionals: [],
    edns: null,
  };
  const bytes = encodeMessage(value);
  // header, question, then 2 + 10 + 2 + (4 + 2) and 2 + 10 + 2 + 2
  assert.equal(bytes.length, 12 + 14 + 4 + 20 + 16);
  const srv = record("example.test", {
    type: "SRV",
    priority: 0,
    weight: 0,
    port: 1,
    target: "example.test",
  });
  const long = encodeMessage({ ...value, answers: [srv] });
  assert.equal(long.length, 12 + 14 + 4 + 12 + 6 + 14);
});

Deno.test("compression that does not lead backwards is refused", () => {
  const head = "\x00\x01\x80\x00\x00\x01\x00\x00\x00\x00\x00\x00";
  const tail = "\x00\x01\x00\x01";
  const refused: Record<string, string> = {
    "to itself": "\xc0\x0c",
    "to a later octet": "\xc0\x0e\x01a\x00",
    "to itself behind a label": "\x01a\xc0\x0c",
    "into itself": "\x01a\xc0\x0d",
    "out of the message": "\xff\xff",
    "half a pointer": "\xc0",
    "a reserved label type": "\x40a\x00",
    "another reserved one": "\x80a\x00",
    "a label longer than the message": "\x3fabc",
    "no end": "\x01a\x01b",
  };
  for (const [what, octetsOfName] of Object.entries(refused)) {
    assert.equal(decodeMessage(encodeLatin1(head + octetsOfName + tail)), null, what);
  }
  assert.equal(decodeMessage(encodeLatin1(head + "\x01a\x00" + tail))!.questions[0]!.name, "a");
});

Deno.test("two names that point into each other are refused", () => {
  const head = "\x00\x01\x80\x00\x00\x02\x00\x00\x00\x00\x00\x00";
  const bytes = encodeLatin1(head + "\x01a\xc0\x14\x00\x01\x00\x01" + "\x01b\xc0\x0c\x00\x01\x00\x01");
  assert.equal(decodeMessage(bytes), null);
});

Deno.test("a chain of pointers keeps the limit of 255 octets", () => {
  const questions: string[] = [];
  let at = 12;
  for (let count = 0; count < 10; count++) {
    const label = "\x3f" + "x".repeat(63);
    questions.push(count === 0 ? `${label}\x00` : `${label}\xc0${String.fromCharCode(at - previous(count))}`);
    at += questions[count]!.length + 4;
    if (at > 0xff) break;
  }
  function previous(count: number): number {
    return questions[count - 1]!.length + 4;
  }
  const build = (count: number) =>
    encodeLatin1(
      `\x00\x01\x80\x00\x00${String.fromCharCode(count)}\x00\x00\x00\x00\x00\x00` +
        questions.slice(0, count).map((text) => text + "\x00\x01\x00\x01").join(""),
    );
  assert.equal(decodeMessage(build(3))!.questions[2]!.name.length, 3 * 63 + 2);
  assert.equal(decodeMessage(build(4)), null);
});

Deno.test("counts that the octets cannot hold are refused before anything is read", () => {
  const bytes = encodeMessage(sample());
  for (const at of [4, 6, 8, 10]) {
    const lying = bytes.slice();
    lying[at] = 0xff;
    lying[at + 1] = 0xff;
    assert.equal(decodeMessage(lying), null, `count at ${at}`);
  }
});

Deno.test("record data must fill its length and have its format", () => {
  const refused: [number, string][] = [
    [TYPE_CODES.A, "\x01\x02\x03"],
    [TYPE_CODES.A, "\x01\x02\x03\x04\x05"],
    [TYPE_CODES.AAAA, "\x01\x02\x03\x04"],
    [TYPE_CODES.MX, "\x00"],
    [TYPE_CODES.MX, "\x00\x01\x00\x00"],
    [TYPE_CODES.CNAME, "\x01a"],
    [TYPE_CODES.TXT, ""],
    [TYPE_CODES.TXT, "\x05abc"],
    [TYPE_CODES.SOA, "\x00\x00\x00\x00\x00\x01"],
    [TYPE_CODES.SRV, "\x00\x01\x00\x01\x00\x01"],
    [TYPE_CODES.TLSA, "\x03\x01"],
    [41, "\x00\x01\x00\x05a"],
  ];
  for (const [code, rdata] of refused) {
    assert.equal(decodeMessage(raw(code, 1, rdata)), null, `type ${code}: ${JSON.stringify(rdata)}`);
  }
});

Deno.test("a class other than IN stays raw", () => {
  const answers = decodeMessage(raw(TYPE_CODES.A, 3, "\x01\x02"))!.answers;
  assert.deepEqual(answers[0]!.data, { type: "unknown", code: 1, octets: Uint8Array.of(1, 2) });
});

Deno.test("OPT stands once, in the additional section, at the root", () => {
  assert.equal(decodeMessage(raw(41, 1_232, "")), null, "in the answer section");
  const opt = "\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00";
  const head = (count: number) => `\x00\x01\x80\x00\x00\x00\x00\x00\x00\x00\x00${String.fromCharCode(count)}`;
  assert.equal(decodeMessage(encodeLatin1(head(1) + opt))!.edns!.udpOctets, 1_232);
  assert.equal(decodeMessage(encodeLatin1(head(2) + opt + opt)), null);
  assert.equal(decodeMessage(encodeLatin1(head(1) + "\x01a" + opt)), null);
});

Deno.test("a TTL of 2^31 or more is 0", () => {
  const bytes = encodeMessage({
    ...sample(),
    answers: [record("example.test", { type: "A", address: "192.0.2.1" }, 0x80000000)],
  });
  assert.equal(decodeMessage(bytes)!.answers[0]!.ttlSeconds, 0);
});

Deno.test("what we write is checked", () => {
  const bad = (data: RecordData) => () => encodeMessage({ ...sample(), answers: [record("a", data)] });
  assert.throws(bad({ type: "A", address: "::1" }), RangeError);
  assert.throws(bad({ type: "CNAME", target: "a..b" }), RangeError);
  assert.throws(bad({ type: "unknown", code: 99, octets: new Uint8Array(65_536) }), RangeError);
});

function raw(code: number, recordClass: number, rdata: string): Uint8Array {
  const u16 = (value: number) => String.fromCharCode(value >> 8, value & 0xff);
  return encodeLatin1(
    "\x00\x01\x80\x00\x00\x00\x00\x01\x00\x00\x00\x00" +
      `\x00${u16(code)}${u16(recordClass)}\x00\x00\x00\x3c${u16(rdata.length)}${rdata}`,
  );
}

function sample(): Message {
  return {
    id: 4_711,
    response: true,
    opcode: 0,
    authoritative: false,
    truncated: false,
    recursionDesired: true,
    recursionAvailable: true,
    authenticData: false,
    checkingDisabled: false,
    rcode: 0,
    questions: [{ name: "Example.test", type: TYPE_CODES.MX, class: 1 }],
    answers: [
      record("example.test", { type: "MX", preference: 10, exchange: "mx1.example.test" }),
      record("example.test", { type: "MX", preference: 20, exchange: "mx2.example.test" }),
    ],
    authorities: [record("example.test", { type: "NS", host: "ns.example.test" })],
    additionals: [record("mx1.example.test", { type: "AAAA", address: "2001:db8::1" })],
    edns: {
      udpOctets: 1_232,
      version: 0,
      dnssecOk: false,
      options: [{ code: 10, octets: new Uint8Array(8) }],
    },
  };
}

/** fast-check makes objects without a prototype. */
function plain(value: unknown): unknown {
  return structuredClone(value);
}

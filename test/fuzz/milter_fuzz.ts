/**
 * Fuzzing the replies of milters: streams of packets, mutated and cut at random.
 *
 * Nothing throws, however the stream is cut the packets are the same, and a reply that parses has the form it says.
 * Changes of the envelope leave no control character in an address.
 */
import assert from "node:assert/strict";
import { encodeLatin1 } from "../../bytes/decode.ts";
import { MAX_PACKET, type MilterReply, PacketReader, parseReply } from "../../filter/milter/packet.ts";
import type { EnvelopeChange } from "../../filter/message_source.ts";
import { changedEnvelope } from "../../delivery/envelope_changes.ts";
import { formatPath } from "../../protocols/smtp/path.ts";
import { cutsOf, fuzz, mutate, type Random } from "./fuzzing.ts";

const packet = (text: string) => `\0\0\0${String.fromCharCode(text.length)}${text}`;
const SEEDS = [
  packet("O\0\0\0\x06\0\0\0\x33\0\x10\0\0") + packet("c") + packet("a"),
  packet("hX-A\0b\0") + packet("i\0\0\0\x01X-B\0c\0") + packet("m\0\0\0\x02Subject\0\0") + packet("c"),
  packet("y550 5.1.1 no such\0") + packet("y421 bye\0") + packet("qodd\0") + packet("p") +
  packet("bnew body"),
  packet("e<a@b.example>\0RET=HDRS\0") + packet("+<c@d.example>\0") + packet("2e@f.example\0NOTIFY=NEVER\0") +
  packet("-<g@h.example>\0") + packet("c"),
  packet("O\0\0\0\x06\0\0\x01\xff\0\0\0\0\0\0\0\0j {daemon_name}\0\0\0\0\x03i\0") + packet("c"),
];
const ENVELOPE: ReadonlySet<string> = new Set(["sender", "add-recipient", "remove-recipient"]);
const TOKENS = ["\0", "\0\0\0\x01", "\xff\xff\xff\xff", "c", "y", "m", "550 ", "\r\n", "x".repeat(100)];

export function fuzzMilter(seed: number, runs: number): void {
  const make = (random: Random) =>
    encodeLatin1(mutate(random, random.pick(SEEDS), { tokens: TOKENS, maxChanges: 6 }));
  fuzz({ make, check: checkMilter }, seed, runs);
}

export function checkMilter(input: Uint8Array): void {
  const whole = repliesOf(input, [input.length]);
  assert.deepEqual(repliesOf(input, cutsOf(input, 3)), whole);
  for (const reply of whole) {
    if (reply?.kind === "reply") {
      assert.match(`${reply.code} ${reply.enhanced}`, /^([45])\d\d [45]\.\d+\.\d+$/);
    }
    if (reply?.kind === "body") assert.ok(reply.octets.length < MAX_PACKET);
  }
  const changes = whole.filter((reply) => reply !== null && ENVELOPE.has(reply.kind)) as EnvelopeChange[];
  if (changes.length === 0) return;
  const { sender, kept, added } = changedEnvelope({ sender: "a@b.example", recipients: [] }, changes);
  assert.equal(kept.length, 0);
  for (const address of [sender, ...added.map(({ path }) => formatPath(path))]) {
    // deno-lint-ignore no-control-regex
    assert.doesNotMatch(address, /[\x00-\x1f\x7f]/, "a control character");
  }
}

function repliesOf(input: Uint8Array, cuts: readonly number[]): (MilterReply | null)[] {
  const reader = new PacketReader();
  const replies: (MilterReply | null)[] = [];
  let at = 0;
  for (const cut of [...cuts, input.length].sort((a, b) => a - b)) {
    reader.push(input.subarray(at, cut));
    at = cut;
    for (let packet = reader.next(); packet !== null; packet = reader.next()) {
      replies.push(parseReply(packet));
    }
  }
  return replies;
}

/** Traps: what comes to addresses that nobody writes to, and what that says of copies to others. */
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import type { AuthenticationConfig } from "../../delivery/authentication.ts";
import type { ClientFacts } from "../../delivery/reception.ts";
import type { SpamConfig } from "../../delivery/spam/judge.ts";
import { Blocks } from "../../filter/address_block.ts";
import { Chain } from "../../filter/chain.ts";
import { SessionScreen } from "../../filter/screen.ts";
import { Assessor } from "../../filter/spam/assessor.ts";
import { Teacher } from "../../filter/spam/teacher.ts";
import { BodyHash } from "../../mailauth/dkim_canonical.ts";
import { signHeader } from "../../mailauth/dkim_sign.ts";
import { parseConfig } from "../../server/config/load.ts";
import type { WriteOp } from "../../storage/ops.ts";
import { a, type MockEntry, MockResolver, txt } from "../lib/mock_resolver.ts";
import { NOW, octetsOf, ReceptionBed, STRANGER } from "./reception_bed.ts";

const RSA = generateKeyPairSync("rsa", { modulusLength: 2048 });
const PUBLIC = RSA.publicKey.export({ format: "der", type: "spki" }).toString("base64");
const DNS: Record<string, MockEntry> = {
  "client.example A": [a("192.0.2.1")],
  "good.test TXT": [txt("v=spf1 ip4:192.0.2.1 -all")],
  "slow.test TXT": "timeout",
  "s._domainkey.list.test TXT": [txt(`v=DKIM1; p=${PUBLIC}`)],
};
const CHECKS: AuthenticationConfig = {
  ...{ iprev: false, spf: true, dkim: true, arc: true, dmarc: "rfc9989", refuse: "never" },
  ...{ trustedSealers: [], knownLists: ["list.test"], relays: new Blocks(["192.0.2.9/32"]) },
  ...{ skip: new Blocks([]), onDnsTrouble: "deliver", timeoutMs: 30_000 },
};
const SPAM: SpamConfig = {
  rules: { server: { mark: 3, junk: 50, quarantine: null, refuse: null }, domains: {} },
  ...{ enabled: true, weights: {}, onTimeout: "mark", outgoingHold: null, deadlineMs: 10_000 },
  ...{ linkZones: [], traps: ["bob@example.test", "old@example.test", "nobody@example.test"] },
};
const WORDS =
  "our wonderful pills are sold without any prescription and will be sent to your door within a single " +
  "day so order the whole box before this offer ends and tell all your friends about it because every friend who " +
  "orders as well brings you another box for free while our store lasts and we never share your name with others " +
  "who might want to know what you have bought from us or where you live and how you paid for all of these";
const letter = (from: string, n = 1, words = WORDS) =>
  `From: <${from}>\r\nMessage-ID: <${n}@${from}>\r\nSubject: letter ${n}\r\n\r\n${words}\r\n`;

class Bed {
  readonly bed: ReceptionBed;
  readonly assessor: Assessor;
  readonly #teacher: Teacher;

  private constructor(bed: ReceptionBed, assessor: Assessor) {
    const { store } = bed.test;
    this.bed = bed;
    this.assessor = assessor;
    this.#teacher = new Teacher({ lessons: store.spam, blobs: store.blobs, assessor });
  }

  static async open(checks: Partial<AuthenticationConfig> = {}): Promise<Bed> {
    let assessor: Assessor | null = null;
    const bed = await ReceptionBed.open({ authentication: { ...CHECKS, ...checks }, spam: SPAM }, {}, {
      resolver: new MockResolver(DNS),
      spam: {
        filter: {
          assess: (request) =>
            "segment" in request.octets ? null : assessor!.assess({ ...request, octets: request.octets }),
        },
        ...{ linkHits: () => [], notify: () => {} },
      },
    });
    assessor = new Assessor(bed.test.store.spam);
    return new Bed(bed, assessor);
  }

  async send(
    to: string,
    message = letter("eve@evil.test"),
    { from = "eve@evil.test", client = STRANGER }: { from?: string; client?: ClientFacts } = {},
  ): Promise<number | undefined> {
    const { rcpt: [rcpt], data } = await this.bed.send({ client, from, to: [`${to}@example.test`], message });
    return data?.code ?? rcpt?.code;
  }

  /** What waits to be learnt. */
  get wishes() {
    return this.bed.test.store.spam.wishes(10).map(({ accountId, kind }) => [accountId, kind]);
  }

  async learn(): Promise<void> {
    for (;;) {
      const ops = await this.#teacher.next();
      if (ops.length === 0) return;
      await this.bed.ok(...ops);
    }
  }

  /** Points that a message to alice has for copies that are known. */
  async points(message: string): Promise<string | null> {
    assert.equal(await this.send("alice", message), 250);
    const reason = this.bed.stored("alice").at(-1)!.replace(/\r\n\t/g, " ");
    return /came to traps \(([+-][\d.]+)\)/.exec(reason)?.[1] ?? null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.bed.close();
  }
}

const TAUGHT = [[0, "spam"]];

Deno.test("unproven mail of strangers to a trap is taken like any, and taught in nobody's name", async () => {
  await using bed = await Bed.open();
  await bed.bed.ok({ kind: "put-alias", address: "old@example.test", targets: ["alice@example.test"] });
  for (const to of ["bob", "Bob", "old"]) {
    assert.equal(await bed.send(to), 250);
    assert.deepEqual(bed.wishes, TAUGHT, to);
    await bed.learn();
  }
  assert.equal(bed.bed.stored("bob").length, 2);
  assert.equal(await bed.send("nobody"), 550);
  assert.equal(await bed.send("alice"), 250);
  assert.deepEqual(bed.wishes, []);
});

Deno.test("what is set aside at a trap is taught too", async () => {
  await using bed = await Bed.open();
  const odd = new Chain([{
    ...{ name: "odd", stages: ["message"] },
    run: () => ({ action: "quarantine", reason: "odd" }),
  }]);
  const client = { ...STRANGER, screen: new SessionScreen({ strangers: odd, logins: odd }) };
  assert.equal(await bed.send("bob", letter("eve@evil.test"), { client }), 250);
  assert.deepEqual([bed.bed.stored("bob"), bed.wishes], [[], TAUGHT]);
});

Deno.test("what a script of a trap does with its mail changes nothing of what is learnt", async () => {
  await using bed = await Bed.open();
  const { bed: { test } } = bed;
  const { id } = bed.bed.account("bob");
  const held = (least: number) => test.store.spam.wishes(10).every(({ blob }) => (blob?.length ?? 0) > least);
  const cases: [script: string, reply: number, copies: number][] = [
    ["discard;", 250, 0],
    ['require "reject"; reject "no";', 550, 0],
    ['redirect "alice@example.test";', 250, 0],
    ['require "fileinto"; fileinto "INBOX";', 250, 1],
    ['require "editheader"; addheader "X-A" "b";', 250, 1],
  ];
  for (const [n, [content, reply, copies]] of cases.entries()) {
    await bed.bed.ok(
      { kind: "put-script", scope: "user", owner: String(id), name: "s", content },
      { kind: "activate-script", scope: "user", owner: String(id), name: "s" },
    );
    const before = bed.bed.stored("bob").length;
    const message = letter("eve@evil.test", n);
    assert.equal(await bed.send("bob", message), reply, content);
    assert.equal(bed.bed.stored("bob").length - before, copies, content);
    assert.deepEqual([bed.wishes, held(message.length)], [TAUGHT, true], content);
    await bed.learn();
    assert.equal(test.store.spam.counts(0).spam, n + 1, content);
  }
});

Deno.test("mail that anything vouches for, or that could not be looked at, is no trap's", async () => {
  await using bed = await Bed.open();
  const good = letter("a@good.test");
  const at = (message: string) => message.indexOf("\r\n\r\n") + 2;
  const body = new BodyHash("relaxed", { algorithm: "sha256", limit: null });
  const octets = octetsOf(letter("eve@evil.test"));
  body.write(octets, at(letter("eve@evil.test")) + 2, octets.length);
  const key = { domain: "list.test", selector: "s", kind: "rsa", key: RSA.privateKey } as const;
  const header = octets.subarray(0, at(letter("eve@evil.test")));
  const listed = await signHeader(header, { bodyHash: body.digest(), key, now: NOW }) +
    letter("eve@evil.test");
  const cases: [why: string, message: string, from: string, client?: ClientFacts][] = [
    ["SPF of the author", good, "a@good.test"],
    ["a known list", listed, "eve@evil.test"],
    ["DNS does not answer", letter("a@slow.test"), "a@slow.test"],
    ["a login", letter("alice@example.test"), "alice@example.test", bed.bed.login("alice")],
    ["a network of ours", letter("eve@evil.test"), "eve@evil.test", { ...STRANGER, trusted: true }],
    ["a relay of ours", letter("eve@evil.test"), "eve@evil.test", { ...STRANGER, address: "192.0.2.9" }],
  ];
  for (const [why, message, from, client = STRANGER] of cases) {
    assert.equal(await bed.send("bob", message, { from, client }), 250, why);
    assert.deepEqual(bed.wishes, [], why);
  }
  for (const checks of [{ dmarc: "off" }, { spf: false }, { dkim: false }] as const) {
    await using blind = await Bed.open(checks);
    assert.equal(await blind.send("bob"), 250);
    assert.deepEqual(blind.wishes, [], Deno.inspect(checks));
  }
  // Another's SPF says nothing of the author.
  assert.equal(await bed.send("bob", letter("eve@evil.test"), { from: "a@good.test" }), 250);
  assert.deepEqual(bed.wishes, TAUGHT);
});

Deno.test("near-duplicates to others count then, once a message; its words and its sender do not", async () => {
  await using bed = await Bed.open();
  const { test: { store } } = bed.bed;
  const copy = letter("mal@other.test", 7, `hello ann, ${WORDS}`);
  const other = letter(
    "mal@other.test",
    8,
    "the minutes of the orchard meeting with all who came to the harvest on " +
      "that sunny day in autumn when we had so many apples and pears",
  );
  assert.equal(await bed.points(copy), null);
  await bed.send("bob");
  await bed.learn();
  await bed.send("bob");
  await bed.learn();
  assert.equal(await bed.points(copy), "+1.5", "one message, however often it came");
  assert.equal(await bed.points(other), null);
  await bed.send("bob", letter("eve@evil.test", 2));
  await bed.learn();
  assert.equal(await bed.points(copy), "+3.0");
  assert.deepEqual(store.spam.counts(0), { spam: 2, ham: 0, waiting: 0 });
  assert.ok(store.spam.journal(0, { after: 0, limit: 10 }).every(({ tokens }) => tokens.length === 3 * 4));
  // Folded like others, and known after it.
  const folded = bed.assessor.fold(0)!;
  await bed.bed.ok({ kind: "put-knowledge", accountId: 0, ...folded });
  assert.deepEqual(store.spam.journal(0, { after: 0, limit: 10 }), []);
  assert.equal(await bed.points(copy), "+3.0");
  // A user who takes it back ends it.
  const octets = octetsOf(copy);
  const lesson = bed.assessor.lesson(octets, octets.length);
  await bed.bed.ok({ kind: "teach", accountId: bed.bed.account("alice").id, as: "ham", ...lesson, wish: 0 });
  assert.equal(await bed.points(copy), null);
});

Deno.test("traps teach a thousand messages a day at most", async () => {
  await using bed = await Bed.open();
  const ops = Array.from({ length: 1_001 }, (_, n): WriteOp => ({
    ...{ kind: "teach", accountId: 0, key: String(n), as: "spam", tokens: new Uint8Array(4), wish: 0 },
  }));
  await bed.bed.ok({ kind: "batch", ops });
  assert.equal(bed.bed.test.store.spam.counts(0).spam, 1_000);
});

Deno.test("traps in the configuration are addresses, in any spelling", () => {
  const trapsOf = (text: string) =>
    parseConfig(`hostname: mx.test\nfilter: { spam: { traps: [${text}] } }\n`, "/veredus.yaml").filter.spam
      .traps;
  assert.deepEqual(trapsOf('Mary.1998@Example.org, "b@x.test"'), ["mary.1998@example.org", "b@x.test"]);
  assert.throws(() => trapsOf("mary"), /an address/);
});

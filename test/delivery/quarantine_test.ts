/** The quarantine: what goes in, what comes out, who is told, what ends, and that nothing of it is lost or doubled. */
import assert from "node:assert/strict";
import { Chain } from "../../filter/chain.ts";
import type { Check } from "../../filter/check.ts";
import { type Chains, SessionScreen } from "../../filter/screen.ts";
import { release, remove } from "../../delivery/quarantine/control.ts";
import { sendDigests } from "../../delivery/quarantine/digest.ts";
import { linked, linkToken } from "../../delivery/quarantine/link.ts";
import { lookAt } from "../../delivery/quarantine/look.ts";
import { RecipientResolver } from "../../delivery/recipients.ts";
import { FactsBuilder } from "../../message/facts.ts";
import { encodeLatin1 } from "../../bytes/decode.ts";
import type { QuarantineRow } from "../../storage/quarantine.ts";
import { verify } from "../../storage/verify.ts";
import { DAY_MS, NOW, ReceptionBed, STRANGER } from "./reception_bed.ts";

const LETTER = 'From: "Eve \u00e9" <eve@remote.example>\r\nTo: alice@example.test\r\n' +
  "Subject: =?utf-8?q?Win_=E2=80=AEnow=0D=0ABcc=3A?=\r\nMessage-ID: <q1@remote.example>\r\n\r\nbody words\r\n";

class Bed {
  readonly bed: ReceptionBed;
  readonly chains: Chains;
  now = NOW;
  #ids = 0;

  private constructor(bed: ReceptionBed, chains: Chains) {
    this.bed = bed;
    this.chains = chains;
  }

  static async open({ dangerous = false } = {}): Promise<Bed> {
    const check: Check = {
      ...{ name: "odd", stages: ["message"] },
      run: () => ({ action: "quarantine", reason: "looks\r\nodd", dangerous }),
    };
    const chain = new Chain([check]);
    const chains = { strangers: chain, logins: chain };
    return new Bed(await ReceptionBed.open({}, {}, { chains }), chains);
  }

  async receive(to: readonly string[], message = LETTER): Promise<void> {
    const client = { ...STRANGER, screen: new SessionScreen(this.chains) };
    const { data } = await this.bed.send({ client, to, message, from: "eve@remote.example" });
    assert.equal(data?.code, 250);
  }

  rows(): QuarantineRow[] {
    return this.store.quarantine.list({}, { after: 0, limit: 100 });
  }

  get store() {
    return this.bed.test.store;
  }

  control() {
    return { store: this.store, clock: () => this.now };
  }

  /** Accounts that are to be taught something. */
  get learnt(): number[] {
    return this.store.spam.wishes(10).map(({ accountId }) => accountId);
  }

  async digests(url: string): Promise<void> {
    const { store } = this;
    const resolver = new RecipientResolver({
      ...{ directory: store.directory, mailboxes: store.mailboxes, access: store.access },
      ...{ hostname: "mx.example.test", ownAddresses: [], captureOutbound: "", clock: () => this.now },
    });
    const post = {
      ...{ store, clock: () => this.now, newId: () => `own${++this.#ids}`, resolver },
      ...{ queueLifetimeMs: DAY_MS, bounceLifetimeMs: DAY_MS },
    };
    await sendDigests({ post, hostname: "mx.example.test", url });
  }

  /** Names of what `verify` finds. */
  async problems(): Promise<string[]> {
    const { folder } = this.bed.test;
    const report = await verify({
      folder,
      fix: false,
      newFacts: () => new FactsBuilder(),
      progress: () => {},
    });
    return report.problems.map(({ kind }) => kind);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.bed.close();
  }
}

Deno.test("one message for two: each is let go or removed alone, its octets stay until the last, nobody gets it twice", async () => {
  await using bed = await Bed.open();
  await bed.receive(["alice@example.test", "bob@example.test"]);
  assert.deepEqual(bed.bed.stored("alice"), []);
  const [first, second, ...more] = bed.rows();
  assert.deepEqual(more, []);
  assert.deepEqual([first!.recipient, second!.recipient, first!.messageId === second!.messageId], [
    "alice@example.test",
    "bob@example.test",
    true,
  ]);
  assert.deepEqual([first!.reason, first!.sender, first!.expiresAt], [
    "odd: looks?odd",
    "eve@remote.example",
    NOW + 30 * DAY_MS,
  ]);
  assert.deepEqual(bed.store.quarantine.counts(), { messages: 1, recipients: 2 });
  assert.deepEqual(await bed.problems(), []);
  // Two at the same moment: one message in the queue.
  await Promise.all([1, 2].map(() => release(bed.control(), [first!], { train: true, by: "test" })));
  assert.deepEqual(
    bed.bed.queued().map(({ recipient, destination, state }) => [recipient, destination, state]),
    [
      ["alice@example.test", "local:held", "queued"],
    ],
  );
  assert.match(bed.bed.queuedOctets(bed.bed.queued()[0]!), /^X-Veredus-Verdict: quarantine;/);
  assert.deepEqual(bed.learnt, [bed.bed.account("alice").id]);
  assert.deepEqual(await bed.problems(), []);
  assert.equal((await remove(bed.control(), [second!])).ok, true);
  assert.deepEqual(bed.store.quarantine.counts(), { messages: 0, recipients: 0 });
  assert.equal(bed.bed.queued().length, 1);
  assert.deepEqual(await bed.problems(), []);
});

Deno.test("what is too old goes, with its octets", async () => {
  await using bed = await Bed.open();
  await bed.receive(["alice@example.test"]);
  assert.equal(bed.store.quarantine.expired(NOW + 30 * DAY_MS - 1), false);
  assert.equal(bed.store.quarantine.expired(NOW + 30 * DAY_MS), true);
  await bed.bed.ok({ kind: "quarantine-expire", at: NOW + 30 * DAY_MS - 1 });
  assert.equal(bed.rows().length, 1);
  await bed.bed.ok({ kind: "quarantine-expire", at: NOW + 30 * DAY_MS });
  assert.deepEqual(bed.store.quarantine.counts(), { messages: 0, recipients: 0 });
  assert.deepEqual(await bed.problems(), []);
});

Deno.test("a digest once a day of what is new; its links fit one message of one recipient", async () => {
  await using bed = await Bed.open();
  await bed.receive(["alice@example.test", "bob@example.test"]);
  await bed.digests("https://mail.example.test");
  const [digest = "", ...more] = bed.bed.stored("alice");
  assert.deepEqual(more, []);
  assert.equal(bed.bed.stored("bob").length, 1);
  assert.match(digest, /\r\nAuto-Submitted: auto-generated\r\n/);
  assert.match(digest, /\r\nReturn-Path: <>|^Return-Path: <>\r\n/);
  // What a stranger wrote is a line of text: no field, no turned writing.
  assert.match(digest, /\r\n {2}Subject: Win now Bcc:\r\n/);
  assert.match(digest, /\r\n {2}Why: {5}odd: looks\?odd\r\n/);
  const [, token = ""] = /https:\/\/mail\.example\.test\/quarantine\/(\S+)\r\n/.exec(digest) ?? [];
  const [alice, bob] = bed.rows();
  assert.equal(linked(bed.store, token)?.recipientId, alice!.recipientId);
  const mac = token.slice(token.indexOf("."));
  for (
    const forged of [
      `${bob!.recipientId}${mac}`,
      token.slice(0, -1),
      `${token}x`,
      token.replace(/.$/, "_"),
      "",
    ]
  ) {
    if (forged !== token) assert.equal(linked(bed.store, forged), null, forged);
  }
  await bed.digests("https://mail.example.test");
  assert.equal(bed.bed.stored("alice").length, 1, "nothing is new");
  await bed.receive(["alice@example.test"], LETTER.replace("q1@", "q2@"));
  await bed.digests("");
  assert.equal(bed.bed.stored("alice").length, 1, "once a day");
  bed.now += DAY_MS;
  await bed.digests("");
  const [, next = ""] = bed.bed.stored("alice");
  assert.doesNotMatch(next, /quarantine\/\d/);
  await release(bed.control(), [alice!], { train: false, by: "test" });
  assert.equal(linked(bed.store, token), null, "it is gone");
  assert.deepEqual(bed.learnt, []);
});

Deno.test("what does harm has no link", async () => {
  await using bed = await Bed.open({ dangerous: true });
  await bed.receive(["alice@example.test"]);
  await bed.digests("https://mail.example.test");
  const [digest = ""] = bed.bed.stored("alice");
  assert.match(digest, /ask your administrator/);
  assert.doesNotMatch(digest, /https:/);
  assert.notEqual(linkToken(bed.store, bed.rows()[0]!), null);
});

Deno.test("a message is looked at as text: no markup, no control characters, names of what is attached", async () => {
  await using bed = await Bed.open();
  const html = [
    "From: eve@remote.example",
    "Subject: a\u009bb",
    'Content-Type: multipart/mixed; boundary="b"',
    "",
    "--b",
    "Content-Type: text/html",
    "",
    '<p>Click <a href="https://bad.example/">here</a>\x1b[31m</p><script>alert(1)</script>',
    "--b",
    'Content-Disposition: attachment; filename="x\x07.pdf"',
    "Content-Type: application/pdf",
    "",
    "%PDF",
    "--b--",
    "",
  ].join("\r\n");
  await bed.receive(["alice@example.test"], html);
  const view = await lookAt(bed.store, bed.rows()[0]!);
  assert.match(view.text, /Click\s+here/);
  assert.doesNotMatch(JSON.stringify(view), /[<>]p>|\\u001b|\\u009b|\\u0007|alert/);
  assert.deepEqual(view.attachments, [{ name: "x.pdf", type: "application/pdf" }]);
  assert.ok(view.header.some(({ name }) => name === "subject"));
});

Deno.test("mail of a login and mail for others are set aside whole, and go on to where they were going", async () => {
  await using bed = await Bed.open();
  const { bed: reception } = bed;
  const client = { ...reception.login("bob"), screen: new SessionScreen(bed.chains) };
  const message = "From: bob@example.test\r\nSubject: out\r\n\r\nbody\r\n";
  const to = ["far@remote.example", "alice@example.test"];
  const { data } = await reception.send({ client, from: "bob@example.test", to, message });
  assert.equal(data?.code, 250);
  assert.deepEqual(reception.queued(), []);
  const rows = bed.rows();
  assert.deepEqual(rows.map(({ recipient, accountId }) => [recipient, accountId]), [
    ["far@remote.example", reception.account("bob").id],
    ["alice@example.test", reception.account("bob").id],
  ]);
  await bed.digests("https://mail.example.test");
  assert.deepEqual(rows.map(({ recipientId }) => bed.store.quarantine.one(recipientId)!.told), [true, true]);
  await release(bed.control(), rows, { train: false, by: "test" });
  assert.deepEqual(
    reception.queued().map(({ recipient, destination, sender }) => [recipient, destination, sender]),
    [
      ["far@remote.example", "remote.example", "bob@example.test"],
      ["alice@example.test", "local:held", "bob@example.test"],
    ],
  );
  assert.equal(new Set(reception.queued().map(({ queueId }) => queueId)).size, 1);
  assert.equal(encodeLatin1(reception.queuedOctets(reception.queued()[0]!)).length > 0, true);
});

/** Quotas, forwarding, further and masked addresses, folders of sub-addresses: from MAIL to the store. */
import { deepStrictEqual as equal, ok } from "node:assert";
import { SRS_DAYS, srsReverse } from "../../delivery/srs.ts";
import { rotateKeys } from "../../delivery/forwarding.ts";
import type { DomainInput, WriteOp } from "../../storage/ops.ts";
import { until } from "../lib/program.ts";
import { NOW, ReceptionBed, STRANGER } from "./reception_bed.ts";

const MESSAGE = "From: <sender@remote.example>\r\nSubject: hello\r\n\r\nbody\r\n";

const domain = (row: Partial<DomainInput>): WriteOp => ({
  kind: "put-domain",
  domain: {
    name: "example.test",
    kind: "local",
    nextHop: "",
    catchAll: "",
    subaddressSeparators: "+",
    ...row,
  },
});
const account = (name: string, rest: object): WriteOp => ({
  kind: "put-account",
  account: { address: `${name}@example.test`, ...rest },
});

async function withBed(ops: readonly WriteOp[], body: (bed: ReceptionBed) => Promise<void>): Promise<void> {
  const bed = await ReceptionBed.open();
  try {
    await bed.ok(...ops);
    await body(bed);
  } finally {
    await bed.close();
  }
}

async function answerTo(bed: ReceptionBed, to: string, more: object = {}): Promise<string> {
  const { rcpt, data } = await bed.send({ to: [to], message: MESSAGE, ...more });
  const [first] = rcpt;
  return data === null ? `${first!.code} ${first!.enhanced} ${first!.text}` : String(data.code);
}

Deno.test("a full account is put off, by its messages and by its octets", () =>
  withBed([account("alice", { quotaMessages: 1 }), account("bob", { quotaOctets: 1_000 })], async (bed) => {
    equal(await answerTo(bed, "alice@example.test"), "250");
    equal(await answerTo(bed, "alice@example.test"), "452 4.2.2 Mailbox full, try again later");
    const size = (octets: number) => ({ parameters: { size: octets } });
    equal(await answerTo(bed, "bob@example.test", size(1_001)), "452 4.2.2 Mailbox full, try again later");
    equal(await answerTo(bed, "bob@example.test", size(900)), "250");
    equal(await answerTo(bed, "bob@example.test", size(900)), "452 4.2.2 Mailbox full, try again later");
  }));

Deno.test("the rule of the domain refuses for good, and its own limit counts for all", () =>
  withBed(
    [domain({ overQuota: "refuse", quotaMessages: 2 }), account("alice", { quotaMessages: 1 })],
    async (bed) => {
      equal(await answerTo(bed, "alice@example.test"), "250");
      equal(await answerTo(bed, "alice@example.test"), "552 5.2.2 Mailbox full");
      await until("the store", () => bed.stored("alice").length === 2); // its notice has room in any case
      equal(await answerTo(bed, "bob@example.test"), "552 5.2.2 Mailbox full");
    },
  ));

Deno.test("an account's own limit goes before its domain's, and 0 is none", () =>
  withBed([domain({ accountQuotaMessages: 1 }), account("bob", { quotaMessages: 0 })], async (bed) => {
    equal(await answerTo(bed, "alice@example.test"), "250");
    equal((await answerTo(bed, "alice@example.test")).slice(0, 9), "452 4.2.2");
    for (let at = 0; at < 3; at++) equal(await answerTo(bed, "bob@example.test"), "250");
  }));

Deno.test("an alias is full when all it leads to is", () =>
  withBed([
    account("alice", { quotaMessages: 1 }),
    { kind: "put-alias", address: "one@example.test", targets: ["alice@example.test"] },
    { kind: "put-alias", address: "both@example.test", targets: ["alice@example.test", "bob@example.test"] },
  ], async (bed) => {
    equal(await answerTo(bed, "one@example.test"), "250");
    equal((await answerTo(bed, "one@example.test")).slice(0, 9), "452 4.2.2");
    equal(await answerTo(bed, "both@example.test"), "250");
    equal(bed.stored("bob").length, 1);
  }));

Deno.test("the owner is told once when nearly full, once when full, and again only after there was room", () =>
  withBed([domain({ quotaSoftPercent: 50 }), account("alice", { quotaMessages: 4 })], async (bed) => {
    const { store } = bed.test;
    const subjects = () =>
      bed.stored("alice").flatMap((text) => /^Subject: (Your mailbox .*)\r$/m.exec(text)?.[1] ?? []);
    equal(await answerTo(bed, "alice@example.test"), "250");
    equal(await answerTo(bed, "alice@example.test"), "250");
    await until("the store", () => subjects().length === 1);
    equal(subjects(), ["Your mailbox is nearly full"]);
    equal(await answerTo(bed, "alice@example.test"), "250"); // four with the notice
    await until("the store", () => subjects().length === 2);
    for (let at = 0; at < 5; at++) equal((await answerTo(bed, "alice@example.test")).slice(0, 3), "452");
    equal(subjects(), ["Your mailbox is nearly full", "Your mailbox is full"]);
    const notice = bed.stored("alice").find((text) => text.includes("is full"))!;
    ok(notice.startsWith("Return-Path: <>\r\n"), notice);
    ok(notice.includes("\r\nAuto-Submitted: auto-generated\r\n"));
    const id = bed.test.accountId("alice");
    const expunge = {
      kind: "expunge",
      mailboxId: bed.test.mailboxId("alice", "INBOX"),
      onlyDeleted: false,
    } as const;
    await bed.test.ok({ ...expunge, uids: null });
    equal(store.directory.usage(id), { octets: 0, messages: 0, noticed: 2 });
    equal(await answerTo(bed, "alice@example.test"), "250");
    await until("the store", () => store.directory.usage(id).noticed === 0);
    equal(await answerTo(bed, "alice@example.test"), "250");
    await until("the store", () => subjects().length === 1);
  }));

Deno.test("mail of strangers leaves by an alias with a return address of ours, and its bounce finds the way back", () =>
  withBed([{
    kind: "put-alias",
    address: "out@example.test",
    targets: ["Fred@else.example", "alice@example.test"],
  }], async (bed) => {
    equal(await answerTo(bed, "out@example.test"), "250");
    const [row] = bed.queued();
    equal([row!.recipient, row!.destination], ["Fred@else.example", "else.example"]);
    ok(/^SRS0=[A-Z2-7]{8}=[A-Z2-7]{2}=remote\.example=sender@example\.test$/.test(row!.sender), row!.sender);
    ok(bed.stored("alice")[0]!.startsWith("Return-Path: <sender@remote.example>\r\n"));
    equal(await answerTo(bed, row!.sender, { from: "" }), "250");
    equal(await answerTo(bed, row!.sender.toLowerCase(), { from: "" }), "250");
    const bounces = bed.queued().slice(1);
    equal(bounces.map(({ recipient, sender }) => [recipient, sender]), [
      ["sender@remote.example", ""],
      ["sender@remote.example", ""],
    ]);
    const forged = row!.sender.replace("remote.example", "victim.example");
    equal(
      await answerTo(bed, forged, { from: "" }),
      "550 5.1.1 This return address was not made here, or has expired",
    );
    const keys = bed.test.store.directory.secrets("srs").map(({ value }) => Uint8Array.fromBase64(value));
    const late = { keys, now: NOW + (SRS_DAYS + 1) * 86_400_000 };
    equal(srsReverse(row!.sender.slice(0, row!.sender.lastIndexOf("@")), late), {
      kind: "refused",
      reason: "expired",
    });
    // Old addresses stay good when the key changes, until their key goes.
    await rotateKeys(bed.test.store, Number.MAX_SAFE_INTEGER);
    equal(await answerTo(bed, row!.sender, { from: "" }), "250");
    for (let at = 0; at < 3; at++) await rotateKeys(bed.test.store, Number.MAX_SAFE_INTEGER);
    equal((await answerTo(bed, row!.sender, { from: "" })).slice(0, 9), "550 5.1.1");
  }));

Deno.test("the null path and senders of our own stay as they are", () =>
  withBed(
    [{ kind: "put-alias", address: "out@example.test", targets: ["fred@else.example"] }],
    async (bed) => {
      equal(await answerTo(bed, "out@example.test", { from: "" }), "250");
      equal(
        await answerTo(bed, "out@example.test", {
          client: bed.login("alice"),
          from: "alice@example.test",
          message: MESSAGE.replace("sender@remote.example", "alice@example.test"),
        }),
        "250",
      );
      equal(bed.queued().map(({ sender }) => sender), ["", "alice@example.test"]);
    },
  ));

Deno.test("what another forwarder rewrote gets SRS1 and does not grow", () =>
  withBed(
    [{ kind: "put-alias", address: "out@example.test", targets: ["fred@else.example"] }],
    async (bed) => {
      const from = "SRS0=abcd=EF=a.example=user@first.example";
      equal(await answerTo(bed, "out@example.test", { from }), "250");
      const [row] = bed.queued();
      ok(
        /^SRS1=[A-Z2-7]{8}=first\.example==abcd=EF=a\.example=user@example\.test$/.test(row!.sender),
        row!.sender,
      );
      equal(await answerTo(bed, row!.sender, { from: "" }), "250");
      equal(bed.queued()[1]!.recipient, from);
    },
  ));

Deno.test("SRS is no open relay: without a key of ours nothing is decoded", () =>
  withBed([], async (bed) => {
    for (
      const to of [
        "SRS0=AAAAAAAA=AA=victim.example=x@example.test",
        "srs1=a=b==c@example.test",
        "SRS0=@example.test",
      ]
    ) {
      equal((await answerTo(bed, to)).slice(0, 9), "550 5.1.1", to);
    }
    equal(bed.queued(), []);
  }));

Deno.test("further addresses receive, send, and carry details; a disabled one refuses", () =>
  withBed([], async (bed) => {
    const { id } = bed.account("alice");
    const row = { address: "al@example.test", accountId: id, kind: "own", enabled: true, note: "" } as const;
    await bed.ok({ kind: "put-address", address: row });
    equal(await answerTo(bed, "al@example.test"), "250");
    equal(await answerTo(bed, "AL+x@example.test"), "250");
    equal(bed.stored("alice").map((text) => /Delivered-To: (.*)\r/.exec(text)![1]), [
      "al@example.test",
      "al+x@example.test",
    ]);
    const message = MESSAGE.replace("sender@remote.example", "al@example.test");
    const mine = { client: bed.login("alice"), from: "al@example.test", message };
    equal(await answerTo(bed, "bob@example.test", mine), "250");
    await bed.ok({ kind: "put-address", address: { ...row, enabled: false } });
    equal((await answerTo(bed, "al@example.test")).slice(0, 9), "550 5.2.1");
    equal((await bed.send({ ...mine, to: ["bob@example.test"] })).mail?.code, 550);
  }));

Deno.test("a masked address notes its last use, to the hour", () =>
  withBed([], async (bed) => {
    const { id } = bed.account("alice");
    const address = "abcdefgh2345@example.test";
    await bed.ok({
      kind: "put-address",
      address: { address, accountId: id, kind: "masked", enabled: true, note: "shop" },
    });
    equal(await answerTo(bed, address), "250");
    const used = () => bed.test.store.directory.addressesOf(id, { after: "", limit: 10 })[0]!.lastUsedAt;
    await until("the store", () => used() > 0);
    equal(used(), Math.floor(NOW / 3_600_000) * 3_600_000);
  }));

Deno.test("a domain that is another name: mail, catch-all, senders", () =>
  withBed([
    domain({ name: "example.net", aliasOf: "example.test", subaddressSeparators: "" }),
    domain({ catchAll: "bob@example.test" }),
  ], async (bed) => {
    equal(await answerTo(bed, "alice@example.net"), "250");
    equal(await answerTo(bed, "alice+tag@EXAMPLE.NET"), "250");
    equal(await answerTo(bed, "anybody@example.net"), "250");
    equal([bed.stored("alice").length, bed.stored("bob").length], [2, 1]);
    const message = MESSAGE.replace("sender@remote.example", "alice@example.net");
    const mine = { client: bed.login("alice"), from: "alice@example.net", message };
    equal(await answerTo(bed, "bob@example.test", mine), "250");
    equal((await bed.send({ ...mine, from: "bob@example.net", to: ["bob@example.test"] })).mail?.code, 550);
  }));

Deno.test("user+folder: INBOX by default, the folder where it exists, or the folder in any case", () =>
  withBed([], async (bed) => {
    const accountId = bed.test.accountId("alice");
    await bed.ok({ kind: "create-mailbox", accountId, name: "Lists", specialUse: null });
    equal(await answerTo(bed, "alice+lists@example.test"), "250");
    equal([bed.stored("alice").length, bed.stored("alice", "Lists").length], [1, 0]);
    await bed.ok(domain({ subaddressFolder: "existing" }));
    equal(await answerTo(bed, "alice+lists@example.test"), "250");
    equal(await answerTo(bed, "alice+new@example.test"), "250");
    equal([bed.stored("alice").length, bed.stored("alice", "Lists").length], [2, 1]);
    await bed.ok(account("alice", { subaddressFolder: "create" }));
    equal(await answerTo(bed, "alice+new@example.test"), "250");
    equal(await answerTo(bed, "alice+new@example.test"), "250");
    equal(bed.stored("alice", "new").length, 2);
    ok(bed.test.store.mailboxes.subscriptions(accountId).includes("new"));
    // Strangers put nothing into Sent, Drafts or Trash, nor in folders below others.
    for (const to of ["alice+trash@example.test", "alice+sent@example.test", "alice+a/b@example.test"]) {
      equal(await answerTo(bed, to), "250", to);
    }
    equal([bed.stored("alice", "Trash").length, bed.stored("alice", "Sent").length], [0, 0]);
    equal(bed.test.store.mailboxes.byName(accountId, "a"), null);
    // Both at once: one copy for each.
    const { data } = await bed.send({
      to: ["alice+newer@example.test", "alice@example.test"],
      message: MESSAGE,
    });
    equal(data?.code, 250);
    equal(bed.stored("alice", "newer").length, 1);
  }));

Deno.test("folders are not made without end", () =>
  withBed([account("alice", { subaddressFolder: "create" })], async (bed) => {
    const accountId = bed.test.accountId("alice");
    const ops = Array.from({ length: 200 }, (_, at): WriteOp => ({
      kind: "create-mailbox",
      accountId,
      name: `f${at}`,
      specialUse: null,
    }));
    await bed.ok({ kind: "batch", ops });
    equal(await answerTo(bed, "alice+onemore@example.test"), "250");
    equal(bed.test.store.mailboxes.byName(accountId, "onemore"), null);
    equal(bed.stored("alice").length, 1);
  }));

Deno.test("100,000 addresses behind aliases: a clear answer, little memory, and no wait", () =>
  withBed([], async (bed) => {
    const inner = Array.from({ length: 100 }, (_, at) => `part${at}@example.test`);
    for (const [at, address] of inner.entries()) {
      const targets = Array.from({ length: 1_000 }, (_, i) => `user${at * 1_000 + i}@else.example`);
      await bed.ok({ kind: "put-alias", address, targets });
    }
    await bed.ok({ kind: "put-alias", address: "all@example.test", targets: inner });
    const before = Deno.memoryUsage().heapUsed;
    const began = performance.now();
    const answer = await answerTo(bed, "all@example.test");
    equal(answer, "452 4.5.3 The recipient's alias names too many addresses");
    ok(performance.now() - began < 15_000);
    ok(Deno.memoryUsage().heapUsed - before < 50_000_000);
    equal(bed.queued(), []);
    // One of them alone is within the limit.
    equal(await answerTo(bed, "part7@example.test"), "250");
    equal(bed.queued().length, 1_000);
  }));

Deno.test("aliases in a circle are refused, whatever way round", () =>
  withBed([
    { kind: "put-alias", address: "a@example.test", targets: ["b@example.test"] },
    { kind: "put-alias", address: "b@example.test", targets: ["c@example.test"] },
    { kind: "put-alias", address: "c@example.test", targets: ["a@example.test"] },
    { kind: "put-alias", address: "self@example.test", targets: ["self@example.test"] },
    { kind: "put-alias", address: "saved@example.test", targets: ["a@example.test", "alice@example.test"] },
  ], async (bed) => {
    for (const name of ["a", "b", "c", "self"]) {
      equal((await answerTo(bed, `${name}@example.test`)).slice(0, 9), "550 5.4.6", name);
    }
    equal(await answerTo(bed, "saved@example.test"), "250");
    equal(bed.stored("alice").length, 1);
  }));

Deno.test("UTF-8 local parts and IDNA domains receive, behind aliases too", () =>
  withBed([
    domain({ name: "xn--bcher-kva.example" }),
    { kind: "put-account", account: { address: "jürgen@xn--bcher-kva.example" } },
    { kind: "put-alias", address: "müller@xn--bcher-kva.example", targets: ["jürgen@xn--bcher-kva.example"] },
    { kind: "put-alias", address: "out@example.test", targets: ["用户@例え.example"] },
  ], async (bed) => {
    const utf8 = { parameters: { smtputf8: true } };
    for (const to of ["jürgen@bücher.example", "müller@xn--bcher-kva.example", "JürgEN@BÜCHER.example"]) {
      equal(await answerTo(bed, to, utf8), "250", to);
      equal((await answerTo(bed, to)).slice(0, 9), "553 5.6.7", to);
    }
    equal(await answerTo(bed, "out@example.test"), "250");
    const [row] = bed.queued();
    equal([row!.recipient, row!.destination], ["用户@例え.example", "xn--r8jz45g.example"]);
    equal(bed.test.store.queue.message(row!.queueId)!.smtputf8, true);
  }));

Deno.test("who may write to a group: anyone, members, owners; a forged member is none", () =>
  withBed([], async (bed) => {
    const put = (posting: "anyone" | "members" | "owners") =>
      bed.ok({
        kind: "put-group",
        group: { address: "team@example.test", displayName: "", posting, owners: ["boss@else.example"] },
      });
    await put("members");
    await bed.ok({
      kind: "change-members",
      group: "team@example.test",
      add: ["alice@example.test", "fred@else.example"],
      remove: [],
    });
    const to = "team@example.test";
    const denied = "550 5.7.2 You are not permitted to write to this address";
    const asAlice = {
      client: bed.login("alice"),
      from: "alice@example.test",
      message: MESSAGE.replace("sender@remote.example", "alice@example.test"),
    };
    equal(await answerTo(bed, to), denied);
    equal(await answerTo(bed, to, { from: "" }), denied);
    equal(await answerTo(bed, to, { from: "alice@example.test", client: STRANGER }), denied);
    equal(await answerTo(bed, to, { from: "fred@else.example" }), "250");
    equal(await answerTo(bed, to, { from: "boss@else.example" }), "250");
    equal(await answerTo(bed, to, asAlice), "250");
    await put("owners");
    equal(await answerTo(bed, to, asAlice), denied);
    equal(await answerTo(bed, to, { from: "boss@else.example" }), "250");
    await put("anyone");
    equal(await answerTo(bed, to), "250");
    equal(new Set(bed.queued().map(({ destination }) => destination)), new Set(["group:team@example.test"]));
    const back = MESSAGE.replace("Subject", "Delivered-To: team@example.test\r\nSubject");
    equal(await answerTo(bed, to, { message: back }), "554");
  }));

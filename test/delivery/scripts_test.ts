/** Filter scripts in deliveries: what commits with the message, what is sent, and what never is. */
import assert from "node:assert/strict";
import type { ScriptScope, WriteOp } from "../../storage/ops.ts";
import { isReply } from "../../delivery/reception.ts";
import { NO_MAIL_PARAMETERS, NO_RCPT_PARAMETERS } from "../../protocols/smtp/parameters.ts";
import { line, NOW, octetsOf, pathOf, ReceptionBed, STRANGER } from "./reception_bed.ts";

const LETTER = "From: Sender <sender@remote.example>\r\nTo: alice@example.test\r\nSubject: hello there\r\n" +
  "Message-ID: <m1@remote.example>\r\n\r\nbody words\r\n";

async function script(
  bed: ReceptionBed,
  content: string,
  { scope = "user", owner }: { scope?: ScriptScope; owner?: string } = {},
): Promise<void> {
  const of = owner ??
    (scope === "user" ? String(bed.account("alice").id) : scope === "domain" ? "example.test" : "");
  await bed.ok(
    { kind: "put-script", scope, owner: of, name: "main", content },
    { kind: "activate-script", scope, owner: of, name: "main" },
  );
}

const folder = (bed: ReceptionBed, name: string): WriteOp => ({
  ...{ kind: "create-mailbox", accountId: bed.account("alice").id, name, specialUse: null },
});

function flagsIn(bed: ReceptionBed, mailbox: string): Promise<string[]> {
  const { test } = bed;
  return test.store.mailboxes.open(test.mailboxId("alice", mailbox)).then((index) => {
    const all = Array.from(
      { length: index!.count },
      (_, i) => `${index!.flagsAt(i)} ${index!.keywordsAt(i)}`,
    );
    index!.release();
    return all;
  });
}

const send = (bed: ReceptionBed, more: Partial<Parameters<ReceptionBed["send"]>[0]> = {}) =>
  bed.send({ to: ["alice@example.test"], message: LETTER, ...more });

Deno.test("fileinto and flags; a mailbox that is not there keeps; :create makes it", async () => {
  await using bed = await ReceptionBed.open();
  await bed.ok(folder(bed, "Work"));
  await script(
    bed,
    'require ["fileinto", "imap4flags", "mailbox"]; fileinto :flags ["\\\\Seen", "$Work", "a"] "Work"; fileinto "None"; fileinto :create "Made/Deep";',
  );
  assert.equal(line((await send(bed)).data!), "250 2.6.0");
  assert.equal(bed.stored("alice", "Work").length, 1);
  assert.match(
    bed.stored("alice", "Work")[0]!,
    /^Return-Path: <sender@remote\.example>\r\nDelivered-To: alice@example\.test\r\n/,
  );
  assert.deepEqual(await flagsIn(bed, "Work"), ["1 $Work a"]);
  assert.equal(bed.stored("alice", "Made/Deep").length, 1);
  assert.equal(bed.stored("alice").length, 1);
  await script(bed, "discard;");
  assert.equal(line((await send(bed)).data!), "250 2.6.0");
  assert.equal(bed.stored("alice").length, 1);
});

Deno.test("scripts of server, domain, user and after run in their order, each while the message is kept", async () => {
  await using bed = await ReceptionBed.open();
  for (const name of ["s", "d", "u", "a"]) await bed.ok(folder(bed, name));
  const copy = (name: string) => `require ["fileinto", "copy"]; fileinto :copy "${name}";`;
  await script(bed, copy("a"), { scope: "after" });
  await script(bed, copy("u"));
  await script(bed, copy("d"), { scope: "domain" });
  await script(bed, copy("s"), { scope: "server" });
  await send(bed);
  const counts = () => ["s", "d", "u", "a", "INBOX"].map((name) => bed.stored("alice", name).length).join("");
  assert.equal(counts(), "11111");
  await script(bed, 'require "fileinto"; fileinto "d";', { scope: "domain" });
  await send(bed);
  assert.equal(counts(), "22111");
  await script(bed, "blub;", { scope: "server" }); // passed over
  await script(bed, 'require "fileinto"; fileinto "u";');
  await script(bed, "keep;", { scope: "domain" });
  await send(bed);
  assert.equal(counts(), "22211");
});

Deno.test("a redirect leaves with a rewritten sender, our mark, and once for each message", async () => {
  await using bed = await ReceptionBed.open();
  await script(bed, 'redirect "me@far.example";');
  await send(bed);
  const [row, ...more] = bed.queued();
  assert.equal(more.length, 0);
  assert.match(row!.sender, /^SRS0=[^=]+=[^=]+=remote\.example=sender@example\.test$/);
  assert.deepEqual([row!.recipient, row!.destination], ["me@far.example", "far.example"]);
  assert.match(bed.queuedOctets(row!), /^Delivered-To: alice@example\.test\r\nReceived: /);
  assert.match(bed.queuedOctets(row!), /\r\n\r\nbody words\r\n$/);
  assert.equal(bed.stored("alice").length, 0);
  await send(bed); // the same message again: kept
  assert.deepEqual([bed.queued().length, bed.stored("alice").length], [1, 1]);
  const back = "Delivered-To: alice@example.test\r\n" + LETTER.replace("m1@", "m2@");
  assert.equal(line((await send(bed, { message: back })).data!), "554 5.4.6");
});

Deno.test("a redirect to a mailbox here runs its owner's scripts; a ring of redirects ends", async () => {
  await using bed = await ReceptionBed.open();
  await script(bed, 'redirect "bob@example.test";');
  const bob = String(bed.account("bob").id);
  await script(bed, 'require ["fileinto", "mailbox"]; fileinto :create "From alice";', { owner: bob });
  await send(bed);
  assert.deepEqual([
    bed.stored("alice").length,
    bed.stored("bob").length,
    bed.stored("bob", "From alice").length,
  ], [0, 0, 1]);
  await script(bed, 'redirect "alice@example.test";', { owner: bob });
  const ring = await send(bed, { message: LETTER.replace("m1@", "m3@") });
  assert.equal(line(ring.data!), "250 2.6.0");
  assert.equal(bed.stored("alice").length + bed.stored("bob").length, 1);
});

Deno.test("vacation answers once, by its rules, and the answer commits with the message", async () => {
  await using bed = await ReceptionBed.open();
  await script(
    bed,
    'require "vacation"; vacation :days 3 :subject "Weg — away" "Ich bin weg.\n.\nBis bald: äöü";',
  );
  await send(bed);
  const [row, ...more] = bed.queued();
  assert.equal(more.length, 0);
  assert.deepEqual([row!.sender, row!.recipient], ["", "sender@remote.example"]);
  const answer = bed.queuedOctets(row!);
  for (
    const expected of [
      /^From: <alice@example\.test>\r$/m,
      /^To: <sender@remote\.example>\r$/m,
      /^Subject: =\?UTF-8\?B\?[^\r]+\?=\r$/m,
      /^In-Reply-To: <m1@remote\.example>\r\nReferences: <m1@remote\.example>\r$/m,
      /^Auto-Submitted: auto-replied \(vacation\)\r$/m,
      /\r\n\r\nIch bin weg\.\r\n\.\r\nBis bald: =C3=A4=C3=B6=C3=BC\r\n$/,
    ]
  ) assert.match(answer, expected);
  assert.equal(bed.stored("alice").length, 1);
  await send(bed, { message: LETTER.replace("m1@", "m2@") });
  assert.equal(bed.queued().length, 1);
  const silent: [string, Partial<Parameters<ReceptionBed["send"]>[0]>][] = [
    ["null path", { from: "" }],
    ["a list", { from: "x@l.example", message: `List-Id: <l.example>\r\n${LETTER}` }],
    ["automatic", { from: "x@a.example", message: `Auto-Submitted: auto-replied\r\n${LETTER}` }],
    ["not named", { from: "x@n.example", message: LETTER.replace("alice@", "else@") }],
    ["bulk", { from: "x@b.example", message: `Precedence: bulk\r\n${LETTER}` }],
    ["no person", { from: "mailer-daemon@b.example" }],
  ];
  for (const [why, more] of silent) {
    await send(bed, more);
    assert.equal(bed.queued().length, 1, why);
  }
  await send(bed, { from: "other@remote.example" });
  assert.equal(bed.queued().length, 2);
});

Deno.test("eight deliveries at once send one answer", async () => {
  await using bed = await ReceptionBed.open();
  await script(bed, 'require "vacation"; vacation "gone";');
  await Promise.all(
    Array.from({ length: 8 }, (_, i) => send(bed, { message: LETTER.replace("m1@", `n${i}@`) })),
  );
  assert.deepEqual([bed.queued().length, bed.stored("alice").length], [1, 8]);
});

Deno.test("a script that fails keeps the message, and its owner is told once", async () => {
  await using bed = await ReceptionBed.open();
  await script(bed, 'require ["fileinto", "variables", "vacation"];\nvacation "x"; fileinto "\${none}";');
  for (const id of ["a1@", "a2@"]) {
    assert.equal(line((await send(bed, { message: LETTER.replace("m1@", id) })).data!), "250 2.6.0");
  }
  const all = bed.stored("alice");
  assert.equal(all.length, 3);
  const notes = all.filter((text) => text.includes("Subject: Your mail filter has a fault"));
  assert.equal(notes.length, 1);
  assert.match(notes[0]!, /line 2, column 15: this is no name of a mailbox/);
  assert.equal(bed.queued().length, 0);
});

Deno.test("reject: 550 when all refuse, else a notice to whom is proven, else Junk", async () => {
  await using bed = await ReceptionBed.open();
  await script(bed, 'require "ereject"; ereject "No more, please.\nReally — no.";');
  const alone = await send(bed);
  assert.deepEqual(alone.data, { code: 550, enhanced: "5.7.1", text: "No more, please. Really ? no." });
  assert.deepEqual([bed.stored("alice").length, bed.queued().length], [0, 0]);
  const both = ["alice@example.test", "bob@example.test"];
  assert.equal(line((await send(bed, { to: both })).data!), "250 2.6.0");
  assert.deepEqual([bed.stored("alice", "Junk").length, bed.stored("bob").length, bed.queued().length], [
    1,
    1,
    0,
  ]);
  await send(bed, {
    to: both,
    client: bed.login("bob"),
    from: "bob@example.test",
    message: LETTER.replace("sender@remote.example", "bob@example.test"),
  });
  assert.equal(bed.stored("alice", "Junk").length, 1);
  const notice = bed.stored("bob").find((text) => text.includes("Your message was refused"));
  assert.match(notice!, /Auto-Submitted: auto-replied \(rejected\)/);
  assert.match(notice!, /No more, please\.\r\nReally =E2=80=94 no\./);
});

Deno.test("LMTP: who refuses hears so behind the data, the others have their copy, and nobody gets a notice", async () => {
  await using bed = await ReceptionBed.open();
  await script(bed, 'require "ereject"; ereject "not me";');
  await bed.ok({
    kind: "put-alias",
    address: "two@example.test",
    targets: ["alice@example.test", "bob@example.test"],
  });
  const each = async (...to: string[]): Promise<string[]> => {
    const transaction = bed.reception.mail({ ...STRANGER, service: "lmtp" }, {
      reversePath: pathOf("sender@remote.example"),
      parameters: NO_MAIL_PARAMETERS,
    });
    if (isReply(transaction)) return [line(transaction)];
    for (const one of to) {
      await transaction.rcpt(pathOf(one), { ...NO_RCPT_PARAMETERS, notify: "SUCCESS" });
    }
    await transaction.begin();
    const octets = octetsOf(LETTER);
    await transaction.write(octets, 0, octets.length);
    return (await transaction.finishEach()).map(({ code, text }) => code === 250 ? "250" : `${code} ${text}`);
  };
  assert.deepEqual(await each("alice@example.test", "bob@example.test"), ["550 not me", "250"]);
  assert.deepEqual([bed.stored("alice").length, bed.stored("bob").length], [0, 1]);
  // Success is reported of the one that has it; no other mail leaves.
  const [report, ...more] = bed.queued();
  assert.deepEqual([report!.recipient, more], ["sender@remote.example", []]);
  assert.match(bed.queuedOctets(report!), /Final-Recipient: rfc822; bob@example\.test/i);
  assert.doesNotMatch(bed.queuedOctets(report!), /alice@example\.test\r\nAction/);
  assert.deepEqual(await each("alice@example.test"), ["550 not me"]);
  // One recipient of two mailboxes has one reply: the copy of who refuses goes to Junk.
  assert.deepEqual(await each("two@example.test"), ["250"]);
  assert.deepEqual([bed.stored("alice", "Junk").length, bed.stored("bob").length], [1, 2]);
  assert.deepEqual(await each("two@example.test", "alice@example.test"), ["250", "250"]);
});

Deno.test("editheader changes the copies that follow, not the others", async () => {
  await using bed = await ReceptionBed.open();
  await script(
    bed,
    'require ["editheader", "fileinto", "copy", "mailbox"]; fileinto :copy :create "Plain"; deleteheader "subject"; addheader "X-Mark" "grün"; redirect :copy "far@away.example";',
  );
  await send(bed, { to: ["alice@example.test", "bob@example.test"] });
  assert.match(bed.stored("alice", "Plain")[0]!, /Subject: hello there/);
  const changed = bed.stored("alice")[0]!;
  assert.match(
    changed,
    /^Return-Path: <sender@remote\.example>\r\nDelivered-To: alice@example\.test\r\nX-Mark: =\?UTF-8\?B\?Z3LDvG4=\?=\r\nReceived: /,
  );
  assert.doesNotMatch(changed, /Subject|Return-Path[\s\S]*Return-Path/);
  assert.match(changed, /\r\n\r\nbody words\r\n$/);
  assert.match(bed.stored("bob")[0]!, /Subject: hello there/);
  const sentOn = bed.queuedOctets(bed.queued()[0]!);
  assert.match(sentOn, /X-Mark/);
  assert.doesNotMatch(sentOn, /Subject|Return-Path/);
});

Deno.test("notify sends what RFC 5436 says, and :fcc files a copy", async () => {
  await using bed = await ReceptionBed.open();
  await script(
    bed,
    'require ["enotify", "fcc", "mailbox"]; notify :importance "1" :message "urgent" :fcc "Sent" "mailto:pager@far.example";',
  );
  await send(bed);
  const [row] = bed.queued();
  const octets = bed.queuedOctets(row!);
  assert.equal(row!.recipient, "pager@far.example");
  assert.match(octets, /Subject: urgent\r\n/);
  assert.match(octets, /Auto-Submitted: auto-notified; owner-email="alice@example\.test"\r\n/);
  assert.match(octets, /Importance: high\r\n/);
  assert.equal(bed.stored("alice", "Sent").length, 1);
  assert.deepEqual(await flagsIn(bed, "Sent"), ["1 "]);
  await send(bed, { message: `Auto-Submitted: auto-generated\r\n${LETTER}` });
  assert.equal(bed.queued().length, 1);
});

Deno.test("duplicate remembers what was delivered", async () => {
  await using bed = await ReceptionBed.open();
  await script(bed, 'require "duplicate"; if duplicate { discard; }');
  await send(bed);
  await send(bed);
  await send(bed, { message: LETTER.replace("m1@", "m9@") });
  assert.equal(bed.stored("alice").length, 2);
});

Deno.test("the world of a script: mailboxes, annotations, lists, environment, subaddress, body", async () => {
  await using bed = await ReceptionBed.open();
  const { id } = bed.account("alice");
  await bed.ok(
    folder(bed, "Work"),
    {
      ...{ kind: "put-annotations", accountId: id, mailboxId: 0 },
      annotations: [{
        entry: "/private/vendor/veredus/allow",
        value: new TextEncoder().encode("@remote.example\n"),
      }, {
        entry: "/private/vendor/veredus/block",
        value: new TextEncoder().encode("eve@enemy.example\n"),
      }],
    },
    {
      ...{ kind: "put-state", add: false },
      rows: [{
        kind: "known",
        key: "alice@example.test sender@remote.example",
        firstAt: 0,
        lastAt: 0,
        count: 1,
        expiresAt: NOW * 2,
        note: "",
      }],
    },
  );
  const tests = [
    'mailboxexists "Work"',
    `mailboxidexists "F${bed.test.mailboxId("alice", "Work")}"`,
    'specialuse_exists "\\\\Junk"',
    'servermetadata :contains "/private/vendor/veredus/allow" "remote"',
    'address :list "from" "urn:veredus:allow"',
    'address :list "from" ":addrbook:default"',
    'address :list "from" "urn:veredus:known"',
    'not address :list "from" "urn:veredus:block"',
    'string :list "eve@enemy.example" "urn:veredus:block"',
    'environment "domain" "example.test"',
    'environment "remote-ip" "192.0.2.1"',
    'envelope :detail "to" "x"',
    'body :contains "words"',
    'header :contains "return-path" "sender@remote.example"',
    "size :under 2K",
    'currentdate :zone "+0000" "iso8601" "2026-11-23T20:09:29+00:00"',
  ];
  await script(
    bed,
    `require ["mailbox", "mailboxid", "special-use", "servermetadata", "extlists", "environment", "envelope", "subaddress", "body", "date", "fileinto", "variables"];
    if allof (${tests.join(",\n")}) { fileinto "Work"; }`,
  );
  await send(bed, { to: ["alice+x@example.test"] });
  assert.equal(bed.stored("alice", "Work").length, 1);
});

Deno.test("nothing is read for who has no script", async () => {
  await using bed = await ReceptionBed.open();
  await send(bed);
  const { scripts } = bed.test.store;
  const before = scripts.chain(bed.account("alice"));
  await send(bed);
  assert.equal(scripts.chain(bed.account("alice")), before);
  assert.equal(bed.stored("alice").length, 2);
});

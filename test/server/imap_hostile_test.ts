/**
 * Clients that ask for too much: each is answered with the limit's name, in bounded memory and time, and others are not
 * disturbed.
 */
import assert from "node:assert/strict";
import { type Harness, imapTest, type TestClient } from "./imap_harness.ts";

const letter = (subject: string) => `Subject: ${subject}\r\n\r\n${subject}\r\n`;
const many = (count: number, item: (at: number) => string) =>
  Array.from({ length: count }, (_, at) => item(at));

/** Runs commands that must be refused, each with its limit, and shows that the session still works. */
async function refused(client: TestClient, commands: readonly (readonly [string, RegExp])[]): Promise<void> {
  for (const [command, reply] of commands) {
    const began = performance.now();
    assert.match(await client.command(command), reply, command.slice(0, 60));
    assert.ok(performance.now() - began < 2_000, `${command.slice(0, 60)} took too long`);
  }
  await client.ok("NOOP");
}

async function withMessages(h: Harness): Promise<TestClient> {
  for (const subject of ["a", "b", "c"]) await h.deliver(letter(subject));
  return await h.selected();
}

imapTest("lists, sets, keys and sections beyond their limits are refused by the limit's name", async (h) => {
  const client = await withMessages(h);
  await refused(client, [
    [`SEARCH ${"(".repeat(2_000)}ALL${")".repeat(2_000)}`, /^BAD Expected at most \d+ levels of search keys/],
    [`SEARCH ${"NOT ".repeat(3_000)}ALL`, /^BAD Expected at most \d+ levels of search keys/],
    [`SEARCH ${"OR ALL ".repeat(3_000)}ALL`, /^BAD Expected at most \d+ levels of search keys/],
    [`SEARCH ${many(9_000, () => "ALL").join(" ")}`, /^BAD Expected at most \d+ search keys/],
    [`FETCH 1 (${many(3_000, () => "UID").join(" ")})`, /^BAD Expected at most \d+ items/],
    [`FETCH 1 BODY[${many(5_000, () => "1").join(".")}]`, /^BAD Expected at most \d+ part numbers/],
    [`FETCH 1 BODY[HEADER.FIELDS (${many(5_000, () => "To").join(" ")})]`, /^BAD Expected at most \d+ items/],
    [`STORE 1 +FLAGS (${many(2_000, (at) => `k${at}`).join(" ")})`, /^BAD Expected at most \d+ items/],
    [`STORE 1 +FLAGS (${"k".repeat(5_000)})`, /^BAD Expected a flag of at most \d+ octets/],
    [`LIST "" (${many(500, () => "*").join(" ")})`, /^BAD Expected at most \d+ items/],
    [`LIST "" "${"%".repeat(5_000)}"`, /^BAD Expected a pattern of at most \d+ characters/],
    [`CREATE ${many(60, () => "a").join("/")}`, /^NO \[CANNOT\] The mailbox name has too many levels/],
    [`CREATE ${"a".repeat(5_000)}`, /^NO \[CANNOT\] The mailbox name is too long/],
    [
      `ESEARCH IN (${many(200, () => "personal").join(" ")}) ALL`,
      /^BAD Expected at most \d+ mailbox filters/,
    ],
    [
      `ESEARCH IN (mailboxes (${many(2_000, (at) => `m${at}`).join(" ")})) ALL`,
      /^BAD Expected at most \d+ items/,
    ],
    [`NOTIFY SET${many(200, () => " (personal NONE)").join("")}`, /^BAD Expected at most \d+ event groups/],
    [`NOTIFY SET (personal (${many(99, () => "MailboxName").join(" ")}))`, /^BAD Expected at most \d+ items/],
    [`CANCELUPDATE${many(200, (at) => ` "t${at}"`).join("")}`, /^BAD Expected at most \d+ tags/],
    [`SEARCH RETURN (${many(40, () => "MIN").join(" ")}) ALL`, /^BAD Expected at most \d+ items/],
    [`SORT (${many(40, () => "DATE").join(" ")}) UTF-8 ALL`, /^BAD Expected at most \d+ items/],
    [`FETCH 1 BINARY[${many(500, () => "1").join(".")}]`, /^BAD Expected at most \d+ part numbers/],
    [`LIST "${"a".repeat(5_000)}" *`, /^BAD Expected a reference of at most \d+ characters/],
    [`ID (${many(60, (at) => `"k${at}" "v"`).join(" ")})`, /^BAD Expected at most \d+ parameters/],
    [`ID ("${"k".repeat(60)}" "v")`, /^BAD Expected a parameter name of at most \d+ octets/],
    [`ID ("k" "${"v".repeat(5_000)}")`, /^BAD Expected a value of at most \d+ octets/],
    [`UID FETCH 1${",1".repeat(25_000)} FLAGS`, /^BAD Expected at most \d+ ranges/],
    [`STORE 1 FLAGS ${many(100, (at) => `k${at}`).join(" ")}`, /^BAD Expected at most \d+ flags/],
    [`ENABLE ${many(500, () => "X").join(" ")}`, /^BAD Expected at most \d+ capabilities/],
  ]);
});

imapTest("giant sets of numbers cost their text and no more", async (h) => {
  const client = await withMessages(h);
  const began = performance.now();
  assert.match(await client.command("UID FETCH 1:4294967295,4294967295:1,*:1 (UID)"), /\* 3 FETCH[^]*^OK/m);
  const set = many(5_000, (at) => `${4_000_000_000 - at * 2}`).join(",");
  assert.match(await client.command(`UID FETCH ${set} (UID)`), /^(OK|BAD Expected at most)/m);
  assert.match(await client.command(`UID SEARCH UID ${set}`), /^(OK|BAD Expected at most)/m);
  assert.match(await client.command("UID STORE 1:* +FLAGS.SILENT (\\Seen)"), /^OK/m);
  assert.ok(performance.now() - began < 3_000);
});

imapTest("literals: too large, too many, ten gigabytes announced", async (h) => {
  const client = await withMessages(h);
  await refused(client, [
    ["APPEND INBOX {10000000000}", /^NO \[TOOBIG\] The message is larger than \d+ octets/],
    ["CREATE {10000000}", /^BAD The literal is too large/],
    [
      `SEARCH ${many(8, () => `SUBJECT {60000+}\r\n${"x".repeat(60_000)}`).join(" ")}`,
      /^BAD The literal is too large/,
    ],
    [`NOOP ${"x".repeat(100_000)}`, /^BAD The command is too long/],
  ]);
  const flood = await h.login();
  flood.send("z APPEND INBOX {10000000000+}\r\n");
  const other = await h.login();
  const chunk = "y".repeat(1_000_000);
  let sent = 0;
  const end = flood.until(/^\* BYE [^\r]*\r\n/m, 20_000);
  let over = false;
  void end.then(() => over = true);
  while (!over && sent < 400) {
    flood.send(chunk);
    sent++;
    if (sent % 10 === 0) await other.ok("NOOP");
  }
  assert.match(await end, /\* BYE Too much of that/);
});

imapTest("ten thousand pipelined commands are answered in order while others work", async (h) => {
  const client = await withMessages(h);
  const other = await h.login();
  client.send(many(10_000, (at) => `p${at} NOOP\r\n`).join(""));
  await other.ok("NOOP");
  const all = await client.until(/^p9999 OK[^\r]*\r\n/m, 30_000);
  const tags = [...all.matchAll(/^p(\d+) OK/gm)].map((match) => Number(match[1]));
  assert.deepEqual(tags, Array.from({ length: 10_000 }, (_, at) => at));
});

imapTest("a SEARCH of many texts and a client that hangs up in the middle", async (h) => {
  const client = await withMessages(h);
  const keys = many(100, (at) => `TEXT nothing${at}`).join(" ");
  assert.match(await client.command(`SEARCH ${keys}`), /^\* SEARCH\r\nOK/m);
  client.send(`q SEARCH ${keys}\r\nr FETCH 1:* BODY[]\r\ns APPEND INBOX {100000+}\r\nabc`);
  client.close();
  await client.done;
  assert.equal(h.server.sessions().length, 0);
  assert.match(await (await h.login()).ok("STATUS INBOX (MESSAGES)"), /MESSAGES 3/);
});

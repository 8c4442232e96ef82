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
    [`SEARCH SUBJECT ${"s".repeat(1_025)}`, /^BAD Expected a text of at most 1024 octets to look for/],
    [
      `LIST "${"r".repeat(1_000)}" (${many(9, () => "*").join(" ")})`,
      /^BAD Expected patterns of at most 8192 characters together/,
    ],
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

imapTest("keys, texts and patterns that cost much leave others their turns", async (h) => {
  const client = await h.login();
  const text = letter("x");
  await client.ok(`APPEND INBOX${` (Work) {${text.length}+}\r\n${text}`.repeat(1_000)}`);
  for (let times = 0; times < 3; times++) {
    await client.ok("SELECT INBOX");
    await client.ok(`COPY 1:${1_000 * 2 ** times} INBOX`);
  }
  const long = `Subject: x\r\n\r\n${`${"A".repeat(990)}\r\n`.repeat(1_500)}`;
  await client.ok("CREATE Long");
  await client.ok(`APPEND Long {${long.length}+}\r\n${long}`);
  for (let at = 0; at < 30; at++) await client.ok(`CREATE ${`${"a".repeat(240)}/`.repeat(4)}${at}`);
  // V8 compares this with a run of A nearly character by character.
  const slow = `${"A".repeat(400)}B${"A".repeat(400)}`;
  const other = await h.login();
  for (
    const [mailbox, command] of [
      ["INBOX", `SEARCH ${many(490, (at) => `NOT KEYWORD k${at}`).join(" ")}`],
      ["INBOX", `SEARCH ${many(490, (at) => `NOT SUBJECT k${at}`).join(" ")}`],
      ["Long", `SEARCH ${many(4, () => `NOT TEXT ${slow}`).join(" ")}`],
      ["Long", `SEARCH FUZZY ${many(20, (at) => `NOT BODY k${at}`).join(" FUZZY ")} TEXT ${slow}`],
      ["INBOX", `LIST "" (${many(60, (at) => `${"*a".repeat(60)}b${at}`).join(" ")})`],
    ] as const
  ) {
    await client.ok(`SELECT ${mailbox}`);
    let longest = 0, done = false;
    client.send(`c ${command}\r\n`);
    const reply = client.until(/^c [^\r]*\r\n/m, 60_000).finally(() => done = true);
    let turns = 0;
    for (let last = performance.now(); !done; turns++) {
      await other.ok("NOOP");
      await new Promise((resolve) => setTimeout(resolve, 0));
      const now = performance.now();
      longest = Math.max(longest, now - last);
      last = now;
    }
    assert.match(await reply, /^c OK/m);
    assert.ok(turns >= 5, `${command.slice(0, 60)}: ${turns} turns of another, ${longest} ms at most`);
  }
});

imapTest("what stands in a long text is found wherever a slice of it ends", async (h) => {
  const client = await h.login();
  const line = `${"x".repeat(62)}\r\n`; // 64 octets
  const before = line.repeat(64 * 16 - 1); // up to 64 octets before a slice ends
  await h.deliver(`Subject: first\r\n\r\n${before}${"y".repeat(60)}needle in it\r\n${line.repeat(5_000)}`);
  await h.deliver(`Subject: needle\r\n\r\n${line.repeat(6_000)}last`);
  await client.ok("SELECT INBOX");
  for (
    const [keys, found] of [
      ["BODY needle", "1"],
      ["TEXT NEEDLE", "1 2"],
      ["SUBJECT needle", "2"],
      ["NOT TEXT needle", ""],
      ["NOT BODY needle", "2"],
      ["OR BODY last SUBJECT first", "1 2"],
      ["BODY last BODY xyz", ""],
      ["BODY last NOT BODY xyz NOT HEADER Subject first", "2"],
      ["FUZZY TEXT need", "2"],
      ['TEXT ""', "1 2"],
    ] as const
  ) {
    const reply = await client.ok(`SEARCH ${keys}`);
    assert.equal(/^\* SEARCH([ \d]*)\r/.exec(reply)?.[1]?.trim(), found, keys);
  }
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

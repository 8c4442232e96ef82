/** The spam filter in the whole server: from a stranger's message over Junk and back to what was learnt. */
import assert from "node:assert/strict";
import { NO_SENDER_CHECKS } from "../../server/config/defaults.ts";
import { parseConfig } from "../../server/config/load.ts";
import { openReadOnlyStore } from "../../storage/open_store.ts";
import { DnsServer } from "../lib/dns_server.ts";
import { literalText } from "../lib/imap_client.ts";
import { txt } from "../lib/mock_resolver.ts";
import { inBothShapes, type RunningServer } from "../lib/running_server.ts";

/** Strangers from loopback are checked, without DNS. */
const CONFIG = { senderChecks: { ...NO_SENDER_CHECKS, arc: true, skip: [] } };

const WANTED = (n: number) =>
  `From: Carol <carol@friends.test>\r\nTo: alice@example.test\r\nSubject: Minutes of week ${n}\r\n` +
  `Date: Mon, 23 Nov 2026 20:09:29 +0000\r\nMessage-ID: <week${n}@friends.test>\r\n\r\n` +
  `Dear Alice, here are the minutes of the orchard meeting number ${n}. See you at the harvest.\r\n`;
const UNWANTED = (n: number) =>
  `From: <x84q2${n}@offers.test>\r\nTo: alice@example.test\r\nSubject: MAKE MONEY FAST!!! $500        ${n}8472\r\n` +
  `Content-Type: text/html\r\n\r\n` +
  `<html><body>Dear friend, click here: <a href="http://198.51.100.7/">www.bank.test</a> absolutely free, act now, ` +
  `no obligation. To be removed from our list click below.</body></html>\r\n`;

async function send(server: RunningServer, message: string, to = ["alice@example.test"]): Promise<number> {
  const client = await server.smtp();
  const { code } = await client.send("sender@offers.test", to, message);
  await client.quit();
  return code;
}

async function texts(server: RunningServer, mailbox: string, name = "alice"): Promise<string[]> {
  const reader = await server.imap(name);
  await reader.ok(`SELECT ${mailbox}`);
  const { untagged } = await reader.ok("UID FETCH 1:* (BODY.PEEK[])");
  await reader.logout();
  return untagged.filter(({ literals }) => literals.length > 0).map(literalText);
}

async function until(what: string, done: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + 60_000;
  while (!await done()) {
    if (performance.now() > end) throw new Error(`not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

inBothShapes("unwanted mail goes to Junk and says why, wanted mail to INBOX", async (start) => {
  await using server = await start({ config: CONFIG });
  assert.equal(await send(server, UNWANTED(1)), 250);
  assert.equal(await send(server, WANTED(1)), 250);
  const [junk = ""] = await texts(server, "Junk");
  assert.match(junk, /^X-Spam-Flag: YES\r$/m);
  assert.match(junk, /^X-Spam-Reason: Junk, from 5 points on;\r\n\t/m);
  assert.match(junk, /a link leads to a bare number \(\+1\.8\)/);
  const [kept = ""] = await texts(server, "INBOX");
  assert.match(kept, /^X-Spam-Flag: NO\r$/m);
  assert.match(kept, /^X-Spam-Score: -?\d+\.\d\r$/m);
});

inBothShapes(
  "MOVE into Junk and out of it teaches, once a message, and a reversal is unlearnt",
  async (start) => {
    await using server = await start({ config: CONFIG });
    const store = openReadOnlyStore(server.server.folder);
    try {
      const { id } = store.directory.account("alice@example.test")!;
      const counts = () => {
        const { spam, ham, waiting } = store.spam.counts(id);
        return `${spam} ${ham} ${waiting}`;
      };
      for (const n of [1, 2, 3]) assert.equal(await send(server, WANTED(n)), 250);
      const client = await server.imap();
      await client.ok("SELECT INBOX");
      await client.ok("UID MOVE 1 Junk");
      await client.ok("UID STORE 2 +FLAGS ($Junk)");
      await client.ok("UID STORE 3 +FLAGS (\\Answered)");
      await until("two lessons", () => counts() === "2 1 0");
      await client.ok("UID STORE 2 +FLAGS ($Junk)");
      await client.ok("UID STORE 2 +FLAGS ($NotJunk)");
      await until("a reversal", () => counts() === "1 2 0");
      await client.ok("SELECT Junk");
      await client.ok("UID MOVE 1 Trash"); // says nothing
      await client.ok("SELECT Trash");
      await client.ok("UID COPY 1 Junk");
      await client.ok("SELECT Junk");
      await client.ok("UID MOVE 2 INBOX");
      await until("out of Junk", () => counts() === "0 3 0");
      await client.logout();
    } finally {
      await store.close();
    }
  },
);

inBothShapes(
  "what a login sends that looks like spam waits, and the administrator has a letter about it",
  async (start) => {
    const { filter } = parseConfig(
      "hostname: mx.example.test\nfilter: { administrator: alice@example.test, spam: { outgoing_hold: 3 } }\n",
      "/veredus.yaml",
    );
    await using server = await start({ config: { filter, captureOutbound: "" } });
    const login = await server.submission("bob");
    const unwanted = UNWANTED(1).replace("x84q21@offers.test", "bob@example.test");
    assert.equal((await login.send("bob@example.test", ["far@outside.test"], unwanted)).code, 250);
    await login.quit();
    const store = openReadOnlyStore(server.server.folder);
    try {
      const held = store.quarantine.list({}, { after: 0, limit: 9 });
      assert.deepEqual(held.map(({ recipient, subject }) => [recipient, subject.slice(0, 15)]), [
        ["far@outside.test", "MAKE MONEY FAST"],
      ]);
      await until("the letter", async () => (await texts(server, "INBOX")).length > 0);
      const [letter = "", ...more] = await texts(server, "INBOX");
      assert.deepEqual(more, []);
      assert.match(letter, /^Subject: Mail of bob@example\.test is held\r$/m);
      assert.match(
        letter.replace(/=?\r\n/g, " "),
        /sent looks like spam and waits for you: spam: \d+\.\d quarantine, /,
      );
    } finally {
      await store.close();
    }
  },
);

inBothShapes(
  "what strangers send to a trap is held against copies to others, whatever its script does",
  async (start) => {
    await using dns = new DnsServer(["friends.test", txt("v=spf1 ip4:127.0.0.1 -all")]);
    const { filter, senderChecks, resolver } = parseConfig(
      `hostname: mx.example.test
resolver: { mode: forward, servers: ["${dns.at}"] }
sender_checks: { skip: [] }
filter: { spam: { traps: [bob@example.test] } }
`,
      "/veredus.yaml",
    );
    await using server = await start({ config: { filter, senderChecks, resolver } });
    const store = openReadOnlyStore(server.server.folder);
    const pills = (domain: string, n: number) =>
      `From: <eve@${domain}>\r\nMessage-ID: <${n}@${domain}>\r\nSubject: pills ${n}\r\n\r\nDear customer ${n}, ` +
      "our wonderful pills are sold without any prescription and will be sent to your door within a single day so order " +
      "the whole box before this offer ends and tell all your friends about it because every friend who orders as well " +
      "brings you another box for free while our store lasts and we never share your name with others\r\n";
    const sent = async (from: string, to: string, n: number) => {
      const client = await server.smtp();
      const { code } = await client.send(`eve@${from}`, [to], pills(from, n));
      await client.quit();
      return code;
    };
    const both = async (name: string) =>
      (await Promise.all(["INBOX", "Junk"].map((mailbox) => texts(server, mailbox, name)))).flat();
    const known = async (n: number) => {
      assert.equal(await sent("offers.test", "alice@example.test", n), 250);
      const mine = [...await texts(server, "INBOX"), ...await texts(server, "Junk")]
        .find((text) => text.includes(`Subject: pills ${n}\r\n`));
      return /came to traps \((\+[\d.]+)\)/.exec(mine ?? "")?.[1] ?? (mine === undefined ? "lost" : null);
    };
    const learnt = () => {
      const { spam, waiting } = store.spam.counts(0);
      return `${spam} ${waiting}`;
    };
    try {
      assert.equal(await known(1), null);
      // Somebody vouches for it: no hit.
      assert.equal(await sent("friends.test", "bob@example.test", 2), 250);
      assert.equal(await sent("offers.test", "bob@example.test", 3), 250);
      await until("the first lesson", () => learnt() === "1 0");
      assert.equal(await known(4), "+1.5");
      const script = {
        scope: "user",
        owner: String(store.directory.account("bob@example.test")!.id),
        name: "s",
      } as const;
      assert.ok(
        (await server.server.writer.submit({ kind: "put-script", ...script, content: "discard;" })).ok,
      );
      assert.ok((await server.server.writer.submit({ kind: "activate-script", ...script })).ok);
      assert.equal(await sent("offers.test", "bob@example.test", 5), 250);
      await until("the second lesson", () => learnt() === "2 0");
      assert.equal(await known(6), "+3.0");
      assert.equal((await both("bob")).length, 2);
    } finally {
      await store.close();
    }
  },
);

inBothShapes("what the filter and scripts file, and what is deleted, teaches nothing", async (start) => {
  await using server = await start({ config: CONFIG });
  const store = openReadOnlyStore(server.server.folder);
  try {
    const { id } = store.directory.account("alice@example.test")!;
    const script = { scope: "user", owner: String(id), name: "main" } as const;
    const content = 'require ["fileinto", "imap4flags"]; if header :contains "subject" "minutes" ' +
      '{ setflag "$Junk"; fileinto "Junk"; }\r\n';
    for (
      const op of [{ kind: "put-script", ...script, content }, {
        kind: "activate-script",
        ...script,
      }] as const
    ) {
      const result = await server.server.writer.submit(op);
      assert.ok(result.ok);
    }
    assert.equal(await send(server, UNWANTED(1)), 250); // filed by its points
    assert.equal(await send(server, WANTED(1)), 250); // by the script
    const client = await server.imap();
    await client.ok("APPEND INBOX", WANTED(2));
    await client.ok("SELECT Junk");
    assert.equal((await client.ok("UID SEARCH ALL")).untagged[0]!.line, "* SEARCH 1 2");
    await client.ok("UID STORE 1 +FLAGS (\\Deleted)");
    await client.ok("EXPUNGE");
    // The next lesson is all there is: nothing waited in front of it.
    await client.ok("UID MOVE 2 INBOX");
    await until("one lesson", () => store.spam.counts(id).ham === 1);
    const { spam, ham, waiting } = store.spam.counts(id);
    assert.deepEqual([spam, ham, waiting], [0, 1, 0]);
    await client.logout();
  } finally {
    await store.close();
  }
});

inBothShapes("what a user teaches decides about the next messages of that user", async (start) => {
  await using server = await start({ config: CONFIG });
  const store = openReadOnlyStore(server.server.folder);
  try {
    const { id } = store.directory.account("alice@example.test")!;
    const newsletter = (n: number) =>
      `From: Garden news <news@garden.test>\r\nTo: alice@example.test\r\nSubject: Tulips and bulbs, issue ${n}\r\n` +
      `Date: Mon, 23 Nov 2026 20:09:29 +0000\r\nMessage-ID: <tulip${n}@garden.test>\r\n\r\n` +
      `Tulips, daffodils and crocus bulbs at the garden centre this spring, issue ${n}: plant them now.\r\n`;
    const client = await server.imap();
    for (let n = 1; n <= 40; n++) {
      const text = n % 2 === 0 ? newsletter(n) : WANTED(n);
      await client.ok(`APPEND ${n % 2 === 0 ? "Junk" : "INBOX"}`, text);
    }
    await client.ok("SELECT INBOX");
    await client.ok("STORE 1:* +FLAGS ($NotJunk)");
    await until("forty lessons", () => {
      const { spam, ham, waiting } = store.spam.counts(id);
      return spam === 20 && ham === 20 && waiting === 0;
    });
    assert.equal(await send(server, newsletter(99), ["alice@example.test", "bob@example.test"]), 250);
    await client.ok("SELECT Junk");
    const { untagged } = await client.ok("UID FETCH 21 (BODY.PEEK[])");
    assert.match(literalText(untagged[0]!), /it resembles mail that was put into Junk/);
    await client.logout();
    assert.equal((await texts(server, "INBOX", "bob")).length, 1);
  } finally {
    await store.close();
  }
});

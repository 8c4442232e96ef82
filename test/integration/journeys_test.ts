/**
 * Whole ways of mail through the running server, with another mail server, a program and an HTTP hook at their ends: what
 * leaves by aliases and groups, what senders asked to be told, what waits for its time, and limits of logins.
 */
import assert from "node:assert/strict";
import type { Config } from "../../server/config/config.ts";
import { parseConfig } from "../../server/config/load.ts";
import type { WriteOp } from "../../storage/ops.ts";
import { findTraces } from "../../storage/trace_log.ts";
import { FakeSmtpServer } from "../lib/fake_smtp_server.ts";
import { popMessages } from "../lib/pop_messages.ts";
import { until } from "../lib/program.ts";
import { inBothShapes, type RunningServer } from "../lib/running_server.ts";
import type { SmtpClient } from "../lib/smtp_client.ts";

const ALICE = "alice@example.test";

/** Keys of the configuration as an operator writes them; mail for others goes to `next`. */
function configured(next: FakeSmtpServer | null, yaml = ""): Partial<Config> {
  const relay = next === null ? "" : `relay: [{ next_hop: "127.0.0.1:${next.port}", tls: none }]\n`;
  const { filter, commands, hooks, relay: rules } = parseConfig(
    `hostname: mx.example.test\n${relay}${yaml.includes("filter:") ? "" : "filter: { checks: [] }\n"}${yaml}`,
    "/veredus.yaml",
  );
  return { filter, commands, hooks, relay: rules, captureOutbound: "" };
}

function arrives(server: RunningServer, pattern: RegExp, name = "alice"): Promise<string> {
  return until(
    `${pattern} for ${name}`,
    async () => (await server.inbox(name)).find((text) => pattern.test(text)) ?? null,
  );
}

/** One message with the parameters of MAIL and RCPT as given. */
async function send(
  client: SmtpClient,
  mail: { from: string; to: string; subject: string; mailParameters?: string; rcptParameters?: string },
): Promise<void> {
  const { from, to, subject, mailParameters = "", rcptParameters = "" } = mail;
  await client.command(`MAIL FROM:<${from}>${mailParameters}`, 250);
  await client.command(`RCPT TO:<${to}>${rcptParameters}`, 250);
  await client.command("DATA", 354);
  await client.command(
    `From: ${from || "postmaster@far.test"}\r\nSubject: ${subject}\r\n\r\nbody of ${subject}\r\n.`,
    250,
  );
}

inBothShapes(
  "an alias leads to a mailbox, a command, a hook and outside; the bounce of that comes back",
  async (start) => {
    const folder = await Deno.makeTempDir();
    const hooked: string[] = [];
    const hook = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
      hooked.push(`${request.headers.get("x-veredus-recipient")} ${await request.text()}`);
      return new Response(null, { status: 204 });
    });
    await using next = new FakeSmtpServer();
    await using server = await start({
      config: configured(
        next,
        `commands: [{ name: ticket, command: [/bin/sh, -c, "cat > ${folder}/ticket"] }]\n` +
          `hooks: [{ name: crm, url: "http://127.0.0.1:${hook.addr.port}/" }]\n`,
      ),
      ops: [{
        kind: "put-alias",
        address: "help@example.test",
        targets: ["bob@example.test", "command:ticket", "hook:crm", "fred@far.test"],
      }],
    });
    const client = await server.smtp();
    await send(client, { from: "ann@remote.test", to: "help@example.test", subject: "all ways" });
    await arrives(server, /^Subject: all ways/m, "bob");
    await until(
      "the command",
      () => Deno.readTextFile(`${folder}/ticket`).then((text) => text.includes("all ways")).catch(() => null),
    );
    await until("the hook", () => hooked.length > 0 || null);
    assert.match(hooked[0]!, /^help@example\.test [^]*Subject: all ways/);
    await until("the next hop", () => next.messages.length > 0 || null);
    const { sender, recipients } = next.messages[0]!;
    assert.deepEqual(recipients, ["fred@far.test"]);
    assert.match(sender, /^SRS0=\w+=\w+=remote\.test=ann@example\.test$/);
    // Fred's server sends its bounce to that address: it goes on to the author.
    await send(client, { from: "", to: sender, subject: "your mail bounced" });
    await until("the bounce", () => next.messages.length > 1 || null);
    assert.deepEqual([next.messages[1]!.sender, next.messages[1]!.recipients], ["", ["ann@remote.test"]]);
    await client.quit();
    await hook.shutdown();
    await Deno.remove(folder, { recursive: true });
  },
);

inBothShapes(
  "a group has members here and outside, and each copy the marks of a list",
  async (start) => {
    await using next = new FakeSmtpServer();
    const address = "team@example.test";
    const group: WriteOp[] = [
      { kind: "put-group", group: { address, displayName: "Team", owners: [ALICE], posting: "anyone" } },
      { kind: "change-members", group: address, add: ["bob@example.test", "fred@far.test"], remove: [] },
    ];
    await using server = await start({ config: configured(next), ops: group });
    const client = await server.smtp();
    await send(client, { from: "ann@remote.test", to: address, subject: "to the team" });
    await client.quit();
    const mine = await arrives(server, /^Subject: to the team/m, "bob");
    await until("the outside member", () => next.messages.length > 0 || null);
    const [{ sender, recipients, data }] = next.messages as [typeof next.messages[0]];
    assert.deepEqual([sender, recipients], [ALICE, ["fred@far.test"]]);
    for (const text of [mine, data]) assert.match(text, /^List-Id: .*<team\.example\.test>\r$/m);
  },
);

inBothShapes("NUL and bare line ends reach neither IMAP nor POP3 nor a next hop", async (start) => {
  await using next = new FakeSmtpServer({ extensions: ["8BITMIME", "CHUNKING", "BINARYMIME"] });
  await using server = await start({
    config: configured(next),
    ops: [{ kind: "put-alias", address: "both@example.test", targets: [ALICE, "fred@far.test"] }],
  });
  const client = await server.smtp();
  const plain = "Subject: plain\r\n\r\n1 a\0b\r\n.\0\r\n";
  const multipart = (encoding: string, text: string) =>
    `Subject: parts\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n` +
    `Content-Type: application/x\r\nContent-Transfer-Encoding: ${encoding}\r\n\r\n${text}\r\n--b--\r\n`;
  const chunk = async (message: string, parameters = "") => {
    await client.command(`MAIL FROM:<ann@remote.test>${parameters}`, 250);
    await client.command("RCPT TO:<both@example.test>", 250);
    await client.wire.write(`BDAT ${message.length} LAST\r\n${message}`);
    return await client.reply();
  };
  assert.equal((await client.send("ann@remote.test", ["both@example.test"], plain)).code, 250);
  assert.equal((await chunk(multipart("8bit", "2 a\0b"))).code, 250);
  assert.equal((await chunk(multipart("binary", "3 a\0\n\rb"), " BODY=BINARYMIME")).code, 250);
  const refused = await client.send("ann@remote.test", ["both@example.test"], "Subject: a\0b\r\n\r\nx\r\n");
  assert.equal(refused.code, 554);
  await client.quit();

  const wanted = ["1 a\0b\r\n.\0\r\n", "2 a\0b", "3 a\0\n\rb"];
  const check = (messages: readonly string[]) => {
    assert.equal(messages.length, wanted.length);
    for (const text of messages) assert.doesNotMatch(text, /\0|\r(?!\n)|(?<!\r)\n/);
    const decoded = messages.map((text) =>
      atob(/base64\r\n(?:[^\r]+\r\n)*\r\n([\w+/=\r\n]+)/.exec(text)![1]!)
    );
    assert.deepEqual(decoded.toSorted(), wanted);
  };
  await until("the next hop", () => next.messages.length === wanted.length || null);
  check(next.messages.map(({ data }) => data));
  check(await server.inbox());
  check(await popMessages(server.port("pop3"), "alice"));
});

inBothShapes(
  "NOTIFY, RET, ENVID and ORCPT reach the next hop, or come back in our reports",
  async (start) => {
    const script = (line: string) => line.startsWith("RCPT TO:<no@") ? "550 5.1.1 nobody of that name" : null;
    await using knows = new FakeSmtpServer({ extensions: ["8BITMIME", "DSN"], script });
    const rcptParameters = " NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;fred+2Bx@old.test";
    const mailParameters = " RET=HDRS ENVID=QQ+2B1";
    await using server = await start({ config: configured(knows) });
    const client = await server.submission();
    await send(client, { from: ALICE, to: "fred@far.test", subject: "one", mailParameters, rcptParameters });
    await until("the next hop", () => knows.messages.length > 0 || null);
    assert.ok(
      knows.commands.some((line) => /^MAIL .*RET=HDRS ENVID=QQ\+2B1/.test(line)),
      knows.commands.join(),
    );
    assert.ok(
      knows.commands.some((line) => line === `RCPT TO:<fred@far.test>${rcptParameters}`),
      knows.commands.join(),
    );
    assert.deepEqual(await server.inbox(), [], "success is the next hop's to report");
    await send(client, {
      ...{ from: ALICE, to: "no@far.test", subject: "two", rcptParameters },
      mailParameters: " RET=FULL ENVID=QQ+2B1",
    });
    const failed = await arrives(server, /^Action: failed\r$/m);
    assert.match(failed, /^Original-Envelope-Id: QQ\+1\r$/m);
    assert.match(failed, /^Original-Recipient: rfc822; fred\+x@old\.test\r$/m);
    assert.match(failed, /^Status: 5\.1\.1\r$/m);
    assert.match(failed, /^Diagnostic-Code: smtp; 550 5\.1\.1 nobody of that name\r$/m);
    assert.match(failed, /^body of two\r$/m, "RET=FULL brings the message back");
    await client.quit();
  },
);

inBothShapes("a next hop without DSN: success is reported as relayed, by us", async (start) => {
  await using next = new FakeSmtpServer();
  await using server = await start({ config: configured(next) });
  const client = await server.submission();
  const rcptParameters = " NOTIFY=SUCCESS";
  await send(client, {
    from: ALICE,
    to: "fred@far.test",
    subject: "x",
    mailParameters: " RET=HDRS",
    rcptParameters,
  });
  await client.quit();
  const relayed = await arrives(server, /^Action: relayed\r$/m);
  assert.match(relayed, /^Final-Recipient: rfc822; fred@far\.test\r$/m);
  assert.match(relayed, /^Subject: x\r$/m);
  assert.doesNotMatch(relayed, /^body of x\r$/m, "RET=HDRS brings the header back");
  assert.ok(next.commands.includes("RCPT TO:<fred@far.test>"));
});

inBothShapes("ETRN starts what waits for a relay domain; nobody else's", async (start) => {
  let open = false;
  await using next = new FakeSmtpServer({
    script: (line) => !open && line.startsWith("RCPT") ? "451 4.3.2 still down" : null,
  });
  const config = {
    ...configured(next),
    smtp: parseConfig("hostname: a.test\nsmtp: { etrn: true }", "/x").smtp,
  };
  await using server = await start({
    config,
    ops: [{
      kind: "put-domain",
      domain: {
        ...{ name: "branch.test", kind: "relay", nextHop: `127.0.0.1:${next.port}` },
        ...{ catchAll: "", subaddressSeparators: "" },
      },
    }],
  });
  const client = await server.smtp();
  await send(client, { from: "ann@remote.test", to: "x@branch.test", subject: "waits" });
  await until("the first attempt", () => next.commands.some((line) => line.startsWith("RCPT")) || null);
  open = true;
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.deepEqual(next.messages, [], "its next attempt is minutes away");
  await client.command("ETRN elsewhere.test", 459);
  await until("what waited", async () => {
    await client.command("ETRN branch.test");
    return next.messages.length > 0 || null;
  });
  await client.quit();
});

inBothShapes("FUTURERELEASE: mail for here and for others waits for its second", async (start) => {
  await using next = new FakeSmtpServer();
  await using server = await start({ config: configured(next) });
  const client = await server.submission();
  const began = Date.now();
  const mailParameters = " HOLDFOR=2";
  await send(client, { from: ALICE, to: "bob@example.test", subject: "later", mailParameters });
  await send(client, { from: ALICE, to: "fred@far.test", subject: "later too", mailParameters });
  await client.quit();
  assert.deepEqual(await server.inbox("bob"), []);
  await arrives(server, /^Subject: later\r$/m, "bob");
  await until("the next hop", () => next.messages.length > 0 || null);
  assert.ok(Date.now() - began >= 2_000);
});

inBothShapes(
  "MT-PRIORITY of a login: up to the limit, in Received, and to the next hop; strangers have none",
  async (start) => {
    await using next = new FakeSmtpServer({ extensions: ["PIPELINING", "MT-PRIORITY"] });
    await using server = await start({ config: configured(next) });
    const client = await server.submission();
    await send(client, {
      from: ALICE,
      to: "fred@far.test",
      subject: "soon",
      mailParameters: " MT-PRIORITY=9",
    });
    await send(client, {
      from: ALICE,
      to: "fred@far.test",
      subject: "late",
      mailParameters: " MT-PRIORITY=-2",
    });
    await client.quit();
    await until("the next hop", () => next.messages.length === 2 || null);
    const mails = next.commands.filter((command) => command.startsWith("MAIL")).sort();
    assert.match(mails[0]!, / MT-PRIORITY=-2/);
    assert.match(mails[1]!, / MT-PRIORITY=4/);
    const soon = next.messages.find(({ data }) => data.includes("Subject: soon"));
    assert.match(soon!.data, /^Received: [^;]* PRIORITY 4;/m);
    const stranger = await server.smtp();
    await stranger.command("MAIL FROM:<x@remote.test> MT-PRIORITY=1", 555);
    await stranger.quit();
  },
);

inBothShapes("a login that sends too much is put off, and the administrator is told once", async (start) => {
  await using next = new FakeSmtpServer();
  await using server = await start({
    config: configured(
      next,
      "filter: { administrator: bob@example.test, checks: [{ check: sending, messages_per_day: 20, new_recipients_per_day: 2 }] }\n",
    ),
  });
  const client = await server.submission();
  const answers: number[] = [];
  for (const to of ["a@far.test", "b@far.test", "c@far.test", "a@far.test", "d@far.test"]) {
    await client.command(`MAIL FROM:<${ALICE}>`, 250);
    answers.push((await client.command(`RCPT TO:<${to}>`)).code);
    await client.command("RSET", 250);
  }
  assert.deepEqual(answers, [250, 250, 450, 250, 450], "recipients that it never wrote to");
  // At the latest the one behind the twentieth; for a moment a message may count in its thread and in the database.
  let messages = answers.length;
  for (let code = 250; code === 250; messages++) {
    assert.ok(messages <= 20, "more than twenty");
    await client.command(`MAIL FROM:<${ALICE}>`, 250);
    code = (await client.command("RCPT TO:<a@far.test>")).code;
    await client.command("RSET", 250);
  }
  assert.ok(messages > 10, `${messages} messages`);
  await client.quit();
  const notice = await arrives(server, /Sending limit of alice@example\.test reached/, "bob");
  assert.match(notice, /^Auto-Submitted: auto-generated\r$/m);
  assert.match(notice, /2 recipients today that it never wrote to/);
  await new Promise((resolve) => setTimeout(resolve, 500));
  assert.equal((await server.inbox("bob")).length, 1, "once a day");
  // Another login is not touched, and strangers are not asked.
  const bob = await server.submission("bob");
  await send(bob, { from: "bob@example.test", to: "e@far.test", subject: "mine" });
  await bob.quit();
});

inBothShapes("what is refused while it comes is in the trace too", async (start) => {
  await using server = await start({});
  const client = await server.smtp();
  await client.command("MAIL FROM:<x@remote.test>", 250);
  await client.command(`RCPT TO:<${ALICE}>`, 250);
  await client.command("DATA", 354);
  await client.command("Subject: bare\n\r\n.", 554);
  await client.quit();
  const [events] = await until("the trace", async () => {
    const found = await findTraces(server.server.folder.trace, { about: "x@remote.test", limit: 1 });
    return found.length > 0 ? found : null;
  });
  assert.deepEqual(
    (events as unknown as { event: string; reply: string; to: string[] }[]).map(({ event, reply, to }) => [
      event,
      reply.slice(0, 9),
      to,
    ]),
    [["refused", "554 5.6.0", [ALICE]]],
  );
});

inBothShapes("an owner is told once that the mailbox is full", async (start) => {
  await using server = await start({
    ops: [{ kind: "put-account", account: { address: "bob@example.test", quotaMessages: 1 } }],
  });
  const client = await server.smtp();
  await send(client, { from: "ann@remote.test", to: "bob@example.test", subject: "one" });
  await arrives(server, /^Subject: Your mailbox is full/m, "bob");
  for (let at = 0; at < 3; at++) {
    await client.command("MAIL FROM:<ann@remote.test>", 250);
    const { code, lines } = await client.command("RCPT TO:<bob@example.test>");
    assert.match(`${code} ${lines[0]}`, /^452 4\.2\.2 /);
    await client.command("RSET", 250);
  }
  await client.quit();
  const texts = await server.inbox("bob");
  assert.equal(texts.filter((text) => /^Subject: Your mailbox is full/m.test(text)).length, 1);
});

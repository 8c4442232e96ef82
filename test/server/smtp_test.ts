/** The SMTP driver: delivery, backpressure, time, logins, TLS and the end of sessions. */
import assert from "node:assert/strict";
import { latin1 } from "../../bytes/decode.ts";
import { HIGH_WATER_OCTETS } from "../../bytes/out.ts";
import { RECIPIENT_OK, type Reply, reply } from "../../protocols/smtp/reply.ts";
import { BufferPool, BUSY_OCTETS, IDLE_OCTETS, LENT_BUFFERS } from "../../server/buffers.ts";
import { DEFAULT_SMTP_OPTIONS, type SmtpOptions } from "../../server/smtp/options.ts";
import { StorageError } from "../../storage/store.ts";
import { registry } from "../../telemetry/metrics.ts";
import { settle, type SmtpHarness, smtpTest, type SmtpTestClient } from "./smtp_harness.ts";

const MINUTE = 60_000;
const SUBMISSION: Partial<SmtpOptions> = { service: "submission", plainLoginAllowed: true };

/** Up to the 354. */
async function openData(h: SmtpHarness): Promise<SmtpTestClient> {
  const client = await h.connect();
  client.send("EHLO a.example\r\nMAIL FROM:<a@a.example>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\n");
  await client.reply();
  await client.reply();
  await client.reply();
  assert.equal((await client.reply())[0]?.slice(0, 3), "354");
  return client;
}

smtpTest("a message goes to the reception and its reply comes back", async (h) => {
  const client = await h.connect();
  assert.equal(await client.command("EHLO a.example"), "250 LIMITS RCPTMAX=1000");
  assert.equal(await client.command("MAIL FROM:<a@a.example> SIZE=20"), "250 2.1.0 Sender OK");
  assert.equal(await client.command("RCPT TO:<bob@example.test>"), "250 2.1.5 Recipient OK");
  assert.equal(await client.command("DATA"), "354 End with <CRLF>.<CRLF>");
  assert.equal(await client.command("Subject: x\r\n\r\n..dot\r\n."), "250 2.0.0 Stored");
  assert.equal(await client.command("QUIT"), "221 2.0.0 Bye");
  await client.done;
  const { last } = h.reception;
  assert.equal(last.text, "Subject: x\r\n\r\n.dot\r\n");
  assert.deepEqual(last.to, ["bob@example.test"]);
  assert.deepEqual([last.finished, last.discarded], [1, 1]);
  assert.deepEqual(last.client, {
    sessionId: "s1",
    address: "192.0.2.1",
    port: 40_000,
    heloName: "a.example",
    esmtp: true,
    tls: null,
    service: "mx",
    account: null,
    mechanism: null,
    trusted: false,
    screen: null,
    spokeEarly: false,
  });
});

smtpTest("a pipelined group is answered in one write", async (h) => {
  const client = await h.connect();
  client.send("EHLO a.example\r\nMAIL FROM:<>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\n");
  const buffer = new Uint8Array(4_096);
  const count = await client.transport.read(buffer);
  assert.match(latin1(buffer, 0, count ?? 0), /^250-[^]*250 2\.1\.0 [^]*250 2\.1\.5 [^]*354 [^\r]*\r\n$/);
});

smtpTest("a message that comes octet by octet holds no large buffer", async (h) => {
  const client = await openData(h);
  const server = client.transport.other;
  const read = server.read.bind(server);
  const sizes: number[] = [];
  server.read = (into) => {
    sizes.push(into.length);
    return read(into);
  };
  for (const octet of "abc") {
    client.send(octet);
    await settle();
  }
  // One drop may be a header line that comes alone.
  assert.deepEqual(sizes, [BUSY_OCTETS, IDLE_OCTETS, IDLE_OCTETS]);
  client.send(`${"x".repeat(IDLE_OCTETS)}\r\n`);
  await settle();
  assert.deepEqual(sizes.slice(3), [BUSY_OCTETS, BUSY_OCTETS], "more while more comes");
  assert.equal(await client.command("."), "250 2.0.0 Stored");
});

Deno.test("large buffers are lent up to a number, and again when they are back", () => {
  const pool = new BufferPool();
  const lent = Array.from({ length: LENT_BUFFERS }, () => pool.borrow()!);
  assert.equal(pool.borrow(), null);
  pool.give(lent[0]!);
  assert.notEqual(pool.borrow(), null);
});

smtpTest("MAIL and RCPT are what the reception says", async (h) => {
  const client = await h.connect();
  await client.command("EHLO a.example");
  h.reception.refusal = reply(452, "4.3.1", "Insufficient system storage, try again later");
  assert.equal(
    await client.command("MAIL FROM:<>"),
    "452 4.3.1 Insufficient system storage, try again later",
  );
  h.reception.refusal = null;
  await client.command("MAIL FROM:<>");
  h.reception.rcpt = (to) =>
    to.startsWith("no")
      ? Promise.resolve(reply(550, "5.1.1", "No such user"))
      : Promise.resolve(RECIPIENT_OK);
  assert.equal(await client.command("RCPT TO:<nobody@example.test>"), "550 5.1.1 No such user");
  assert.equal(await client.command("RCPT TO:<bob@example.test>"), "250 2.1.5 Recipient OK");
  h.reception.begin = () => reply(451, "4.3.0", "Not now");
  assert.equal(await client.command("DATA"), "451 4.3.0 Not now");
  assert.deepEqual([h.reception.last.finished, h.reception.last.discarded], [0, 1]);
  assert.equal(await client.command("DATA"), "503 5.5.1 MAIL first");
});

smtpTest("each way out of a transaction discards it", async (h) => {
  const client = await h.connect();
  const ways = ["RSET", "EHLO a.example", "QUIT"];
  await client.command("EHLO a.example");
  for (const way of ways) {
    await client.command("MAIL FROM:<>");
    await client.command(way);
  }
  await client.done;
  assert.deepEqual(h.reception.transactions.map(({ finished, discarded }) => [finished, discarded]), [
    [0, 1],
    [0, 1],
    [0, 1],
  ]);
  const lost = await openData(h);
  lost.send("half a mess");
  await settle();
  lost.close();
  await lost.done;
  assert.deepEqual([h.reception.last.finished, h.reception.last.discarded], [0, 1]);
});

smtpTest("a refused message is discarded and the session goes on", async (h) => {
  const client = await openData(h);
  assert.equal(await client.command("a\nb\r\n."), "554 5.6.0 Message contains bare CR or LF");
  assert.deepEqual([h.reception.last.finished, h.reception.last.discarded], [0, 1]);
  assert.equal(await client.command("MAIL FROM:<>"), "250 2.1.0 Sender OK");
});

smtpTest("line ends of trusted networks are converted", async (h) => {
  const client = await h.connect({ trusted: true });
  client.send(
    "EHLO a.example\r\nMAIL FROM:<>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\na\nb\r\n.\r\nQUIT\r\n",
  );
  assert.match(await client.rest(), /250 2\.0\.0 Stored\r\n/);
  assert.equal(h.reception.last.text, "a\r\nb\r\n");
  assert.equal(h.reception.last.client.trusted, true);
});

smtpTest("BDAT goes to the reception as DATA does", async (h) => {
  const client = await h.connect();
  client.send(
    "EHLO a.example\r\nMAIL FROM:<>\r\nRCPT TO:<bob@example.test>\r\nBDAT 3\r\na\r\nBDAT 1 LAST\r\nb",
  );
  for (let i = 0; i < 4; i++) await client.reply();
  assert.deepEqual(await client.reply(), ["250 2.0.0 Stored"]);
  assert.equal(h.reception.last.text, "a\r\nb");
});

smtpTest("reading waits for the reception: 50 MB pass with little under way", async (h) => {
  const client = await openData(h);
  let unwritten = 0, most = 0, sent = 0;
  h.reception.write = (octets) => {
    unwritten += octets;
    most = Math.max(most, unwritten);
    return new Promise((resolve) =>
      queueMicrotask(() => {
        unwritten -= octets;
        resolve();
      })
    );
  };
  const line = new TextEncoder().encode(("x".repeat(998) + "\r\n").repeat(64));
  for (; sent < 49_000_000; sent += line.length) await client.transport.write(line);
  assert.equal(await client.command("."), "250 2.0.0 Stored");
  assert.equal(h.reception.last.octets, sent);
  assert.ok(most <= 65_536, `${most} octets were under way`);
}, { limits: { ...DEFAULT_SMTP_OPTIONS.limits, messageOctets: 50_000_000 } });

smtpTest("while the reception is behind, nothing is read", async (h) => {
  const client = await openData(h);
  let release = () => {};
  h.reception.write = () => new Promise<void>((resolve) => release = resolve);
  client.send("x".repeat(60_000) + "\r\n");
  await settle();
  const before = h.reception.last.octets;
  client.send("y".repeat(60_000) + "\r\n.\r\n");
  await settle();
  assert.equal(h.reception.last.octets, before);
  h.reception.write = () => undefined;
  release();
  assert.deepEqual(await client.reply(), ["250 2.0.0 Stored"]);
});

smtpTest("a client that does not read its replies is not read either", async (h) => {
  const client = await h.connect({}, { windowOctets: 100 });
  // Far more replies than the window and the high-water mark take.
  const flood = "NOOP\r\n".repeat(20_000);
  let taken = false;
  client.transport.write(new TextEncoder().encode(flood)).then(() => taken = true);
  await settle();
  assert.equal(taken, false);
  for (let i = 0; i < 20_000; i++) await client.reply();
  await settle();
  assert.equal(taken, true);
});

smtpTest("many replies to one read leave above the high-water mark", async (h) => {
  const client = await openData(h);
  const writes: number[] = [];
  const server = client.transport.other;
  const write = server.write.bind(server);
  server.write = (octets) => {
    writes.push(octets.length);
    return write(octets);
  };
  // One read of 60 kB: a whole message and 10,000 commands behind it.
  client.send("x\r\n.\r\n" + "NOOP\r\n".repeat(10_000));
  for (let i = 0; i <= 10_000; i++) await client.reply();
  assert.ok(Math.max(...writes) < HIGH_WATER_OCTETS + 1_000, writes.join(" "));
});

smtpTest("silence ends with 421, and a trickle of octets is silence", async (h) => {
  const client = await h.connect();
  await client.command("EHLO a.example");
  await h.pass(4 * MINUTE);
  await client.command("NOOP");
  await h.pass(4 * MINUTE);
  client.send("NO");
  await h.pass(30_000);
  client.send("OP");
  await h.pass(MINUTE);
  assert.equal(await client.rest(), "421 4.4.2 Timeout, closing connection\r\n");
  await client.done;
});

smtpTest("a message has a time of its own, however it trickles in", async (h) => {
  const client = await openData(h);
  for (let minute = 0; minute < 60; minute += 4) {
    client.send("x\r\n");
    await settle();
    await h.pass(4 * MINUTE);
  }
  assert.equal(await client.rest(), "421 4.4.2 Timeout, closing connection\r\n");
  await client.done;
  assert.deepEqual([h.reception.last.finished, h.reception.last.discarded], [0, 1]);
});

smtpTest("the time of a message ends with it", async (h) => {
  const client = await openData(h);
  await client.command("x\r\n.");
  for (let minute = 0; minute < 64; minute += 4) {
    assert.equal(await client.command("NOOP"), "250 2.0.0 OK");
    await h.pass(4 * MINUTE);
  }
  assert.equal(await client.command("NOOP"), "250 2.0.0 OK");
});

smtpTest("submission without a login ends after its time", async (h) => {
  const client = await h.connect();
  await client.command("EHLO a.example");
  await h.pass(2 * MINUTE);
  await client.command("NOOP");
  await h.pass(MINUTE + 1_000);
  assert.equal(await client.rest(), "421 4.4.2 Timeout, closing connection\r\n");
}, SUBMISSION);

smtpTest("time that delivery takes is not the client's", async (h) => {
  const client = await openData(h);
  let stored: (reply: Reply) => void = () => {};
  h.reception.finish = () => new Promise((resolve) => stored = resolve);
  client.send("x\r\n.\r\n");
  await settle();
  await h.pass(6 * MINUTE);
  await h.pass(6 * MINUTE);
  stored(reply(250, "2.0.0", "Stored at last"));
  assert.deepEqual(await client.reply(), ["250 2.0.0 Stored at last"]);
});

smtpTest("a client that takes nothing is cut", async (h) => {
  const client = await h.connect({}, { windowOctets: 10 });
  client.send("EHLO a.example\r\n");
  await settle();
  await h.pass(6 * MINUTE);
  await client.done;
});

smtpTest("logins: wrong, unavailable, throttled, right", async (h) => {
  const plain = (password: string) => `AUTH PLAIN ${btoa(`\0alice\0${password}`)}`;
  const client = await h.connect();
  await client.command("EHLO a.example");
  assert.equal(await client.command("MAIL FROM:<alice@example.test>"), "530 5.7.0 Authentication required");
  assert.equal(await client.command(plain("wrong")), "535 5.7.8 Authentication credentials invalid");
  assert.equal(await client.command(plain("later")), "454 4.7.0 Temporary authentication failure");
  assert.equal(await client.command(plain("secret")), "235 2.7.0 Authenticated");
  await client.command("MAIL FROM:<alice@example.test>");
  assert.equal(h.reception.last.client.account?.address, "alice@example.test");
  assert.equal(h.reception.last.client.service, "submission");
  assert.deepEqual(h.server.sessions().map(({ account, command }) => [account, command]), [
    ["alice@example.test", "MAIL"],
  ]);
  const blocked = await h.connect();
  await blocked.command("EHLO a.example");
  blocked.send(plain("blocked") + "\r\n");
  assert.equal(await blocked.rest(), "421 4.7.0 Too many failed logins, try again later\r\n");
}, SUBMISSION);

smtpTest("wrong passwords end the session", async (h) => {
  const client = await h.connect();
  await client.command("EHLO a.example");
  const wrong = `AUTH PLAIN ${btoa("\0alice\0wrong")}\r\n`;
  client.send(wrong.repeat(7));
  assert.equal(
    await client.rest(),
    "535 5.7.8 Authentication credentials invalid\r\n".repeat(5) +
      "421 4.7.0 Too many failed logins, try again later\r\n",
  );
}, SUBMISSION);

smtpTest("STARTTLS: what came in clear is dropped, what was learnt is forgotten", async (h) => {
  const client = await h.connect({ plainLoginAllowed: false });
  await client.command("EHLO a.example");
  client.send("STARTTLS\r\nEHLO evil.example\r\nMAIL FROM:<evil@a.example>\r\n");
  assert.deepEqual(await client.reply(), ["220 2.0.0 Ready to start TLS"]);
  client.transport = client.transport.upgraded();
  assert.equal(await client.command("NOOP"), "250 2.0.0 OK");
  assert.equal(await client.command("MAIL FROM:<>"), "503 5.5.1 EHLO first");
  client.send("EHLO a.example\r\n");
  const extensions = await client.reply();
  assert.ok(!extensions.includes("250-STARTTLS") && extensions.includes("250-AUTH PLAIN LOGIN"));
  assert.equal(await client.command(`AUTH PLAIN ${btoa("\0alice\0secret")}`), "235 2.7.0 Authenticated");
  await client.command("MAIL FROM:<alice@example.test>");
  assert.deepEqual(h.reception.last.client.tls, { protocol: "TLSv1.3", cipher: "TLS_AES_256_GCM_SHA384" });
  assert.equal(h.reception.transactions.length, 1);
}, { service: "submission" });

smtpTest("a login in clear does not count behind STARTTLS", async (h) => {
  const client = await h.connect({ auth: true, plainLoginAllowed: true });
  await client.command("EHLO a.example");
  assert.equal(await client.command(`AUTH PLAIN ${btoa("\0alice\0secret")}`), "235 2.7.0 Authenticated");
  await client.command("MAIL FROM:<alice@example.test>");
  assert.equal(h.reception.last.client.account?.id, 1);
  await client.command("STARTTLS");
  client.transport = client.transport.upgraded();
  await client.command("EHLO a.example");
  await client.command("MAIL FROM:<alice@example.test>");
  assert.equal(h.reception.last.client.account, null);
  assert.deepEqual(h.reception.transactions.map(({ discarded }) => discarded), [1, 0]);
});

smtpTest("a failed handshake ends the connection and nothing else", async (h) => {
  const client = await h.connect({}, { canStartTls: true });
  client.transport.other.startTls = () => Promise.reject(new Error("no shared cipher"));
  assert.equal(await client.command("STARTTLS"), "220 2.0.0 Ready to start TLS");
  await client.done;
});

smtpTest("shutdown says 421 at once, and after a message that is being sent", async (h) => {
  const idle = await h.connect();
  await idle.command("EHLO a.example");
  const busy = await openData(h);
  h.server.shutdown();
  assert.equal(await idle.rest(), "421 4.3.2 Service shutting down\r\n");
  busy.send("x\r\n.\r\n");
  assert.equal(await busy.rest(), "250 2.0.0 Stored\r\n421 4.3.2 Service shutting down\r\n");
});

smtpTest("shutdown waits for the chunks of a message, not for half a login", async (h) => {
  const chunks = await h.connect();
  chunks.send("EHLO a.example\r\nMAIL FROM:<>\r\nRCPT TO:<bob@example.test>\r\nBDAT 3\r\na\r\n");
  for (let i = 0; i < 4; i++) await chunks.reply();
  const login = await h.connect({ auth: true, plainLoginAllowed: true });
  await login.command("EHLO a.example");
  assert.equal(await login.command("AUTH PLAIN"), "334 ");
  h.server.shutdown();
  assert.equal(await login.rest(), "421 4.3.2 Service shutting down\r\n");
  chunks.send("BDAT 1 LAST\r\nb");
  assert.equal(await chunks.rest(), "250 2.0.0 Stored\r\n421 4.3.2 Service shutting down\r\n");
});

smtpTest("sessions, commands, messages and limits are counted", async (h) => {
  const value = async (name: string, labels: Record<string, string>) => {
    const metric = await registry.getSingleMetric(name)?.get();
    const found = metric?.values.find((entry) =>
      Object.entries(labels).every(([label, text]) => entry.labels[label] === text)
    );
    return found?.value ?? 0;
  };
  const all = () =>
    Promise.all([
      value("veredus_smtp_commands_total", { verb: "RCPT", reply: "2xx" }),
      value("veredus_smtp_commands_total", { verb: "unknown", reply: "5xx" }),
      value("veredus_smtp_message_octets_total", {}),
      value("veredus_smtp_limits_total", { limit: "commandLineOctets" }),
      value("veredus_smtp_limits_total", { limit: "time" }),
      value("veredus_smtp_bare_line_ends_total", {}),
      value("veredus_smtp_sessions", {}),
    ]);
  const before = await all();
  const client = await openData(h);
  await client.command("abc\r\n.");
  client.send("MAIL FROM:<>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\na\nb\r\n.\r\n");
  for (let i = 0; i < 4; i++) await client.reply();
  await client.command("FOO " + "x".repeat(3_000));
  const during = await all();
  await h.pass(6 * MINUTE);
  await client.done;
  const after = await all();
  const less = (a: number[], b: number[]) => a.map((count, at) => count - b[at]!);
  assert.deepEqual(less(during, before), [2, 1, 5, 1, 0, 1, 1]);
  assert.deepEqual(less(after, during), [0, 0, 0, 0, 1, 0, -1]);
  assert.deepEqual(h.reception.transactions.map(({ refusal }) => refusal?.code), [undefined, 554]);
});

smtpTest("extensions are counted as clients make use of them, pipelining once a session", async (h) => {
  const used = async (): Promise<Record<string, number>> => {
    const metric = await registry.getSingleMetric("veredus_smtp_extensions_total")!.get();
    return Object.fromEntries(metric.values.map(({ labels, value }) => [labels.extension, value]));
  };
  const before = await used();
  const client = await h.connect();
  await client.command("EHLO a.example");
  await client.command("MAIL FROM:<a@a.example> SIZE=20 BODY=8BITMIME SMTPUTF8 RET=HDRS");
  await client.command("RCPT TO:<bob@example.test> NOTIFY=NEVER");
  client.send("RSET\r\nNOOP\r\nQUIT\r\n");
  await client.done;
  const after = await used();
  const counted = Object.entries(after).map(([name, count]) => [name, count - (before[name] ?? 0)] as const);
  assert.deepEqual(counted.filter(([, count]) => count > 0).sort(), [
    ["8BITMIME", 1],
    ["DSN", 2],
    ["PIPELINING", 1],
    ["SIZE", 1],
    ["SMTPUTF8", 1],
  ]);
});

smtpTest("soft bounces: the client hears 4yz, the log and the metric say what would have been", async (h) => {
  const softened = async () =>
    (await registry.getSingleMetric("veredus_smtp_softened_total")!.get()).values[0]?.value ?? 0;
  const before = await softened();
  h.reception.rcpt = () => reply(550, "5.1.1", "No such recipient here");
  const client = await h.connect({ softBounce: true });
  for (const line of ["EHLO a.example", "MAIL FROM:<>"]) await client.command(line);
  assert.equal(await client.command("RCPT TO:<x@example.test>"), "450 4.1.1 No such recipient here");
  assert.equal(await softened() - before, 1);
});

smtpTest("a refused recipient of a stranger waits, all others do not", async (h) => {
  h.reception.rcpt = (to) =>
    reply(to.startsWith("no") ? 550 : 250, to.startsWith("no") ? "5.1.1" : "2.1.5", "x");
  const took = async (options: Partial<SmtpOptions>, to: string) => {
    const client = await h.connect({ tarpitMs: 150, ...options });
    for (const line of ["EHLO a.example", "MAIL FROM:<>"]) await client.command(line);
    const began = performance.now();
    await client.command(`RCPT TO:<${to}>`);
    return performance.now() - began;
  };
  assert.ok(await took({}, "no@example.test") >= 149);
  // Two that are refused in one group wait twice: a list of guesses is slow however it is sent.
  const client = await h.connect({ tarpitMs: 100 });
  const began = performance.now();
  client.send(
    "EHLO a.example\r\nMAIL FROM:<>\r\nRCPT TO:<no@example.test>\r\nRCPT TO:<none@example.test>\r\n",
  );
  for (let at = 0; at < 4; at++) await client.reply();
  assert.ok(performance.now() - began >= 199);
  // Other sessions of the same thread go on meanwhile.
  const slow = took({ tarpitMs: 60_000 }, "no@example.test");
  slow.catch(() => {}); // its connection is closed at the end
  assert.ok(await took({ tarpitMs: 60_000 }, "bob@example.test") < 30_000);
  assert.ok(await took({ tarpitMs: 60_000, trusted: true }, "no@example.test") < 30_000);
});

smtpTest("one session is ended by its id", async (h) => {
  const first = await h.connect();
  const second = await h.connect();
  assert.equal(h.server.end("s9"), false);
  assert.equal(h.server.end("s1"), true);
  assert.equal(await first.rest(), "421 4.3.2 Closed by the administrator\r\n");
  assert.equal(await second.command("NOOP"), "250 2.0.0 OK");
  assert.deepEqual(h.server.sessions().map(({ id }) => id), ["s2"]);
});

smtpTest("a fault of ours is 421, trouble with the disk a reply", async (h) => {
  const client = await h.connect();
  await client.command("EHLO a.example");
  await client.command("MAIL FROM:<>");
  h.reception.rcpt = () => {
    throw new StorageError("no space", { full: true });
  };
  assert.equal(
    await client.command("RCPT TO:<bob@example.test>"),
    "452 4.3.1 Insufficient system storage, try again later",
  );
  h.reception.rcpt = () => Promise.reject(new StorageError("locked", { full: false }));
  assert.equal(await client.command("RCPT TO:<bob@example.test>"), "451 4.3.0 Local error, try again later");
  h.reception.rcpt = () => {
    throw new TypeError("a bug");
  };
  client.send("RCPT TO:<bob@example.test>\r\n");
  assert.equal(await client.rest(), "421 4.3.0 Local error, closing connection\r\n");
  await client.done;
  assert.equal(h.reception.last.discarded, 1);
});

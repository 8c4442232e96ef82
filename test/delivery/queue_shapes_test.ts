/** The queue inside the whole server, in both shapes, against another server on a loopback socket. */
import assert from "node:assert/strict";
import { FakeSmtpServer } from "../lib/fake_smtp_server.ts";
import { until } from "../lib/program.ts";
import { inBothShapes } from "../lib/running_server.ts";

const ALICE = "alice@example.test";

function relayTo(port: number) {
  return {
    captureOutbound: "",
    relay: [{
      senders: [],
      recipients: [],
      host: "127.0.0.1",
      port,
      tls: "opportunistic",
      username: "",
      passwordFile: "",
    }],
  } as const;
}

inBothShapes("a submitted message reaches the next hop", async (start) => {
  await using next = new FakeSmtpServer();
  await using server = await start({ config: relayTo(next.port) });
  const client = await server.submission();
  const message =
    `From: ${ALICE}\r\nDate: Mon, 23 Nov 2026 20:09:29 +0000\r\nMessage-ID: <a@b>\r\nSubject: on\r\n\r\n.dot\r\n`;
  const sent = await client.send(ALICE, ["x@elsewhere.test", "y@other.test"], message);
  assert.equal(sent.code, 250);
  await client.quit();
  await until("both to arrive", () => next.messages.flatMap(({ recipients }) => recipients).length === 2);
  for (const { sender, data } of next.messages) {
    assert.equal(sender, ALICE);
    assert.ok(data.endsWith("\r\n\r\n.dot\r\n"), data);
  }
  const recipients = next.messages.flatMap(({ recipients }) => recipients).toSorted();
  assert.deepEqual(recipients, ["x@elsewhere.test", "y@other.test"]);
});

inBothShapes("a refused recipient comes back as a bounce", async (start) => {
  await using next = new FakeSmtpServer({
    script: (command) => command.startsWith("RCPT") ? "550 5.1.1 no such user" : null,
  });
  await using server = await start({ config: relayTo(next.port) });
  const client = await server.submission();
  const sent = await client.send(ALICE, ["x@elsewhere.test"], `From: ${ALICE}\r\nSubject: on\r\n\r\nx\r\n`);
  assert.equal(sent.code, 250);
  await client.quit();
  const imap = await server.imap("alice");
  await imap.ok("SELECT INBOX");
  let text = "";
  await until("the bounce", async () => {
    const { untagged } = await imap.ok("UID FETCH 1:* (BODY.PEEK[])");
    text = untagged.map(({ literals }) => new TextDecoder().decode(literals[0])).join("");
    return text !== "";
  });
  await imap.logout();
  assert.match(text, /^Return-Path: <>\r\n/);
  assert.match(text, /^Diagnostic-Code: smtp; 550 5\.1\.1 no such user\r$/m);
});

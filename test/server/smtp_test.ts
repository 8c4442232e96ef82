/** The SMTP driver: delivery, backpressure, time, logins, TLS and the end of sessions. */
import assert from "node:assert/strict";
import { smtpTest } from "./smtp_harness.ts";

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
    trusted: false,
  });
});

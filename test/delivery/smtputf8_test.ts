/** RFC 6531 from MAIL to the next hop: taken, passed on as it is, and refused with its code where the hop cannot. */
import assert from "node:assert/strict";
import { InboundReception } from "../../delivery/inbound.ts";
import { isReply } from "../../delivery/reception.ts";
import { FakeSmtpServer } from "../lib/fake_smtp_server.ts";
import { until } from "../lib/program.ts";
import { QueueHarness, relayRule } from "./queue_harness.ts";
import { CONFIG, octetsOf, pathOf, ReceptionBed, STRANGER } from "./reception_bed.ts";

const MESSAGE = "From: <jürgen@xn--bcher-kva.example>\r\nSubject: größe\r\n\r\nbody\r\n";
const ASCII = "From: <alice@example.test>\r\nSubject: plain\r\n\r\nbody\r\n";

/** Sends through a reception of the harness's own store, as a trusted client. */
async function send(
  h: QueueHarness,
  mail: { from: string; to: string; message: string; smtputf8: boolean },
): Promise<string> {
  let ids = 0;
  const reception = new InboundReception({
    store: h.t.store,
    hostname: "mx.example.test",
    clock: Date.now,
    newId: () => `trace${++ids}`,
    config: CONFIG,
  });
  const transaction = reception.mail({ ...STRANGER, trusted: true }, {
    reversePath: pathOf(mail.from),
    parameters: {
      size: null,
      body: "8BITMIME",
      smtputf8: mail.smtputf8,
      ret: "",
      envelopeId: "",
      requireTls: false,
      hold: null,
      priority: null,
    },
  });
  if (isReply(transaction)) return `${transaction.code} ${transaction.enhanced}`;
  const recipient = await transaction.rcpt(pathOf(mail.to), { notify: "", originalRecipient: "" });
  if (recipient.code !== 250) return `${recipient.code} ${recipient.enhanced}`;
  assert.equal(transaction.begin(), null);
  const octets = new TextEncoder().encode(mail.message);
  await transaction.write(octets, 0, octets.length);
  return String((await transaction.finish()).code);
}

Deno.test("UTF-8 addresses go on to a hop that offers SMTPUTF8, octet for octet", async () => {
  await using next = new FakeSmtpServer({ extensions: ["8BITMIME", "SMTPUTF8"] });
  await using h = await QueueHarness.open({ rules: [relayRule(next.port)] });
  h.start();
  const mail = { from: "jürgen@else.example", to: "用户@例え.example", message: MESSAGE, smtputf8: true };
  assert.equal(await send(h, mail), "250");
  await h.empty();
  assert.equal(next.messages.length, 1);
  const commands = next.commands.map((line) => new TextDecoder().decode(octetsOf(line)));
  assert.ok(commands.includes("MAIL FROM:<jürgen@else.example> BODY=8BITMIME SMTPUTF8"), commands.join("\n"));
  assert.ok(commands.includes("RCPT TO:<用户@例え.example>"), commands.join("\n"));
  assert.ok(new TextDecoder().decode(octetsOf(next.messages[0]!.data)).includes("größe"));
});

Deno.test("a hop without SMTPUTF8 gets nothing, and the sender hears 5.6.7", async () => {
  await using next = new FakeSmtpServer({ extensions: ["8BITMIME"] });
  await using h = await QueueHarness.open({ rules: [relayRule(next.port)] });
  h.start();
  const mail = { from: "alice@example.test", to: "用户@例え.example", message: MESSAGE, smtputf8: true };
  assert.equal(await send(h, mail), "250");
  const [bounce] = await until("a bounce", () => h.inbox().length > 0 && h.inbox());
  assert.match(bounce!, /^Status: 5\.6\.7\r$/m);
  assert.match(bounce!, /^Final-Recipient: utf-8; /m);
  assert.deepEqual(next.messages, []);
  assert.ok(!next.commands.some((line) => line.startsWith("RCPT")));
});

Deno.test("a plain message that only said SMTPUTF8 passes an old hop, and an alias to a UTF-8 address does not", async () => {
  await using next = new FakeSmtpServer({ extensions: ["8BITMIME"] });
  await using h = await QueueHarness.open({ rules: [relayRule(next.port)] });
  await h.t.ok({ kind: "put-alias", address: "out@example.test", targets: ["用户@else.example"] });
  h.start();
  const plain = { from: "alice@example.test", to: "fred@else.example", message: ASCII, smtputf8: true };
  assert.equal(await send(h, plain), "250");
  await until("it to pass", () => next.messages.length === 1);
  assert.equal(await send(h, { ...plain, to: "out@example.test", smtputf8: false }), "250");
  const [bounce] = await until("a bounce", () => h.inbox().length > 0 && h.inbox());
  assert.match(bounce!, /^Status: 5\.6\.7\r$/m);
});

Deno.test("without SMTPUTF8 at MAIL a UTF-8 recipient is refused at once", async () => {
  const bed = await ReceptionBed.open();
  try {
    const { rcpt } = await bed.send({ to: ["jürgen@example.test"], message: "x\r\n" });
    assert.deepEqual([rcpt[0]!.code, rcpt[0]!.enhanced], [553, "5.6.7"]);
  } finally {
    await bed.close();
  }
});

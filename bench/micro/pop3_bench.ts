/** POP3: RETR of 4 kB from a real store, the list of a maildrop at login, LIST and UIDL, dot-stuffing. */
import { encode } from "../../bytes/decode.ts";
import { Out } from "../../bytes/out.ts";
import { Maildrop } from "../../protocols/pop3/maildrop.ts";
import { MultiLine } from "../../protocols/pop3/multi_line.ts";
import { DEFAULT_POP3_LIMITS, Pop3Session } from "../../protocols/pop3/session.ts";
import { MAILBOX_MECHANISMS } from "../../protocols/sasl/mechanisms.ts";
import { HeldMessages } from "../../server/pop3/held_messages.ts";
import { retrieve } from "../../server/pop3/retrieve.ts";
import { TestStore } from "../../test/lib/test_store.ts";

const COUNT = 2_000;
const LINE = "The quick brown fox jumps over the lazy dog, and once more. Then it rests.\r\n";
const PLAIN = `Subject: bench\r\n\r\n${LINE.repeat(52)}`;
const DOTTED = PLAIN.replace("The quick", ".he quick");
const PREFIX = encode("Return-Path: <sender@other.test>\r\nDelivered-To: alice@example.test\r\n");

const test = await TestStore.open();
addEventListener("unload", () => Deno.removeSync(test.folder.path, { recursive: true }));
const { store } = test;
const mailboxId = test.mailboxId("alice", "INBOX");
const target = { mailboxId, flags: 0, keywords: "", internalDate: 0, prefix: PREFIX };
await test.deliver(DOTTED, [mailboxId], target);
for (let filed = 1; filed < COUNT; filed += 100) {
  const content = await test.content(PLAIN);
  const targets = Array.from({ length: Math.min(100, COUNT - filed) }, () => target);
  await test.ok({ kind: "deliver", content, targets, queue: null });
}

const maildrop = new Maildrop(1);
const held = new HeldMessages(store.blobs);
await held.load(store, maildrop, { mailboxId, limit: COUNT });
const out = new Out();
const session = new Pop3Session({
  out,
  hostName: "mx.example.test",
  tlsActive: false,
  startTlsAvailable: false,
  plainLoginAllowed: true,
  mechanisms: MAILBOX_MECHANISMS,
  limits: DEFAULT_POP3_LIMITS,
  onReply: () => {},
});
session.feed(encode("USER a\r\nPASS b\r\n"));
session.next();
session.loggedIn(maildrop);
out.take();

function command(line: Uint8Array): void {
  session.feed(line);
  for (let event = session.next(); event.kind !== "need-input"; event = session.next()) {
    if (event.kind !== "retrieve") continue;
    const message = held.message(event.number, maildrop.sizeOctets(event.number));
    retrieve({ out, blobs: store.blobs, utf8: false, drain: () => Promise.resolve() }, message);
  }
  if (out.take().length === 0) throw new Error("no reply");
}

const RETR_PLAIN = encode("RETR 700\r\n");
const RETR_DOTTED = encode("RETR 1\r\n");
const LIST = encode("LIST\r\n");
const UIDL = encode("UIDL\r\n");
const STAT = encode("STAT\r\n");

Deno.bench("RETR, 4 kB", () => command(RETR_PLAIN));
Deno.bench("RETR, 4 kB with a line to stuff", () => command(RETR_DOTTED));
Deno.bench("STAT", () => command(STAT));
Deno.bench(`LIST, ${COUNT} messages`, () => command(LIST));
Deno.bench(`UIDL, ${COUNT} messages`, () => command(UIDL));
Deno.bench(`maildrop of ${COUNT} messages at login`, async () => {
  await new HeldMessages(store.blobs).load(store, new Maildrop(1), { mailboxId, limit: COUNT + 1 });
});

const octets = encode(PLAIN);
Deno.bench("dot-stuffing, 4 kB", () => {
  const body = new MultiLine(out);
  body.write(octets, 0, octets.length);
  body.end();
  out.take();
});

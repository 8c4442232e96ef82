/** Trace fields, octet by octet. */
import { deepStrictEqual as equal, ok } from "node:assert";
import fc from "fast-check";
import { scanFields } from "../../message/header.ts";
import type { ClientFacts } from "../../delivery/reception.ts";
import { copyPrefix, protocolName, receivedField } from "../../delivery/trace.ts";
import type { Account } from "../../storage/directory_view.ts";
import { NOW, pathOf, STRANGER } from "./reception_bed.ts";

const ACCOUNT = { id: 1 } as Account;
const TLS = { protocol: "TLSv1.3", cipher: "TLS_AES_256_GCM_SHA384" };

function received(client: Partial<ClientFacts>, to: string | null, smtputf8 = false): string {
  return new TextDecoder().decode(receivedField({
    client: { ...STRANGER, ...client },
    hostname: "mx.example.test",
    traceId: "01k0abcdefghjkmn",
    smtputf8,
    recipient: to === null ? null : pathOf(to),
    receivedAt: NOW,
  }));
}

Deno.test("Received with TLS facts and the only recipient", () => {
  equal(
    received({ tls: TLS }, "bob@example.test"),
    "Received: from client.example ([192.0.2.1])\r\n" +
      "\tby mx.example.test with ESMTPS (TLSv1.3 TLS_AES_256_GCM_SHA384)\r\n" +
      "\tid 01k0abcdefghjkmn for <bob@example.test>; Mon, 23 Nov 2026 20:09:29 +0000\r\n",
  );
});

Deno.test("Received without recipient, over IPv6, by HELO", () => {
  equal(
    received({ address: "2001:db8::1", esmtp: false, heloName: "[IPv6:2001:db8::1]" }, null),
    "Received: from [IPv6:2001:db8::1] ([IPv6:2001:db8::1])\r\n" +
      "\tby mx.example.test with SMTP id 01k0abcdefghjkmn;\r\n" +
      "\tMon, 23 Nov 2026 20:09:29 +0000\r\n",
  );
});

Deno.test("TLS facts that the carrier cannot tell are left out", () => {
  ok(/with ESMTPS\s+id/.test(received({ tls: { protocol: null, cipher: null } }, null)));
  ok(received({ tls: { protocol: "TLSv1.2", cipher: null } }, null).includes("with ESMTPS (TLSv1.2)"));
});

Deno.test("protocol names of RFC 3848 and RFC 6531", () => {
  const names = [false, true].flatMap((smtputf8) =>
    [null, ACCOUNT].flatMap((account) =>
      [null, TLS].map((tls) => protocolName({ ...STRANGER, account, tls }, smtputf8))
    )
  );
  equal(names, [
    "ESMTP",
    "ESMTPS",
    "ESMTPA",
    "ESMTPSA",
    "UTF8SMTP",
    "UTF8SMTPS",
    "UTF8SMTPA",
    "UTF8SMTPSA",
  ]);
  equal(protocolName({ ...STRANGER, esmtp: false, tls: TLS }, false), "SMTP");
});

Deno.test("a HELO name cannot say more than a name", () => {
  const from = (heloName: string) => received({ heloName }, null).split("\r\n")[0]!.split(" (")[0];
  equal(from("a_b.example"), "Received: from a_b.example");
  equal(from("x;(evil)"), "Received: from x--evil-");
  equal(from("[1.2.3.4]x"), "Received: from -1.2.3.4-x");
  equal(from("büro.example"), "Received: from b-ro.example");
  equal(from(""), "Received: from unknown");
});

Deno.test("property: whatever is said of the client, Received is one field of lines under 998 octets", () => {
  const words = fc.string({ unit: "binary", maxLength: 255 });
  fc.assert(
    fc.property(words, fc.string({ minLength: 1, maxLength: 64 }), fc.boolean(), (heloName, local, utf8) => {
      const octets = receivedField({
        client: { ...STRANGER, heloName, tls: TLS },
        hostname: "mx.example.test",
        traceId: "01k0abcdefghjkmn",
        smtputf8: utf8,
        recipient: { localPart: local, domain: "example.test", international: false },
        receivedAt: NOW,
      });
      const fields = scanFields(octets, 0, octets.length);
      equal(fields.map(({ name, start, end }) => [name, start, end]), [["received", 0, octets.length]]);
      const lines = new TextDecoder().decode(octets).split("\r\n");
      equal(lines.pop(), "");
      ok(lines.every((text) => new TextEncoder().encode(text).length <= 998 && !/[\r\n]/.test(text)));
    }),
  );
});

Deno.test("the prefix of a copy", () => {
  const prefix = (sender: string, ...to: string[]) => new TextDecoder().decode(copyPrefix(sender, to));
  equal(prefix("", "a@example.test"), "Return-Path: <>\r\nDelivered-To: a@example.test\r\n");
  equal(
    prefix("jürgen@example.test", "a@example.test", "b@c.example"),
    "Return-Path: <jürgen@example.test>\r\nDelivered-To: a@example.test\r\nDelivered-To: b@c.example\r\n",
  );
});

Deno.test("where a login sits is not said where the operator hides it; of strangers it always is", () => {
  const hidden = (account: Account | null) =>
    new TextDecoder().decode(receivedField({
      client: { ...STRANGER, account, service: "submission", tls: TLS },
      hostname: "mx.example.test",
      traceId: "01k0abcdefghjkmn",
      smtputf8: false,
      recipient: null,
      receivedAt: NOW,
      hideLogin: true,
    }));
  equal(
    hidden(ACCOUNT),
    "Received: by mx.example.test with ESMTPSA (TLSv1.3 TLS_AES_256_GCM_SHA384)\r\n" +
      "\tid 01k0abcdefghjkmn; Mon, 23 Nov 2026 20:09:29 +0000\r\n",
  );
  ok(hidden(null).startsWith("Received: from client.example ([192.0.2.1])"));
});

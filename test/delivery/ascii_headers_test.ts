/** Headers in UTF-8 for servers without SMTPUTF8: what is said in ASCII, what is returned, and what stays unchanged. RFC 6531 3.2 */
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { encode, encodeLatin1, latin1 } from "../../bytes/decode.ts";
import { DkimVerifier } from "../../mailauth/dkim_verify.ts";
import { FactsBuilder } from "../../message/facts.ts";
import type { QueueEntry } from "../../storage/ops.ts";
import { FakeSmtpServer } from "../lib/fake_smtp_server.ts";
import { MockResolver, txt } from "../lib/mock_resolver.ts";
import { type HarnessOptions, QueueHarness, relayRule } from "./queue_harness.ts";

const OLD = ["PIPELINING", "8BITMIME"];
const JOERG = "j\u00f6rg@one.test";
const LETTER =
  "From: =?UTF-8?Q?J=C3=B6rg?= S\u00f6hne <alice@example.test>\r\nTo: B\u00fccher <info@b\u00fccher.test>, Ben\r\n" +
  " <ben@one.test>\r\nSubject: Gr\u00fc\u00dfe aus K\u00f6ln\r\nX-Plain: stays  as it is\r\nMIME-Version: 1.0\r\n" +
  'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n' +
  "Content-Transfer-Encoding: 8bit\r\n\r\nGr\u00fc\u00dfe\r\n--b\r\nContent-Type: application/pdf\r\n" +
  'Content-Disposition: attachment; filename="B\u00fcro.pdf"\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n--b--\r\n';

interface Sent {
  readonly data: string | undefined;
  readonly mail: string | undefined;
  readonly recipients: readonly string[];
  readonly inbox: readonly string[];
}

async function send(
  text: string,
  { to = ["ben@one.test"], entry = {}, extensions = OLD, options = {}, prepare }: {
    readonly to?: readonly string[];
    readonly entry?: Partial<QueueEntry>;
    readonly extensions?: readonly string[];
    readonly options?: HarnessOptions["options"];
    readonly prepare?: (queue: QueueHarness) => Promise<unknown>;
  } = {},
): Promise<Sent> {
  await using next = new FakeSmtpServer({ extensions });
  await using queue = await QueueHarness.open({ rules: [relayRule(next.port)], ...(options && { options }) });
  await prepare?.(queue);
  queue.start();
  await queue.submit({ to, text, entry: { smtputf8: true, eightBit: true, ...entry } });
  await queue.empty();
  return {
    data: next.messages[0]?.data,
    mail: next.commands.find((command) => command.startsWith("MAIL")),
    recipients: next.messages.flatMap(({ recipients }) => recipients),
    inbox: queue.inbox(),
  };
}

/** It came back with 5.6.7 and these words, and nothing was sent. */
function returned({ data, inbox }: Sent, why: RegExp): void {
  assert.equal(data, undefined);
  assert.match(inbox[0]!, /^Status: 5\.6\.7\r$/m);
  assert.match(inbox[0]!, why);
}

Deno.test("what a login submitted is said in ASCII: texts, names, domains, parameters of parts; the rest octet for octet", async () => {
  const { data, mail, inbox } = await send(LETTER);
  assert.deepEqual(inbox, []);
  assert.doesNotMatch(mail!, /SMTPUTF8/);
  assert.match(mail!, / BODY=8BITMIME$/);
  const [header, ...bodies] = data!.split("\r\n\r\n");
  assert.ok(/^[\x20-\x7e\t\r\n]*$/.test(header!), header);
  assert.match(header!, /^X-Plain: stays {2}as it is\r$/m);
  assert.match(header!, /<info@xn--bcher-kva\.test>/);
  assert.match(
    bodies.join("\r\n\r\n"),
    /filename\*=UTF-8''B%C3%BCro\.pdf\r\nContent-Transfer-Encoding: base64\r\n/,
  );
  assert.ok(bodies.join("\r\n\r\n").includes(`8bit\r\n\r\n${latin1(encode("Gr\u00fc\u00dfe"))}\r\n--b\r\n`));
  const facts = new FactsBuilder();
  facts.push(encodeLatin1(data!));
  const { subject, from } = facts.finish();
  assert.deepEqual([subject, from], [
    "Gr\u00fc\u00dfe aus K\u00f6ln",
    "J\u00f6rg S\u00f6hne <alice@example.test>",
  ]);
});

Deno.test("a server that offers SMTPUTF8 gets it unchanged, also where only a part's header needs it", async () => {
  const offered = [...OLD, "SMTPUTF8"];
  const whole = await send(LETTER, { extensions: offered });
  assert.equal(whole.data, latin1(encode(LETTER)));
  assert.match(whole.mail!, / SMTPUTF8$/);
  const parts = LETTER.slice(LETTER.indexOf("MIME-Version"));
  assert.match((await send(parts, { extensions: offered })).mail!, / SMTPUTF8$/);
  const plain = await send("Subject: x\r\n\r\nGr\u00fc\u00dfe\r\n", { extensions: offered });
  assert.doesNotMatch(plain.mail!, /SMTPUTF8/);
  const converted = await send(parts);
  assert.match(converted.data!, /filename\*=UTF-8''B%C3%BCro\.pdf/);
});

Deno.test("the operator may have all of it returned; what strangers hand over is returned in any case", async () => {
  returned(await send(LETTER, { options: { utf8Headers: "return" } }), /the message needs SMTPUTF8, which/);
  await using next = new FakeSmtpServer({ extensions: OLD });
  await using queue = await QueueHarness.open({ rules: [relayRule(next.port)] });
  queue.start();
  const entry = { smtputf8: true, eightBit: true, accountId: null };
  await queue.submit({ to: ["ben@one.test"], text: LETTER, entry });
  await queue.empty();
  returned(
    { data: next.messages[0]?.data, mail: undefined, recipients: [], inbox: queue.inbox() },
    /the message needs/,
  );
});

Deno.test("what cannot be said in ASCII is returned, and its sender is told what it is", async () => {
  const table: readonly [string, RegExp][] = [
    [`From: <alice@example.test>\r\nCc: ${JOERG}\r\n`, /the header field Cc needs SMTPUTF8, which/],
    ["Subject: x\r\nMessage-ID: <\u00fc@x.test>\r\n", /the header field Message-ID needs/],
    [
      "Subject: x\r\nList-Unsubscribe: <https://b\u00fccher.test/>\r\n",
      /the header field List-Unsubscribe needs/,
    ],
    ["Subject: x\r\n\u00dcber: x\r\n", /needs SMTPUTF8, which/],
  ];
  for (const [header, why] of table) returned(await send(`${header}\r\nbody\r\n`), why);
});

Deno.test("nothing changes that others signed", async () => {
  const signature = (h: string) =>
    `DKIM-Signature: v=1; a=rsa-sha256; d=far.test; s=s; h=${h}; bh=AAAA; b=AAAA\r\n`;
  const letter = "From: <alice@example.test>\r\nSubject: Gr\u00fc\u00dfe\r\n\r\nbody\r\n";
  returned(
    await send(signature("from:subject") + letter),
    /what the signature of far\.test covers \(subject\) needs/,
  );
  const kept = await send(signature("from:date") + letter);
  assert.ok(kept.data!.startsWith(signature("from:date")), kept.data);
  returned(
    await send(signature("from:date") + LETTER.replace(/^.*?(?=MIME-Version)/s, "")),
    /covers \(the body\) needs/,
  );
  const signed = LETTER.replace("multipart/mixed", "multipart/signed");
  returned(await send(signed), /the header of a part that is signed needs SMTPUTF8/);
});

Deno.test("what was ours to sign is signed anew, and our verifier takes it", async () => {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const spki = publicKey.export({ format: "der", type: "spki" });
  const dns = new MockResolver({
    "e1._domainkey.example.test TXT": [txt(`v=DKIM1; k=ed25519; p=${spki.subarray(12).toString("base64")}`)],
  });
  const ours =
    "DKIM-Signature: v=1; a=ed25519-sha256; d=example.test; s=e1; h=from:subject; bh=AAAA; b=AAAA\r\n";
  const { data } = await send(ours + LETTER, {
    prepare: ({ t }) =>
      t.ok({
        kind: "put-dkim-key",
        key: {
          ...{
            domain: "example.test",
            selector: "e1",
            kind: "ed25519",
            publicKey: "unused",
            state: "signing",
          },
          privateKey: privateKey.export({ format: "pem", type: "pkcs8" }).toString(),
        },
      }),
  });
  assert.equal(data!.match(/^DKIM-Signature:/gm)?.length, 1);
  const octets = encodeLatin1(data!), bodyAt = data!.indexOf("\r\n\r\n") + 4;
  const verifier = new DkimVerifier(octets.subarray(0, bodyAt - 2));
  verifier.write(octets, bodyAt, octets.length);
  assert.deepEqual(
    (await verifier.finish(dns, Date.now())).map(({ result, domain }) => `${result} ${domain}`),
    [
      "pass example.test",
    ],
  );
});

Deno.test("addresses in UTF-8 come back, those in ASCII beside them get their mail", async () => {
  const { recipients, data, inbox } = await send(LETTER, {
    to: [JOERG, "ben@one.test", "info@b\u00fccher.test"],
  });
  assert.ok(data !== undefined);
  assert.deepEqual([...recipients].sort(), ["ben@one.test", "info@xn--bcher-kva.test"]);
  assert.equal(inbox.length, 1);
  assert.match(inbox[0]!, new RegExp(`^Final-Recipient: utf-8; ${JOERG}\\r$`, "m"));
  assert.match(inbox[0]!, /^Status: 5\.6\.7\r$/m);
  const { data: none } = await send(LETTER, { entry: { sender: JOERG, accountId: null } });
  assert.equal(none, undefined, "and who has such an address cannot be told either");
});

Deno.test("where 8BITMIME is missing as well its rule counts too", async () => {
  const seven = await send(LETTER, { extensions: [], options: { eightBit: "convert" } });
  assert.ok(/^[\x20-\x7e\t\r\n]*$/.test(seven.data!), seven.data);
  assert.doesNotMatch(seven.mail!, /BODY/);
  const sent = await send(LETTER, { extensions: [] });
  assert.ok(sent.data!.includes(latin1(encode("Gr\u00fc\u00dfe"))));
  const refused = await send(LETTER, { extensions: [], options: { eightBit: "refuse" } });
  assert.equal(refused.data, undefined);
  assert.match(refused.inbox[0]!, /^Status: 5\.6\.3\r$/m);
});

/** Mail that leaves is signed by RSA and Ed25519, submitted mail as 7-bit; what we sign, our verifier takes. */
import assert from "node:assert/strict";
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { Chain } from "../../filter/chain.ts";
import { SessionScreen } from "../../filter/screen.ts";
import { prepareOwnMail } from "../../delivery/post.ts";
import { RecipientResolver } from "../../delivery/recipients.ts";
import { DkimVerifier } from "../../mailauth/dkim_verify.ts";
import type { WriteOp } from "../../storage/ops.ts";
import { MockResolver, txt } from "../lib/mock_resolver.ts";
import { CHANGER, NOW, octetsOf, ReceptionBed, STRANGER } from "./reception_bed.ts";

const RSA = generateKeyPairSync("rsa", { modulusLength: 2048 });
const ED = generateKeyPairSync("ed25519");
const DNS = new MockResolver({
  "r1._domainkey.example.test TXT": [txt(`v=DKIM1; p=${spki(RSA.publicKey).toString("base64")}`)],
  "e1._domainkey.example.test TXT": [
    txt(`v=DKIM1; k=ed25519; p=${spki(ED.publicKey).subarray(12).toString("base64")}`),
  ],
});

function spki(key: KeyObject) {
  return key.export({ format: "der", type: "spki" });
}

function keyOp(selector: string, kind: "rsa" | "ed25519", state: "waiting" | "signing" = "signing"): WriteOp {
  const { privateKey } = kind === "rsa" ? RSA : ED;
  return {
    kind: "put-dkim-key",
    key: {
      ...{ domain: "example.test", selector, kind, publicKey: "unused", state },
      privateKey: privateKey.export({ format: "pem", type: "pkcs8" }).toString(),
    },
  };
}

async function verify(message: string): Promise<string[]> {
  const octets = octetsOf(message);
  const bodyAt = message.indexOf("\r\n\r\n") + 4;
  const verifier = new DkimVerifier(octets.subarray(0, bodyAt - 2));
  verifier.write(octets, bodyAt, octets.length);
  return (await verifier.finish(DNS, NOW)).map(({ algorithm, domain, result, text }) =>
    `${algorithm} ${domain} ${result} ${text}`.trim()
  );
}

const BOTH = ["rsa-sha256 example.test pass", "ed25519-sha256 example.test pass"];
const letter = (body: string, more = "") =>
  `From: Alice <alice@example.test>\r\nTo: far@away.test\r\nSubject: hello\r\n${more}\r\n${body}`;

async function submitted(bed: ReceptionBed, message: string, from = "alice@example.test"): Promise<string> {
  const { data } = await bed.send({ client: bed.login("alice"), from, to: ["far@away.test"], message });
  assert.equal(data?.code, 250);
  return bed.queuedOctets(bed.queued().at(-1)!);
}

Deno.test("submitted mail is signed twice at acceptance, after it was made 7-bit", async () => {
  const bed = await ReceptionBed.open();
  try {
    assert.deepEqual(
      await verify(await submitted(bed, letter("Hi\r\n"))),
      [],
      "without keys nothing is signed",
    );
    await bed.ok(keyOp("r1", "rsa"), keyOp("e1", "ed25519"), keyOp("r2", "rsa", "waiting"));
    assert.deepEqual(await verify(await submitted(bed, letter("Hi  there\r\n\r\n"))), BOTH);
    const eight =
      "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n";
    const mended = await submitted(bed, letter(`Gr\xc3\xbc\xc3\x9fe${" and more".repeat(9)}\r\n`, eight));
    assert.match(mended, /Gr=C3=BC=C3=9Fe and more/);
    assert.deepEqual(await verify(mended), BOTH);
    // Inside multipart/signed nothing may change.
    const inner = 'MIME-Version: 1.0\r\nContent-Type: multipart/signed; boundary="b"\r\n';
    const kept = await submitted(bed, letter("--b\r\n\r\nGr\xc3\xbc\r\n--b--\r\n", inner));
    assert.match(kept, /Gr\xc3\xbc/);
    assert.deepEqual(await verify(kept), BOTH);
    // A second one of these breaks the signature: they are oversigned, present or not.
    for (const name of ["From", "To", "Subject", "Date", "Message-ID", "Cc", "Reply-To"]) {
      const spoofed = kept.replace("From: Alice", `${name}: <evil@evil.test>\r\nFrom: Alice`);
      const results = await verify(spoofed);
      assert.ok(results.length === 2 && results.every((one) => one.includes(" fail ")), name);
    }
    const unsubscribe = "List-Unsubscribe: <https://example.test/off>\r\n" +
      "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n";
    const list = await submitted(bed, letter("Hi\r\n", unsubscribe));
    assert.deepEqual(await verify(list), BOTH);
    for (const [from, to] of [["/off>", "/other>"], ["=One-Click", "=Other"]] as const) {
      assert.ok((await verify(list.replace(from, to))).every((one) => one.includes(" fail ")), from);
    }
  } finally {
    await bed.close();
  }
});

Deno.test("what a check changes is signed behind it", async () => {
  const bed = await ReceptionBed.open();
  try {
    await bed.ok(keyOp("r1", "rsa"), keyOp("e1", "ed25519"));
    const chain = new Chain([CHANGER]);
    const screen = new SessionScreen({ strangers: chain, logins: chain });
    const { data } = await bed.send({
      client: { ...bed.login("alice"), screen },
      ...{ from: "alice@example.test", to: ["far@away.test"], message: letter("Hi\r\n") },
    });
    assert.equal(data?.code, 250);
    const sent = bed.queuedOctets(bed.queued().at(-1)!);
    assert.match(sent, /^subject: changed\r$/im);
    assert.match(sent, /\r\n\r\nAnother body\r\n$/);
    assert.deepEqual(await verify(sent), BOTH);
  } finally {
    await bed.close();
  }
});

Deno.test("mail of a trusted network is signed as it came; that of others' domains is not", async () => {
  const bed = await ReceptionBed.open();
  try {
    await bed.ok(keyOp("r1", "rsa"), keyOp("e1", "ed25519"));
    const client = { ...STRANGER, trusted: true };
    const send = async (message: string) => {
      await bed.send({ client, from: "x@example.test", to: ["far@away.test"], message });
      return bed.queuedOctets(bed.queued().at(-1)!);
    };
    assert.deepEqual(await verify(await send(letter("Gr\xc3\xbc\xc3\x9fe\r\n"))), BOTH);
    assert.deepEqual(
      await verify(await send(letter("Hi\r\n").replace("alice@example.test", "a@sub.example.test"))),
      BOTH,
    );
    assert.deepEqual(
      await verify(await send(letter("Hi\r\n").replace("alice@example.test", "a@other.test"))),
      [],
    );
  } finally {
    await bed.close();
  }
});

Deno.test("a report of success that goes to a stranger is signed", async () => {
  const bed = await ReceptionBed.open();
  try {
    await bed.ok(keyOp("r1", "rsa"), keyOp("e1", "ed25519"));
    const rcpt = { notify: "SUCCESS" };
    await bed.send({ from: "far@away.test", to: ["bob@example.test"], message: letter("Hi\r\n"), rcpt });
    const [report] = bed.queued();
    assert.deepEqual([report?.sender, report?.recipient], ["", "far@away.test"]);
    const octets = bed.queuedOctets(report!);
    assert.match(octets, /^Content-Type: multipart\/report;/m);
    assert.deepEqual(await verify(octets), BOTH);
  } finally {
    await bed.close();
  }
});

Deno.test("our own mail that leaves is signed too", async () => {
  const bed = await ReceptionBed.open();
  try {
    await bed.ok(keyOp("r1", "rsa"), keyOp("e1", "ed25519"));
    const { store } = bed.test;
    const post = {
      ...{ store, clock: () => NOW, newId: () => "own", queueLifetimeMs: 1_000, bounceLifetimeMs: 1_000 },
      resolver: new RecipientResolver({
        ...{ directory: store.directory, mailboxes: store.mailboxes, access: store.access },
        hostname: "mx.example.test",
        ...{ ownAddresses: [], captureOutbound: "", clock: () => NOW },
      }),
    };
    const octets = octetsOf(letter("Undelivered\r\n").replace("alice@", "mailer-daemon@mx."));
    const prepared = await prepareOwnMail(post, { octets, sender: "", recipients: ["far@away.test"] });
    assert.ok("operation" in prepared);
    await bed.ok(prepared.operation);
    assert.deepEqual(await verify(bed.queuedOctets(bed.queued().at(-1)!)), BOTH);
  } finally {
    await bed.close();
  }
});

/** ARC: every result of the public validation suite, and chains of our own seals. */
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { fileURLToPath } from "node:url";
import { parseAllDocuments } from "yaml";
import { ArcVerifier } from "../../mailauth/arc.ts";
import { sealedResult, sealHeader } from "../../mailauth/arc_seal.ts";
import { BodyHash } from "../../mailauth/dkim_canonical.ts";
import type { SigningKey } from "../../mailauth/sign_octets.ts";
import { MockResolver, txt } from "../lib/mock_resolver.ts";

const VECTORS = fileURLToPath(
  new URL("../../../shared/vectors/arc/arc-draft-validation-tests.yml", import.meta.url),
);

interface Suite {
  readonly description: string;
  readonly tests: Record<string, { readonly message: string; readonly cv: string }>;
  readonly "txt-records": Record<string, string>;
}

function octetsOf(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

function verifier(message: string): ArcVerifier {
  const bytes = octetsOf(message);
  const headerEnd = message.startsWith("\r\n") ? 0 : message.indexOf("\r\n\r\n") + 2 || bytes.length;
  const arc = new ArcVerifier(bytes.subarray(0, headerEnd));
  arc.write(bytes, Math.min(bytes.length, headerEnd + 2), bytes.length);
  return arc;
}

let text: string | null = null;
try {
  text = await Deno.readTextFile(VECTORS);
} catch (error) {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
  console.log("the public ARC suite is skipped: ../shared/vectors is not there");
}

for (const document of text === null ? [] : parseAllDocuments(text, { uniqueKeys: false })) {
  const suite = document.toJS() as Suite;
  const resolver = new MockResolver(Object.fromEntries(
    Object.entries(suite["txt-records"]).map(([name, value]) => [`${name.toLowerCase()} TXT`, [txt(value)]]),
  ));
  for (const [name, test] of Object.entries(suite.tests)) {
    Deno.test(`ARC suite: ${suite.description}: ${name}`, async () => {
      const { result, text: why } = await verifier(test.message.replace(/\r?\n/g, "\r\n")).finish(resolver);
      // Three messages have no expected state: too many sets, or none. They must not pass.
      if (test.cv.trim() === "") assert.notEqual(result, "pass");
      else assert.equal(result, test.cv.trim().toLowerCase(), why);
    });
  }
}

const RSA = generateKeyPairSync("rsa", { modulusLength: 2048 });
const ED = generateKeyPairSync("ed25519");
const OURS: SigningKey = { domain: "list.test", selector: "s1", kind: "rsa", key: RSA.privateKey };
const THEIRS: SigningKey = { domain: "fwd.test", selector: "e1", kind: "ed25519", key: ED.privateKey };
const KEYS = new MockResolver({
  "s1._domainkey.list.test TXT": [
    txt(`v=DKIM1; p=${RSA.publicKey.export({ format: "der", type: "spki" }).toString("base64")}`),
  ],
  "e1._domainkey.fwd.test TXT": [txt(
    `v=DKIM1; k=ed25519; p=${
      ED.publicKey.export({ format: "der", type: "spki" }).subarray(12).toString("base64")
    }`,
  )],
});
const LETTER = "From: a@a.test\r\nTo: l@list.test\r\nSubject: hi\r\n\r\nHello  all\r\n";

async function sealed(message: string, key: SigningKey): Promise<string | null> {
  const bytes = octetsOf(message);
  const headerEnd = message.indexOf("\r\n\r\n") + 2;
  const body = new BodyHash("relaxed", { algorithm: "sha256", limit: null });
  body.write(bytes, headerEnd + 2, bytes.length);
  const seal = await sealHeader({
    header: bytes.subarray(0, headerEnd),
    bodyHash: body.digest(),
    chain: await verifier(message).finish(KEYS),
    results: `${key.domain}; dmarc=pass (p=none) header.from=a.test`,
    key,
    now: Date.UTC(2026, 0, 1),
  });
  return seal === null ? null : seal + message;
}

Deno.test("chains of our own seals pass, by both kinds of key, and show what the first hop saw", async () => {
  const one = (await sealed(LETTER, OURS))!;
  for (const line of one.split("\r\n")) assert.ok(line.length <= 100, line);
  assert.equal((await verifier(one).finish(KEYS)).result, "pass");
  const two = (await sealed(`Received: from x\r\n${one}`, THEIRS))!;
  const result = await verifier(two).finish(KEYS);
  assert.equal(result.result, "pass", result.text);
  assert.equal(result.sets.length, 2);
  assert.equal(sealedResult(result.sets, "dmarc"), "pass");
  assert.equal(sealedResult(result.sets, "spf"), null);
  // Changed after the last seal: the chain fails, is sealed as failed once, and then no more.
  const changed = two.replace("Hello  all", "Goodbye");
  assert.equal((await verifier(changed).finish(KEYS)).result, "fail");
  const failed = (await sealed(changed, OURS))!;
  assert.match(failed, /^ARC-Seal: i=3; a=rsa-sha256; cv=fail;/);
  assert.equal((await verifier(failed).finish(KEYS)).result, "fail");
  assert.equal(await sealed(failed, OURS), null);
});

Deno.test("a resolver without answers is no broken chain, and nothing is sealed then", async () => {
  const one = (await sealed(LETTER, OURS))!;
  const down = new MockResolver({ "s1._domainkey.list.test TXT": "timeout" });
  const chain = await verifier(one).finish(down);
  assert.equal(chain.result, "temperror");
  const header = octetsOf(one.slice(0, one.indexOf("\r\n\r\n") + 2));
  assert.equal(
    await sealHeader({ header, bodyHash: new Uint8Array(32), chain, results: "x; none", key: OURS, now: 0 }),
    null,
  );
});

Deno.test("more sets than the limit are no chain", async () => {
  const field = (name: string, at: number) => `${name}: i=${at}; a=rsa-sha256\r\n`;
  let header = "";
  for (let at = 1; at <= 60; at++) {
    header += field("ARC-Seal", at) + field("ARC-Message-Signature", at) +
      field("ARC-Authentication-Results", at);
  }
  assert.equal((await verifier(`${header}${LETTER}`).finish(KEYS)).result, "fail");
});

/** DKIM: the RFC's own examples, canonical forms at every split, keys, limits, and what we sign ourselves. */
import assert from "node:assert/strict";
import { createHash, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import type { RecordData } from "../../dns/rdata.ts";
import { BodyHash, canonicalField } from "../../mailauth/dkim_canonical.ts";
import { parseKey } from "../../mailauth/dkim_key.ts";
import { signHeader } from "../../mailauth/dkim_sign.ts";
import { signText } from "../../mailauth/sign_octets.ts";
import { parseSignature, withoutSignature } from "../../mailauth/dkim_signature.ts";
import { type DkimResult, DkimVerifier, MAX_SIGNATURES } from "../../mailauth/dkim_verify.ts";
import { SenderCheck } from "../../mailauth/sender_check.ts";
import { MockResolver } from "../lib/mock_resolver.ts";

const VECTORS = fileURLToPath(new URL("../../../shared/vectors/dkim/", import.meta.url));
const NOW = Date.UTC(2020, 0, 1);

function txt(text: string): RecordData[] {
  return [{ type: "TXT", strings: [new TextEncoder().encode(text)] }];
}

function octetsOf(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

async function verify(message: string, resolver: MockResolver, now = NOW): Promise<DkimResult[]> {
  const bytes = octetsOf(message);
  const end = message.startsWith("\r\n") ? 0 : message.indexOf("\r\n\r\n") + 2;
  const verifier = new DkimVerifier(bytes.subarray(0, end));
  verifier.write(bytes, end + 2, bytes.length);
  return await verifier.finish(resolver, now);
}

function plainRelaxed(body: string): string {
  const lines = body.split("\r\n").map((line) => line.replace(/[ \t]+/g, " ").replace(/ $/, ""));
  while (lines.length > 0 && lines.at(-1) === "") lines.pop();
  return lines.length === 0 ? "" : lines.join("\r\n") + "\r\n";
}

function plainSimple(body: string): string {
  return body.replace(/(\r\n)*$/, "") + "\r\n";
}

Deno.test("canonical bodies are those of the definition, however they are cut", () => {
  const piece = fc.constantFrom("a", " ", "\t", "\r\n", "\r\n", "\r", "\n", "bc");
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), fc.array(fc.nat(20)), (pieces, cuts) => {
      const body = pieces.join("");
      const bytes = octetsOf(body);
      for (const [form, plain] of [["relaxed", plainRelaxed], ["simple", plainSimple]] as const) {
        const hash = new BodyHash(form, { algorithm: "sha256", limit: null });
        let at = 0;
        for (const cut of [...cuts, bytes.length]) {
          const to = Math.min(bytes.length, at + cut);
          hash.write(bytes, at, to);
          at = to;
        }
        hash.write(bytes, at, bytes.length);
        const expected = createHash("sha256").update(octetsOf(plain(body))).digest();
        assert.deepEqual(
          new Uint8Array(hash.digest()),
          new Uint8Array(expected),
          JSON.stringify([form, body]),
        );
      }
    }),
    { numRuns: 3_000, seed: 1 },
  );
});

Deno.test("canonical header fields: the example of RFC 6376 3.4.5", () => {
  assert.equal(canonicalField("A: X\r\n", "relaxed"), "a:X\r\n");
  assert.equal(canonicalField("B : Y\t\r\n\tZ  \r\n", "relaxed"), "b:Y Z\r\n");
  assert.equal(canonicalField("B : Y\t\r\n\tZ  \r\n", "simple"), "B : Y\t\r\n\tZ  \r\n");
});

Deno.test("the value of b= alone is taken out", () => {
  assert.equal(withoutSignature("X: a=1; b=abc; bh=b=\r\n"), "X: a=1; b=; bh=b=\r\n");
  assert.equal(withoutSignature("X: bh=q=; b=ab\r\n cd\r\n"), "X: bh=q=; b=\r\n");
  assert.equal(withoutSignature("X: b = ab ; c=d\r\n"), "X: b =; c=d\r\n");
});

let examples = true;
try {
  await Deno.stat(VECTORS);
} catch (error) {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
  examples = false;
  console.log("the public DKIM messages are skipped: ../shared/vectors is not there");
}

Deno.test({
  name: "the signed examples of RFC 6376 and RFC 8463 verify, and changed ones do not",
  ignore: !examples,
  fn: async () => {
    const message = (await Deno.readTextFile(`${VECTORS}rfc6376.signed.msg`)).replace(/\r?\n/g, "\r\n");
    const resolver = new MockResolver({
      "brisbane._domainkey.football.example.com TXT": txt(
        "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
      ),
      "test._domainkey.football.example.com TXT": txt(
        "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQi" +
          "Y/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3" +
          "Ip3G+2kryOTIKT+l/K4w3QIDAQAB",
      ),
    });
    const results = await verify(message, resolver);
    assert.deepEqual(results.map(({ result, algorithm }) => [algorithm, result]), [
      ["ed25519-sha256", "pass"],
      ["rsa-sha256", "pass"],
    ]);
    const body = await verify(message.replace("hungry", "Hungry"), resolver);
    assert.deepEqual(body.map(({ result, text }) => [result, text]), [
      ["fail", "the body was changed"],
      ["fail", "the body was changed"],
    ]);
    const header = await verify(message.replace("Is dinner", "Is lunch"), resolver);
    assert.deepEqual(header.map(({ result }) => result), ["fail", "fail"]);
    const spare = await verify(message.replace("From: Joe", "From: evil@example.org\r\nFrom: Joe"), resolver);
    assert.deepEqual(spare.map(({ result }) => result), ["fail", "fail"], "a second From is signed against");
  },
});

const RSA = generateKeyPairSync("rsa", { modulusLength: 2048 });
const ED = generateKeyPairSync("ed25519");
const RSA_TEXT = RSA.publicKey.export({ format: "der", type: "spki" }).toString("base64");
const ED_TEXT = ED.publicKey.export({ format: "der", type: "spki" }).subarray(12).toString("base64");
const HEADER = "From: =?utf-8?q?J=C3=B6?= <joe@a.test>\r\nTo: b@b.test\r\nSubject:  hello \r\n\tworld\r\n" +
  "Date: Wed, 1 Jan 2020 00:00:00 +0000\r\nMessage-ID: <1@a.test>\r\n";
const BODY = "Hi  there\t\r\n\r\n.dot\r\n\r\n\r\n";

async function signed(kind: "rsa" | "ed25519"): Promise<string> {
  const hash = new BodyHash("relaxed", { algorithm: "sha256", limit: null });
  const body = octetsOf(BODY);
  hash.write(body, 0, body.length);
  const key = { domain: "a.test", selector: kind, kind, key: (kind === "rsa" ? RSA : ED).privateKey };
  return await signHeader(octetsOf(HEADER), { bodyHash: hash.digest(), key, now: NOW }) + HEADER + "\r\n" +
    BODY;
}

function keys(rsa = `v=DKIM1; p=${RSA_TEXT}`): MockResolver {
  return new MockResolver({
    "rsa._domainkey.a.test TXT": txt(rsa),
    "ed25519._domainkey.a.test TXT": txt(`v=DKIM1; k=ed25519; p=${ED_TEXT}`),
  });
}

Deno.test("what we sign verifies, by both algorithms, also after relays folded and spaced it anew", async () => {
  for (const kind of ["rsa", "ed25519"] as const) {
    const message = await signed(kind);
    for (const line of message.split("\r\n")) assert.ok(line.length <= 100, line);
    const [result] = await verify(message, keys());
    assert.equal(result?.result, "pass", result?.text);
    assert.equal(result?.identity, "@a.test");
    const respaced = message.replace("Subject:  hello \r\n\tworld", "subject: hello world").replace(
      "Hi  there\t",
      "Hi there",
    );
    assert.equal((await verify(respaced, keys()))[0]?.result, "pass");
    const added = message.replace("To: b@b.test", "To: b@b.test\r\nSubject: another");
    assert.equal((await verify(added, keys()))[0]?.result, "fail");
  }
});

Deno.test("what a key says holds", async () => {
  const message = await signed("rsa");
  const results = async (record: string) => (await verify(message, keys(record)))[0]!;
  assert.equal((await results(`v=DKIM1; p=`)).text, "the key was revoked");
  assert.equal((await results(`v=DKIM1; s=web; p=${RSA_TEXT}`)).result, "permerror");
  assert.equal((await results(`v=DKIM1; h=sha1; p=${RSA_TEXT}`)).result, "permerror");
  assert.equal((await results(`v=DKIM2; p=${RSA_TEXT}`)).result, "permerror");
  assert.equal((await results(`v=DKIM1; k=ed25519; p=${ED_TEXT}`)).result, "permerror");
  assert.equal((await results(`v=DKIM1; t=y:s; p=${RSA_TEXT}`)).testing, true);
  assert.equal((await results(`v=DKIM1; p=${RSA_TEXT.slice(0, 40)}`)).result, "permerror");
  const small = generateKeyPairSync("rsa", { modulusLength: 512 }).publicKey;
  const text = small.export({ format: "der", type: "spki" }).toString("base64");
  assert.match((await results(`v=DKIM1; p=${text}`)).text, /512 bits/);
  const bare = RSA.publicKey.export({ format: "der", type: "pkcs1" }).toString("base64");
  assert.equal((await results(`p=${bare}`)).result, "pass");
  const down = new MockResolver({ "rsa._domainkey.a.test TXT": "timeout" });
  assert.equal((await verify(message, down))[0]?.result, "temperror");
  assert.equal((await verify(message, new MockResolver()))[0]?.result, "permerror");
  assert.ok("result" in parseKey("nonsense"));
});

/** Signed by hand, with tags that we never write. */
function signedWith(tags: string, { limit = null, key = RSA.privateKey }: {
  readonly limit?: number | null;
  readonly key?: KeyObject;
} = {}): string {
  const hash = new BodyHash("relaxed", { algorithm: "sha256", limit });
  const body = octetsOf(BODY);
  hash.write(body, 0, body.length);
  const field =
    `DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=a.test; s=rsa; h=from; ${tags}bh=${hash.digest().toBase64()}; b=`;
  const from = HEADER.slice(0, HEADER.indexOf("\r\n") + 2);
  const text = canonicalField(from, "relaxed") +
    canonicalField(`${field}\r\n`, "relaxed").replace(/\r\n$/, "");
  return `${field}${sign("sha256", octetsOf(text), key).toString("base64")}\r\n${HEADER}\r\n${BODY}`;
}

Deno.test("l= shorter than the body is policy, whatever stands behind it; as long as the body it is like none", async () => {
  const whole = "Hi there\r\n\r\n.dot\r\n".length;
  const of = async (message: string) => {
    const [result] = await verify(message, keys());
    return `${result!.result} ${result!.text}`.trim();
  };
  assert.equal(await of(signedWith(`l=${whole}; `, { limit: whole })), "pass");
  assert.equal(
    await of(signedWith("l=5; ", { limit: 5 })),
    `policy only 5 of ${whole} octets of the body are signed`,
  );
  const more = `${signedWith(`l=${whole}; `, { limit: whole })}and an advertisement\r\n`;
  assert.match(await of(more), /^policy only /);
  assert.match(await of(signedWith("l=0; ", { limit: 0 })), /^policy only 0 of /);
  assert.equal(await of(signedWith("l=9999; ", { limit: 9_999 })), "pass");
});

Deno.test("a signature over part of the body proves no author", async () => {
  const whole = "Hi there\r\n\r\n.dot\r\n".length;
  const resolver = keys();
  resolver.entries.set("_dmarc.a.test TXT", txt("v=DMARC1; p=reject"));
  for (const [limit, expected] of [[whole, "pass"], [whole - 1, "fail"]] as const) {
    const octets = octetsOf(signedWith(`l=${limit}; `, { limit }));
    const check = new SenderCheck({
      ...{
        resolver,
        hostname: "mx.test",
        iprev: false,
        spf: false,
        dkim: true,
        arc: false,
        isRelay: () => false,
      },
      ...{ deadlineMs: 20_000, dmarc: { standard: "rfc9989", random: () => 0 } },
    }, { address: "192.0.2.1", heloName: "client.test", sender: "joe@a.test", now: NOW });
    check.write(octets, 0, octets.length);
    const { dmarc } = await check.finish();
    assert.deepEqual([dmarc?.result, dmarc?.proven], [expected, expected === "pass"], String(limit));
  }
});

Deno.test("t=s wants the identity of the very domain", async () => {
  const result = async (tags: string, record: string) =>
    (await verify(signedWith(tags), keys(`v=DKIM1; ${record}p=${RSA_TEXT}`)))[0]!.result;
  assert.equal(await result("i=x@sub.a.test; ", ""), "pass");
  assert.equal(await result("i=x@sub.a.test; ", "t=s; "), "permerror");
  assert.equal(await result("i=x@a.test; ", "t=s; "), "pass");
  assert.equal(await result("", "t=y:s; "), "pass");
});

Deno.test("RSA keys have 1,024 bits at least (RFC 8301 3.2)", async () => {
  for (const [bits, expected] of [[1_024, "pass"], [1_016, "permerror"]] as const) {
    const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: bits });
    const text = publicKey.export({ format: "der", type: "spki" }).toString("base64");
    const [result] = await verify(signedWith("", { key: privateKey }), keys(`v=DKIM1; p=${text}`));
    assert.equal(result!.result, expected, `${bits}: ${result!.text}`);
  }
});

Deno.test("RSA signatures are made off this thread", async () => {
  const key = { domain: "a.test", selector: "rsa", kind: "rsa" as const, key: RSA.privateKey };
  await signText(key, "the key is imported once");
  let done = 0;
  const signing = Array.from({ length: 50 }, () => signText(key, "text").then(() => done++));
  // What this thread would compute by itself were there after the promises that wait now. Another thread may be done with some.
  for (let turn = 0; turn < 100; turn++) await Promise.resolve();
  assert.ok(done < signing.length);
  await Promise.all(signing);
});

Deno.test("signatures that are refused before their key is asked for", async () => {
  const base = { v: "1", a: "rsa-sha256", b: "AAAA", bh: "AAAA", d: "a.test", s: "x", h: "from" };
  const of = (tags: Record<string, string | null>) =>
    Object.entries({ ...base, ...tags }).filter(([, value]) => value !== null).map(([name, value]) =>
      `${name}=${value}`
    ).join("; ");
  assert.equal(typeof parseSignature(of({})), "object");
  for (
    const tags of [
      ...[{ v: "2" }, { a: "rsa-md5" }, { a: null }, { b: "" }, { bh: null }, { d: null }, { d: "a b" }],
      ...[{ s: null }, { h: "to" }, { i: "x@other.test" }, { q: "http" }, { c: "loose" }, { l: "x" }],
      ...[{ t: "10", x: "5" }, { h: Array(400).fill("from").join(":") }],
    ]
  ) assert.equal(typeof parseSignature(of(tags)), "string", JSON.stringify(tags));
  const field = (tags: Record<string, string>) => `DKIM-Signature: ${of(tags)}\r\n${HEADER}\r\n${BODY}`;
  const text = async (tags: Record<string, string>) => (await verify(field(tags), keys()))[0]!.text;
  assert.equal(await text({ a: "rsa-sha1" }), "SHA-1 is not accepted");
  assert.equal(await text({ x: "5" }), "the signature has expired");
  assert.equal(await text({ t: String(NOW / 1000 + 4_000) }), "the signature is from the future");
  const many = Array(20).fill(`DKIM-Signature: ${of({})}\r\n`).join("") + HEADER + "\r\n" + BODY;
  assert.equal((await verify(many, keys())).length, MAX_SIGNATURES);
});

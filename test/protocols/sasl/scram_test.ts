/** SCRAM-SHA-256: the exchange of RFC 7677 3 with our side's nonce, refusals, and messages that make no sense. */
import assert from "node:assert/strict";
import { pbkdf2Sync } from "node:crypto";
import { decodeBase64Strict } from "../../../bytes/base64.ts";
import { encode, utf8 } from "../../../bytes/decode.ts";
import { formatScram, parseScram, ScramExchange, type ScramVerifier } from "../../../protocols/sasl/scram.ts";

const SALT = decodeBase64Strict("W22ZaJ0SNY7soEsUEjb6gQ==")!;
const NONCE = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
const FIRST = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
const SERVER_FIRST = `r=rOprNGfwEbeRWgbNEkqO${NONCE},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`;
const FINAL = `c=biws,r=rOprNGfwEbeRWgbNEkqO${NONCE},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=`;
const SERVER_FINAL = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

function verifier(password = "pencil"): ScramVerifier {
  const salted = new Uint8Array(pbkdf2Sync(password, SALT, 4_096, 32, "sha256"));
  return parseScram(formatScram(salted, { salt: SALT, iterations: 4_096 }))!;
}

/** The answers as text; a step that is no challenge as JSON. */
function play(messages: readonly string[], password?: string): string[] {
  const exchange = new ScramExchange({ verifierOf: () => verifier(password), nonce: NONCE });
  return messages.map((message) => {
    const step = exchange.step(encode(message));
    return step.kind === "challenge" ? utf8(step.octets) : JSON.stringify(step);
  });
}

Deno.test("SCRAM-SHA-256: the example of RFC 7677 3", () => {
  const [first, final, end] = play([FIRST, FINAL, ""]);
  assert.equal(first, SERVER_FIRST);
  assert.equal(final, SERVER_FINAL);
  assert.deepEqual(JSON.parse(end!), {
    ...{ kind: "credentials", authorizationId: "", user: "user", password: "" },
    proof: { kind: "scram", matches: true },
  });
});

Deno.test("SCRAM-SHA-256: another password does not match, and our signature is not given away", () => {
  const [, end] = play([FIRST, FINAL], "pencil2");
  assert.deepEqual(JSON.parse(end!).proof, { kind: "scram", matches: false });
});

Deno.test("SCRAM-SHA-256: names may hold comma and equals sign, and whom to act as", () => {
  const exchange = new ScramExchange({
    verifierOf: (user) => ({ ...verifier(), salt: encode(user) }),
    nonce: "x",
  });
  const step = exchange.step(encode("n,a=b=2Cc,n=a=3D=2Cb,r=y"));
  assert.ok(step.kind === "challenge");
  assert.equal(utf8(step.octets), `r=yx,s=${btoa("a=,b")},i=4096`);
});

for (
  const [name, messages] of [
    ["no GS2 header", ["n=user,r=x"]],
    ["channel binding that is not offered", ["p=tls-server-end-point,,n=user,r=x"]],
    ["extensions that must be understood", ["n,,m=x,n=user,r=x"]],
    ["no user", ["n,,n=,r=x"]],
    ["an equals sign that stands for nothing", ["n,,n=a=b,r=x"]],
    ["no nonce", ["n,,n=user,r="]],
    ["too long", [`n,,n=user,r=${"x".repeat(3_000)}`]],
    ["a nonce that is not ours", [FIRST, FINAL.replace("hvY", "hvX")]],
    ["another binding than at first", [FIRST, FINAL.replace("c=biws", "c=eSws")]],
    ["a proof of another length", [FIRST, FINAL.replace(/p=.*/, "p=AAAA")]],
    ["a proof that is no base64", [FIRST, FINAL.replace(/p=.*/, "p=====")]],
    ["something behind the end", [FIRST, FINAL, "x"]],
  ] as const
) {
  Deno.test(`SCRAM-SHA-256 is refused: ${name}`, () => {
    assert.deepEqual(JSON.parse(play(messages).at(-1)!), {
      kind: "malformed",
      text: "SCRAM message not understood",
    });
  });
}

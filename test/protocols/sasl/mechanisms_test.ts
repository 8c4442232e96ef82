/** OAUTHBEARER, XOAUTH2 and EXTERNAL as tables, and what a session is offered. */
import assert from "node:assert/strict";
import { encode } from "../../../bytes/decode.ts";
import { BearerExchange } from "../../../protocols/sasl/bearer.ts";
import { ExternalExchange } from "../../../protocols/sasl/external.ts";
import { LoginExchange } from "../../../protocols/sasl/login.ts";
import { PlainExchange } from "../../../protocols/sasl/plain.ts";
import { SessionMechanisms, SMTP_MECHANISMS } from "../../../protocols/sasl/mechanisms.ts";

const BEARER: readonly (readonly ["OAUTHBEARER" | "XOAUTH2", string, string | null])[] = [
  // RFC 7628 4.1
  [
    "OAUTHBEARER",
    "n,a=user@example.com,\x01host=server.example.com\x01port=143\x01auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01\x01",
    "user@example.com vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==",
  ],
  ["OAUTHBEARER", "n,,\x01auth=bearer t\x01\x01", " t"],
  ["OAUTHBEARER", "y,a=a=2Cb,\x01auth=Bearer t\x01x=y\x01\x01", "a,b t"],
  ["OAUTHBEARER", "n,,\x01auth=Basic t\x01\x01", null],
  ["OAUTHBEARER", "p=x,,\x01auth=Bearer t\x01\x01", null],
  ["OAUTHBEARER", "n,,\x01auth=Bearer t\x01", null],
  ["OAUTHBEARER", "n,,\x01auth=Bearer t\x01\x01x", null],
  ["OAUTHBEARER", "n,,\x01auth=Bearer \x01\x01", null],
  ["XOAUTH2", "user=ann@example.test\x01auth=Bearer ya29.x\x01\x01", "ann@example.test ya29.x"],
  ["XOAUTH2", "user=ann\x01auth=Bearer a b\x01\x01", null],
  ["XOAUTH2", "\x01", null],
];

for (const [mechanism, message, expected] of BEARER) {
  Deno.test(`${mechanism} ${JSON.stringify(message)}`, () => {
    const step = new BearerExchange(mechanism).step(encode(message));
    if (expected === null) {
      return assert.deepEqual(step, { kind: "malformed", text: "Expected a bearer token" });
    }
    assert.ok(step.kind === "credentials" && step.proof?.kind === "token");
    assert.equal(`${step.user} ${step.proof.token}`, expected);
  });
}

Deno.test("EXTERNAL takes whom to act as, and no NUL", () => {
  const step = new ExternalExchange().step(encode("ann@example.test"));
  assert.ok(step.kind === "credentials" && step.proof?.kind === "certificate");
  assert.equal(step.authorizationId, "ann@example.test");
  assert.deepEqual(new ExternalExchange().step(encode("a\0b")), {
    kind: "malformed",
    text: "Expected an authorization id in UTF-8",
  });
});

Deno.test("PLAIN and LOGIN take user and password in UTF-8", () => {
  const malformed = { kind: "malformed", text: "Expected user and password in UTF-8" };
  assert.deepEqual(new PlainExchange().step(new Uint8Array([0, 0xff, 0, 0x70])), malformed);
  assert.deepEqual(new LoginExchange().step(new Uint8Array([0xff])), malformed);
  assert.deepEqual(new LoginExchange().step(encode("")), malformed);
});

Deno.test("what is offered follows the facts at each moment, and nothing else can be chosen", () => {
  let all = false;
  const mechanisms = new SessionMechanisms(SMTP_MECHANISMS, {
    scram: () => all ? () => ({ verifierOf: () => assert.fail(), nonce: "x" }) : null,
    bearer: () => all,
    certificate: () => all,
  });
  assert.deepEqual([...mechanisms.keys()], ["PLAIN", "LOGIN"]);
  for (const name of ["SCRAM-SHA-256", "OAUTHBEARER", "XOAUTH2", "EXTERNAL", "CRAM-MD5"]) {
    assert.equal(mechanisms.get(name), undefined);
  }
  all = true;
  assert.deepEqual([...mechanisms.keys()], [
    "SCRAM-SHA-256",
    "PLAIN",
    "LOGIN",
    "OAUTHBEARER",
    "XOAUTH2",
    "EXTERNAL",
  ]);
  assert.equal(mechanisms.size, 6);
  for (const name of mechanisms.keys()) assert.ok(mechanisms.get(name));
});

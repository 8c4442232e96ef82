/** Bearer tokens: introspection and signed tokens against a provider in this process, refusals, trouble, the cache. */
import assert from "node:assert/strict";
import { type OAuthOptions, TokenVerifier } from "../../auth/oauth.ts";

const NOW = 1_800_000_000_000;
const SECONDS = NOW / 1_000;
const OPTIONS: OAuthOptions = {
  introspection: "https://id.example.org/introspect",
  jwks: "",
  clientId: "veredus",
  clientSecret: "p:w",
  issuer: "",
  audience: "",
  claim: "email",
};

interface Asked {
  url: string;
  body: string;
  authorization: string | null;
}

function verifier(options: Partial<OAuthOptions>, answer: (asked: Asked) => Response, clock = () => NOW) {
  const asked: Asked[] = [];
  const tokens = new TokenVerifier({ ...OPTIONS, ...options }, {
    clock,
    fetch: (url, init) => {
      const one = {
        url,
        body: String(init.body ?? ""),
        authorization: new Headers(init.headers).get("authorization"),
      };
      asked.push(one);
      return Promise.resolve(answer(one));
    },
  });
  return { tokens, asked };
}

const ACTIVE = { active: true, email: "Ann@Example.test", exp: SECONDS + 60 };

for (
  const [name, options, answer, expected] of [
    ["active", {}, ACTIVE, "ann@example.test"],
    ["not active", {}, { ...ACTIVE, active: false }, null],
    ["active in words only", {}, { ...ACTIVE, active: "true" }, null],
    ["over", {}, { ...ACTIVE, exp: SECONDS - 61 }, null],
    ["not begun", {}, { ...ACTIVE, nbf: SECONDS + 61 }, null],
    [
      "of another issuer",
      { issuer: "https://id.example.org" },
      { ...ACTIVE, iss: "https://evil.example" },
      null,
    ],
    ["for another audience", { audience: "mail" }, { ...ACTIVE, aud: ["web"] }, null],
    ["for us among others", { audience: "mail" }, { ...ACTIVE, aud: ["web", "mail"] }, "ann@example.test"],
    ["named by another claim", { claim: "sub" }, { ...ACTIVE, sub: "bob@example.test" }, "bob@example.test"],
    ["without a name", {}, { active: true }, null],
  ] as const
) {
  Deno.test(`introspection: a token that is ${name}`, async () => {
    const { tokens, asked } = verifier(options, () => Response.json(answer));
    assert.equal(await tokens.verify("t+1"), expected);
    assert.equal(asked[0]!.body, "token=t%2B1&token_type_hint=access_token");
    assert.equal(asked[0]!.authorization, `Basic ${btoa("veredus:p%3Aw")}`);
  });
}

for (
  const [name, answer] of [
    ["500", () => new Response("", { status: 500 })],
    ["no JSON", () => new Response("<html>")],
    ["too long an answer", () => new Response(`{"x":"${"x".repeat(300_000)}"}`)],
  ] as const
) {
  Deno.test(`introspection: ${name} is trouble, not a refusal, and not kept`, async () => {
    const { tokens, asked } = verifier({}, answer);
    await assert.rejects(tokens.verify("t"));
    await assert.rejects(tokens.verify("t"));
    assert.equal(asked.length, 2);
  });
}

Deno.test("answers are kept no longer than the token lives", async () => {
  let now = NOW;
  const { tokens, asked } = verifier({}, () => Response.json(ACTIVE), () => now);
  for (const [at, count] of [[0, 1], [59_000, 1], [60_001, 2]] as const) {
    now = NOW + at;
    await tokens.verify("t");
    assert.equal(asked.length, count, `after ${at} ms`);
  }
});

for (const alg of ["RS256", "ES256"] as const) {
  Deno.test(`signed tokens: ${alg} by the published key, and nothing else`, async () => {
    const name = alg === "ES256" ? "ECDSA" : "RSASSA-PKCS1-v1_5";
    const keys = await crypto.subtle.generateKey(
      alg === "ES256" ? { name, namedCurve: "P-256" } : {
        ...{ name, hash: "SHA-256", modulusLength: 2_048 },
        publicExponent: new Uint8Array([1, 0, 1]),
      },
      true,
      ["sign", "verify"],
    ) as CryptoKeyPair;
    const jwk = { ...await crypto.subtle.exportKey("jwk", keys.publicKey), kid: "k1" };
    const part = (value: unknown) =>
      new TextEncoder().encode(JSON.stringify(value)).toBase64({ alphabet: "base64url", omitPadding: true });
    const make = async (header: object, claims: object) => {
      const signed = `${part(header)}.${part(claims)}`;
      const octets = new Uint8Array(
        await crypto.subtle.sign(
          { name, hash: "SHA-256" },
          keys.privateKey,
          new TextEncoder().encode(signed),
        ),
      );
      return `${signed}.${octets.toBase64({ alphabet: "base64url", omitPadding: true })}`;
    };
    const { tokens, asked } = verifier(
      { introspection: "", jwks: "https://id.example.org/jwks", audience: "mail" },
      () => Response.json({ keys: [jwk] }),
    );
    const claims = { email: "ann@example.test", aud: "mail", exp: SECONDS + 60 };
    const good = await make({ alg, kid: "k1" }, claims);
    assert.equal(await tokens.verify(good), "ann@example.test");
    const [head, , signature] = good.split(".");
    for (
      const bad of [
        `${head}.${part({ ...claims, email: "bob@example.test" })}.${signature}`,
        await make({ alg, kid: "k2" }, claims),
        await make({ alg: "none", kid: "k1" }, claims),
        await make({ alg: "HS256", kid: "k1" }, claims),
        await make({ alg, kid: "k1", crit: ["x"] }, claims),
        await make({ alg, kid: "k1" }, { ...claims, exp: undefined }),
        await make({ alg, kid: "k1" }, { ...claims, aud: "web" }),
        `${good}.x`,
        "a.b.c",
        "opaque",
      ]
    ) assert.equal(await tokens.verify(bad), null, bad);
    // A key nobody knows is looked for again once a minute at most.
    assert.equal(asked.length, 1);
  });
}

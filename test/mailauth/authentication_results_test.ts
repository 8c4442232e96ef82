/** Authentication-Results: the examples of RFC 8601 B, values that want to be more, and whose field it is. */
import assert from "node:assert/strict";
import { claimsToBe, parseResults, resultsField } from "../../mailauth/authentication_results.ts";
import { checkIprev } from "../../mailauth/iprev.ts";
import { unfold } from "../../message/header.ts";
import { a, MockResolver } from "../lib/mock_resolver.ts";

Deno.test("the examples of RFC 8601 B are read", () => {
  const of = (value: string) => {
    const parsed = parseResults(value);
    return parsed === null ? null : [
      parsed.authservId,
      ...parsed.results.map(({ method, result, properties }) =>
        `${method}=${result} ${properties.map((one) => one.join("=")).join(" ")}`.trim()
      ),
    ];
  };
  assert.deepEqual(of("example.org 1; none"), ["example.org"]);
  assert.deepEqual(of("example.com;\r\n\tspf=pass smtp.mailfrom=example.net"), [
    "example.com",
    "spf=pass smtp.mailfrom=example.net",
  ]);
  assert.deepEqual(
    of("example.com; auth=pass (cram-md5) smtp.auth=sender@example.net; spf=pass smtp.mailfrom=example.net"),
    [
      "example.com",
      "auth=pass smtp.auth=sender@example.net",
      "spf=pass smtp.mailfrom=example.net",
    ],
  );
  assert.deepEqual(
    of('example.com; dkim=pass reason="good signature" header.i=@mail-router.example.net'),
    ["example.com", "dkim=pass reason=good signature header.i=@mail-router.example.net"],
  );
  // B.7, comments everywhere.
  assert.deepEqual(
    of(
      "foo.example.net (foobar) 1 (baz); dkim (Because I like it) / 1 (One yay) = (wait for it) fail policy (A dot can go here) . (like that) expired (this surprised me) = (as I wasn't expecting it) 1362471462",
    )?.[0],
    "foo.example.net",
  );
  assert.equal(of('"never ends'), null);
  assert.equal(of("example.com (open"), null);
});

Deno.test("what is written is read back, whatever peers put into it", () => {
  const evil = 'x"; dmarc=pass (\r\nInjected: yes\\';
  const field = resultsField("mx.us.test", [
    { method: "spf", result: "fail", comment: `no (${evil}) way`, properties: [["smtp.mailfrom", evil]] },
    {
      method: "dkim",
      result: "pass",
      comment: "",
      properties: [["header.d", "a.test"], ["header.b", "ab/+=1"]],
    },
  ]);
  assert.equal(field.split(/\r\n(?![\t ])/).length, 2, "one field");
  const parsed = parseResults(unfold(field.slice(field.indexOf(":") + 1)))!;
  assert.equal(parsed.authservId, "mx.us.test");
  assert.deepEqual(parsed.results.map(({ method, result }) => `${method}=${result}`), [
    "spf=fail",
    "dkim=pass",
  ]);
  assert.deepEqual(parsed.results[1]!.properties, [["header.d", "a.test"], ["header.b", "ab/+=1"]]);
  assert.equal(resultsField("mx.us.test", []), "Authentication-Results: mx.us.test; none\r\n");
});

Deno.test("a field that claims to be ours is known in every spelling", () => {
  for (
    const value of [
      ...["mx.us.test; dmarc=pass", "MX.us.TEST 1; none", '"mx.us.test"; none', "(x) mx.us.test (y); none"],
      ...["mx.us.test; dmarc=pass (never closed", "mx.us.test", "mx.us.test.; none"],
    ]
  ) assert.ok(claimsToBe(value, "mx.us.test"), value);
  for (const value of ["mx.other.test; none", "a.mx.us.test; none", ""]) {
    assert.ok(!claimsToBe(value, "mx.us.test"), value);
  }
});

Deno.test("iprev: names that lead back, that do not, and none", async () => {
  const resolver = new MockResolver({
    "1.2.0.192.in-addr.arpa PTR": [
      { type: "PTR", target: "other.test" },
      { type: "PTR", target: "mx.a.test" },
    ],
    "other.test A": [a("192.0.2.99")],
    "mx.a.test A": [a("192.0.2.1")],
    "2.2.0.192.in-addr.arpa PTR": [{ type: "PTR", target: "liar.test" }],
    "liar.test A": [a("192.0.2.99")],
    "3.2.0.192.in-addr.arpa PTR": "timeout",
  });
  const of = async (address: string) => {
    const { result, name } = await checkIprev(resolver, address);
    return `${result} ${name}`.trim();
  };
  assert.equal(await of("192.0.2.1"), "pass mx.a.test");
  assert.equal(await of("::ffff:192.0.2.1"), "pass mx.a.test");
  assert.equal(await of("192.0.2.2"), "fail liar.test");
  assert.equal(await of("192.0.2.3"), "temperror");
  assert.equal(await of("192.0.2.4"), "permerror");
  assert.equal(await of("nonsense"), "permerror");
});

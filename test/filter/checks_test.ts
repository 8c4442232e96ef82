/** Checks through the whole reception, over the real store, with DNS as a map and time as a number. */
import assert from "node:assert/strict";
import { parseConfig } from "../../server/config/load.ts";
import { configureLogs, flushLogs, logSettings } from "../../telemetry/log.ts";
import { type MockEntry, txt } from "../lib/mock_resolver.ts";
import { Bed, type Letter, TAKEN } from "./checks_bed.ts";

const A = (address: string) => [{ type: "A", address }] as const;

Deno.test("a sender whose domain has a null MX is refused with 5.7.27, all others come in", async () => {
  await using bed = await Bed.open("    - check: null-mx\n", {
    "nomail.example MX": [{ type: "MX", preference: 0, exchange: "." }],
    "remote.example MX": [{ type: "MX", preference: 1, exchange: "mx.remote.example" }],
    "dead.example MX": "timeout",
  });
  assert.deepEqual(await bed.send({ from: "s@nomail.example" }), ["550 5.7.27"]);
  assert.deepEqual(await bed.send(), TAKEN);
  assert.deepEqual(await bed.send({ from: "" }), TAKEN);
  assert.deepEqual(await bed.send({ from: "s@dead.example" }), TAKEN);
  assert.deepEqual(await bed.send({ from: "bob@example.test" }), TAKEN);
  assert.ok(!bed.resolver.queries.some((query) => query.startsWith("example.test")));
  assert.doesNotMatch(bed.stored()[0]!, /X-Veredus-Verdict/);
});

Deno.test("sender-domain: who names a domain without MX and address is refused with 5.1.8; dead DNS says nothing", async () => {
  const dns: Record<string, MockEntry> = {
    "mx.example MX": [{ type: "MX", preference: 1, exchange: "mx.mx.example" }],
    "four.example A": A("192.0.2.9"),
    "six.example AAAA": [{ type: "AAAA", address: "2001:db8::9" }],
    "dead.example MX": "timeout",
  };
  await using bed = await Bed.open("    - check: sender-domain\n", dns);
  assert.deepEqual(await bed.send({ from: "s@none.example" }), ["550 5.1.8"]);
  assert.equal(bed.traced.at(-1)!.checks![0]!.reason, "none.example has neither MX nor address");
  for (
    const from of ["s@mx.example", "s@four.example", "s@six.example", "", "bob@example.test", "s@[192.0.2.1]"]
  ) {
    assert.deepEqual(await bed.send({ from }), TAKEN, from);
  }
  assert.deepEqual(await bed.send({ from: "s@dead.example" }), TAKEN);
  await using soft = await Bed.open("    - { check: sender-domain, action: defer }\n", dns);
  assert.deepEqual(await soft.send({ from: "s@none.example" }), ["450 4.1.8"]);
});

Deno.test("header: fields are looked for unfolded and decoded, by the first pattern that fits", async () => {
  await using bed = await Bed.open(
    '    - { check: header, name: subjects, action: reject, patterns: ["^subject: .*grüße vom prinzen"], text: No princes }\n' +
      '    - { check: header, patterns: ["^x-mailer: bulk"] }\n',
  );
  assert.deepEqual(await bed.send({ header: "X-Mailer: Bulk 1\r\n" }), TAKEN);
  assert.match(bed.stored()[0]!, /header=tag _?\(the field x-mailer matches/);
  const words = "Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\r\n =?utf-8?Q?_vom?= Prinzen\r\n";
  const refused = await bed.send({ header: words });
  assert.deepEqual(refused, ["250 2.1.5", "550 5.7.1"]);
  assert.deepEqual(await bed.send({ header: "X-Other: subject: Grüße vom Prinzen\r\n" }), TAKEN);
  assert.throws(() => parseConfig("hostname: a.example\nfilter: { checks: [{ check: header }] }", "/v.yaml"));
  assert.throws(() =>
    parseConfig(
      "hostname: a.example\nfilter: { checks: [{ check: header, action: accept, patterns: [a] }] }",
      "/v.yaml",
    )
  );
});

Deno.test("header: strip takes every field that fits out, and leaves the others", async () => {
  await using bed = await Bed.open(
    '    - { check: header, action: strip, logins: true, patterns: ["^x-originating-ip:", "^x-note: secret"] }\n',
  );
  const header =
    "X-Note: secret one\r\nX-Note: kept\r\nX-Originating-IP: [192.0.2.1]\r\nX-Note: secret\r\n two\r\n";
  assert.deepEqual(await bed.send({ header }), TAKEN);
  const [stored = ""] = bed.stored();
  assert.doesNotMatch(stored, /secret|^X-Originating/m);
  assert.match(stored, /^X-Note: kept\r\nFrom: /m);
  assert.match(stored, /header=tag _?\(taken out: x-note, x-originating-ip/);
});

Deno.test("lists of networks, names, domains and expressions, in the order of the configuration", async () => {
  await using bed = await Bed.open(
    [
      "    - { check: list, name: friends, action: accept, stages: [mail], domains: [friend.example] }",
      "    - { check: list, name: nets, stages: [connect], networks: [192.0.2.0/24] }",
      "    - { check: list, name: dsl, stages: [ehlo], names: [.dsl.example.net], action: defer }",
      '    - { check: list, name: bulk, stages: [mail], patterns: ["^bounce-[0-9]+@", "^(a+)+$"], text: No bulk }',
      "    - { check: list, name: rcpts, stages: [rcpt], patterns: [^bob@] }",
      "",
    ].join("\n"),
    { "friend.example TXT": [txt("v=spf1 ip4:198.51.100.1 -all")] },
  );
  const client = { address: "198.51.100.1" };
  assert.deepEqual(await bed.send(), ["550 5.7.1"], "network");
  assert.deepEqual(await bed.send({ client }), TAKEN);
  assert.deepEqual(await bed.send({ client: { ...client, heloName: "p1.dsl.example.net" } }), ["451 4.7.1"]);
  assert.deepEqual(await bed.send({ client, from: "bounce-77@x.example" }), ["550 5.7.1"]);
  assert.deepEqual(await bed.send({ client, to: ["bob@example.test", "alice@example.test"] }), [
    "550 5.7.1",
    ...TAKEN,
  ]);
  const began = performance.now();
  assert.deepEqual(await bed.send({ client, from: `${"a".repeat(60)}!@x.example` }), TAKEN);
  assert.ok(performance.now() - began < 15_000, "an expression that explodes elsewhere");
  assert.deepEqual(
    await bed.send({ client, from: "bounce-1@friend.example" }),
    TAKEN,
    "the list before decides",
  );
});

Deno.test("who is welcome by a name that the client gives is so where SPF proves it", async () => {
  const dns = {
    "friend.example TXT": [txt("v=spf1 ip4:192.0.2.1 -all")],
    "helo.example TXT": [txt("v=spf1 ip4:192.0.2.1 -all")],
    "slow.example TXT": "timeout",
  } as const;
  const all = "    - { check: list, name: all, stages: [rcpt], patterns: [.] }\n";
  const names = "[friend.example, helo.example, slow.example, open.example]";
  const open = (keys: string) =>
    Bed.open(`    - { check: list, name: friends, action: accept, ${keys} }\n${all}`, dns);
  const refused = async (bed: Bed, letter: Letter) => {
    const [answer] = await bed.send(letter);
    return answer !== TAKEN[0];
  };
  const elsewhere = { address: "203.0.113.9" };
  for (
    const keys of [
      `stages: [mail], domains: ${names}`,
      'stages: [mail], patterns: ["@(friend|slow|open)[.]"]',
    ]
  ) {
    await using bed = await open(keys);
    assert.equal(await refused(bed, { from: "a@friend.example" }), false, keys);
    assert.equal(await refused(bed, { from: "a@friend.example", client: elsewhere }), true, keys);
    assert.equal(
      await refused(bed, { from: "a@friend.example", client: { address: "unknown" } }),
      true,
      keys,
    );
    assert.equal(await refused(bed, { from: "a@slow.example" }), true, keys);
    assert.equal(await refused(bed, { from: "a@open.example" }), true, keys);
    assert.equal(await refused(bed, { from: "" }), true, keys);
    assert.deepEqual(bed.traced.at(-2)!.checks!.map(({ check, action }) => [check, action]), [
      ["friends", "tag"],
      ["all", "reject"],
    ]);
    assert.match(bed.traced.at(-2)!.checks![0]!.reason, /, which SPF does not prove$/);
  }
  for (const keys of [`stages: [ehlo], names: ${names}`, 'stages: [ehlo], patterns: ["^helo[.]"]']) {
    await using bed = await open(keys);
    const client = { heloName: "helo.example" };
    assert.equal(await refused(bed, { client }), false, keys);
    assert.equal(await refused(bed, { client: { ...client, ...elsewhere } }), true, keys);
  }
  // An address and a recipient of ours are no claims.
  for (
    const keys of ["stages: [connect], networks: [203.0.113.9]", "stages: [rcpt], domains: [example.test]"]
  ) {
    await using bed = await open(keys);
    assert.equal(await refused(bed, { client: elsewhere }), false, keys);
  }
});

Deno.test("postmaster and abuse get their mail whatever checks say, and are not mixed with others", async () => {
  await using bed = await Bed.open("    - { check: list, stages: [connect], networks: [0.0.0.0/0] }\n");
  assert.deepEqual(await bed.send({ to: ["postmaster@example.test"] }), TAKEN);
  assert.deepEqual(await bed.send({ to: ["abuse@example.test"] }), TAKEN);
  assert.deepEqual(await bed.send(), ["550 5.7.1"]);
  await using held = await Bed.open("    - { check: list, action: quarantine, networks: [0.0.0.0/0] }\n");
  const answers = await held.send({ to: ["postmaster@example.test", "alice@example.test"] });
  assert.deepEqual(answers, ["250 2.1.5", "452 4.5.3", "250 2.6.0"]);
  assert.equal(held.stored("postmaster").length, 1);
});

Deno.test("a bogus answer is trouble of its check alone, and the message goes on", async () => {
  const checks =
    "    - { check: null-mx }\n    - { check: dnsbl, action: reject, zones: [{ zone: bl.example }] }\n" +
    "    - { check: reverse-dns, action: reject }\n";
  await using bed = await Bed.open(checks, {
    "remote.example MX": "bogus",
    "1.2.0.192.bl.example A": "bogus",
    "1.2.0.192.in-addr.arpa PTR": "bogus",
  });
  assert.deepEqual(await bed.send(), TAKEN);
  assert.equal(bed.stored().length, 1);
  for (const asked of ["remote.example MX", "1.2.0.192.bl.example A", "1.2.0.192.in-addr.arpa PTR"]) {
    assert.ok(bed.resolver.queries.includes(asked), asked);
  }
});

Deno.test("reverse DNS and EHLO: found out, and told to the recipient in a header above our Received", async () => {
  await using bed = await Bed.open("    - check: reverse-dns\n    - check: helo\n", {
    "1.2.0.192.in-addr.arpa PTR": [{ type: "PTR", target: "lies.example" }],
    "lies.example A": A("203.0.113.9"),
    "2.2.0.192.in-addr.arpa PTR": [{ type: "PTR", target: "mail.good.example" }],
    "mail.good.example A": A("192.0.2.2"),
  });
  assert.deepEqual(await bed.send({ client: { heloName: "mx.example.test" } }), TAKEN);
  assert.deepEqual(
    await bed.send({ client: { address: "192.0.2.2", heloName: "mail.good.example" } }),
    TAKEN,
  );
  const [tagged = "", clean = ""] = bed.stored();
  assert.match(
    tagged,
    /X-Veredus-Verdict: deliver;\r\n\treverse-dns=tag \(no name of 192\.0\.2\.1 leads back to it\);\r\n\thelo=tag \(EHLO mx\.example\.test is our own name\)\r\nReceived: from /,
  );
  assert.doesNotMatch(clean, /X-Veredus-Verdict/);
  for (
    const [heloName, problem] of [["[192.0.2.1]", false], ["[192.0.2.7]", true], ["host", true], [
      "1.2.3.4",
      true,
    ]]
  ) {
    await bed.send({ client: { heloName: heloName as string } });
    assert.equal(/helo=tag/.test(bed.stored().at(-1)!), problem, String(heloName));
  }
});

Deno.test("an address that only logins write to: checks are asked about strangers", async () => {
  await using bed = await Bed.open(
    '    - { check: list, name: internal, stages: [rcpt], patterns: ["^alice@example\\\\.test$"], text: Internal address }\n',
  );
  assert.deepEqual(await bed.send({ to: ["alice@example.test"] }), ["550 5.7.1"]);
  const client = { ...bed.login("bob"), screen: bed.reception.screen() };
  assert.deepEqual(await bed.send({ client, from: "bob@example.test", to: ["alice@example.test"] }), TAKEN);
});

Deno.test("out of the box null MX and programs are refused; checks that are switched on tag, and greylisting defers", () => {
  const config = (yaml: string) => parseConfig(`hostname: mx.example.test\n${yaml}`, "/veredus.yaml").filter;
  const { checks, tarpitMs } = config("");
  assert.deepEqual(checks.map(({ check, action }) => [check, action]), [
    ["null-mx", "reject"],
    ["content", "reject"],
  ]);
  assert.equal(tarpitMs, 0);
  const pauses =
    config("filter: { checks: [{ check: early-talker }, { check: early-talker, name: b, delay: 4s }] }")
      .checks;
  assert.deepEqual(pauses.map(({ delayMs }) => delayMs), [2_000, 4_000]);
  const kinds = ["list", "dnsbl", "reverse-dns", "helo", "early-talker", "greylist", "rate", "sending"];
  const named = kinds.map((check) =>
    check === "dnsbl" ? `{ check: ${check}, zones: [{ zone: bl.example }] }` : `{ check: ${check} }`
  );
  const actions = config(`filter: { checks: [${named.join(", ")}] }`).checks.map(({ action }) => action);
  assert.deepEqual(actions, ["reject", "tag", "tag", "tag", "tag", "defer", "defer", "defer"]);
});

Deno.test("each action: its answer, its line in the log with the reason, its header", async () => {
  const lines: string[] = [];
  const before = logSettings();
  configureLogs({ level: "info", areas: {}, format: "json" }, { write: (text) => void lines.push(text) });
  try {
    const table = [
      ["accept", TAKEN, "deliver"],
      ["tag", TAKEN, "deliver"],
      ["reject", ["550 5.7.1"], null],
      ["defer", ["451 4.7.1"], null],
      ["discard", TAKEN, null],
      ["quarantine", TAKEN, "quarantine"],
    ] as const;
    for (const [action, answers, header] of table) {
      await using bed = await Bed.open(
        `    - { check: list, name: odd, action: ${action}, domains: [odd.example] }\n`,
        { "odd.example TXT": [txt("v=spf1 ip4:192.0.2.1 -all")] },
      );
      assert.deepEqual(await bed.send({ from: "s@odd.example" }), answers, action);
      const { event, checks = [] } = bed.traced.at(-1)!;
      assert.equal(event, action === "reject" ? "refused" : action === "defer" ? "deferred" : "accepted");
      assert.deepEqual(checks.map(({ check, reason }) => `${check}: ${reason}`), ["odd: domain odd.example"]);
      flushLogs();
      const found = lines.splice(0).join("").split("\n").filter((text) => text !== "").map((text) =>
        JSON.parse(text)
      )
        .filter(({ area }) => area === "filter");
      assert.deepEqual(
        found.map((record) => [record.check, record.stage, record.action, record.reason, record.trace]),
        [["odd", "mail", action, "domain odd.example", "trace1"]],
      );
      const [stored = ""] = [...bed.stored(), ...bed.held()];
      const field = new RegExp(
        `^X-Veredus-Verdict: ${header};\\r\\n\\todd=${action} _?\\(domain odd\\.example\\)`,
        "m",
      );
      assert.equal(field.test(stored), header !== null, `${action}: ${stored}`);
    }
  } finally {
    configureLogs(before, { write() {} });
  }
});

Deno.test("a message that is set aside is in the quarantine alone; one that is discarded is nowhere", async () => {
  await using bed = await Bed.open(
    "    - { check: list, name: odd, action: quarantine, domains: [odd.example] }\n" +
      "    - { check: list, name: junk, action: discard, domains: [junk.example] }\n",
  );
  assert.deepEqual(await bed.send({ from: "s@odd.example" }), TAKEN);
  assert.deepEqual(await bed.send({ from: "s@junk.example" }), TAKEN);
  assert.deepEqual(bed.stored(), []);
  const rows = bed.test.store.quarantine.list({}, { after: 0, limit: 10 });
  assert.deepEqual(rows.map(({ recipient, reason, dangerous }) => [recipient, reason, dangerous]), [
    ["alice@example.test", "odd: domain odd.example", false],
  ]);
  assert.deepEqual(bed.test.store.queue.list({}, { afterRecipientId: 0, limit: 10 }), []);
});

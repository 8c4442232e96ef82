/** What SPF, DKIM, ARC and DMARC do to a message of a stranger, from the wire to the mailbox. */
import assert from "node:assert/strict";
import {
  type AuthenticationConfig,
  DMARC_REFUSED,
  DNS_TROUBLE,
  provesAuthor,
} from "../../delivery/authentication.ts";
import type { SpamConfig } from "../../delivery/spam/judge.ts";
import type { TraceEvent } from "../../delivery/tracer.ts";
import { ResolveError } from "../../dns/resolver.ts";
import { Blocks } from "../../filter/address_block.ts";
import type { Assessment, AssessRequest } from "../../filter/spam/assessor.ts";
import { scoreOf } from "../../filter/spam/score.ts";
import type { SenderFindings } from "../../mailauth/sender_check.ts";
import {
  DEFAULT,
  GOOD,
  letter,
  NAMED,
  OWN_KEY,
  SEALING,
  sealsOf,
  send,
  signed,
  withBed,
} from "./authentication_bed.ts";
import { a, type MockEntry, MockResolver, txt } from "../lib/mock_resolver.ts";
import { line, NOW, ReceptionBed, STRANGER } from "./reception_bed.ts";

Deno.test("results stand in front of the copy, above Received, and the octets behind are untouched", async () => {
  await withBed(NAMED, {}, async (bed) => {
    const message = await signed(letter("a@good.test"), GOOD);
    assert.equal((await send(bed, "a@good.test", message)).data?.code, 250);
    const [stored = ""] = bed.stored("bob");
    const fields = stored.slice(0, stored.indexOf("DKIM-Signature")).split(/\r\n(?![\t ])/);
    assert.deepEqual(fields.map((field) => field.split(":")[0]), [
      ...["Return-Path", "Delivered-To", "Authentication-Results", "Received", ""],
    ]);
    const results = fields[2]!.replace(/\r\n[\t ]+/g, " ");
    assert.match(
      results,
      /^Authentication-Results: mx\.example\.test; iprev=pass \(client\.example\) policy\.iprev=192/,
    );
    assert.match(
      results,
      /; spf=pass \(ip\) smtp\.mailfrom=a@good\.test smtp\.helo=client\.example; dkim=pass/,
    );
    assert.match(
      results,
      /header\.d=good\.test header\.s=s header\.a=rsa-sha256 header\.b=\S{8}; dmarc=pass/,
    );
    assert.ok(stored.endsWith(message));
  });
});

Deno.test("binary parts are signed as they came: the signature is verified before they become base64", async () => {
  await withBed(NAMED, {}, async (bed) => {
    const message = await signed(
      "From: <a@good.test>\r\nSubject: binary\r\nMIME-Version: 1.0\r\nContent-Type: image/x\r\n" +
        "Content-Transfer-Encoding: binary\r\n\r\n\0one\ntwo\rthree\xff\r\n",
      GOOD,
    );
    const { data } = await bed.send({
      ...{ from: "a@good.test", to: ["bob@example.test"], message },
      parameters: { body: "BINARYMIME" },
    });
    assert.equal(data?.code, 250);
    const [stored = ""] = bed.stored("bob");
    assert.match(stored, /;\s+dkim=pass/);
    assert.match(stored, /;\s+dmarc=pass/);
    assert.match(stored, /\r\nContent-Transfer-Encoding: base64\r\n\r\nAG9uZQp0d28NdGhyZWX\/DQo=\r\n$/);
    assert.doesNotMatch(stored.replaceAll("\r\n", ""), /[\0\r\n]/);
  });
});

Deno.test("what becomes of a message that fails DMARC", async () => {
  const rows: [
    from: string,
    entries: Record<string, MockEntry>,
    config: Partial<AuthenticationConfig>,
    to: string,
  ][] = [
    ["x@strict.test", NAMED, {}, "Junk"], // reject, but nothing else speaks against it
    ["x@strict.test", { ...NAMED, "client.example A": [a("192.0.2.9")] }, {}, "550 5.7.1"],
    ["x@strict.test", NAMED, { refuse: "always" }, "550 5.7.1"],
    ["x@strict.test", { ...NAMED, "client.example A": [a("192.0.2.9")] }, { refuse: "never" }, "Junk"],
    ["x@careful.test", NAMED, { refuse: "always" }, "Junk"],
    ["x@open.test", NAMED, { refuse: "always" }, "INBOX"],
    ["x@unknown.test", NAMED, { refuse: "always" }, "INBOX"],
    ["x@strict.test", NAMED, { dmarc: "off", refuse: "always" }, "INBOX"], // SPF alone never refuses
    ["x@strict.test", { ...NAMED, "_dmarc.strict.test TXT": "no-data" }, { refuse: "always" }, "INBOX"],
    ["x@good.test", NAMED, { refuse: "always" }, "INBOX"],
    ["x@strict.test", { ...NAMED, "client.example A": "timeout" }, {}, "Junk"], // no other sign that agrees
    ["x@strict.test", { ...NAMED, "_dmarc.strict.test TXT": "timeout" }, { refuse: "always" }, "INBOX"],
    ["x@strict.test", { ...NAMED, "strict.test TXT": "server-failure" }, { refuse: "always" }, "INBOX"],
  ];
  for (const [from, entries, config, to] of rows) {
    await withBed(entries, config, async (bed) => {
      const { data } = await send(bed, from);
      const where = `${from} ${JSON.stringify(config)}`;
      if (/^\d/.test(to)) {
        assert.deepEqual(data, DMARC_REFUSED, where);
        return assert.deepEqual(bed.stored("bob"), []);
      }
      assert.equal(data?.code, 250, where);
      assert.equal(bed.stored("bob", to).length, 1, where);
    });
  }
});

Deno.test("known lists and trusted sealers are spared, others who seal are not", async () => {
  const strict = { refuse: "always" } as const;
  const listed = await signed(letter("x@strict.test"), { ...GOOD, domain: "list.test" });
  for (const [knownLists, to] of [[["list.test"], "INBOX"], [[], "refused"]] as const) {
    await withBed(NAMED, { ...strict, knownLists }, async (bed) => {
      const { data } = await send(bed, "bounce@list.test", listed);
      assert.equal(data?.code, to === "INBOX" ? 250 : 550);
    });
  }
  // A forwarder of ours seals what passed; what it hands on is changed behind the DKIM signature.
  let handedOn = "";
  await withBed(SEALING, strict, async (bed) => {
    await bed.ok({
      kind: "put-alias",
      address: "fwd@example.test",
      targets: ["far@away.test"],
    }, OWN_KEY);
    const message = await signed(letter("a@good.test"), GOOD);
    await bed.send({ from: "a@good.test", to: ["fwd@example.test"], message });
    handedOn = bed.queuedOctets(bed.queued()[0]!);
    assert.match(handedOn, /^ARC-Seal: i=1; a=rsa-sha256; cv=none; d=example\.test;/);
    assert.ok(handedOn.endsWith(message));
    const chain = await sealsOf(handedOn);
    assert.equal(chain.result, "pass", chain.text);
  });
  const entries = {
    ...SEALING,
    "s._domainkey.good.test TXT": "no-data",
    "good.test TXT": "no-data",
  } as const;
  for (const [trustedSealers, code] of [[["example.test"], 250], [[], 550]] as const) {
    await withBed(entries, { ...strict, trustedSealers }, async (bed) => {
      const { data } = await send(
        bed,
        "srs@example.test",
        handedOn.replace("Delivered-To: fwd", "X-Old: fwd"),
      );
      assert.equal(data?.code, code);
    });
  }
});

Deno.test("an author is proven by SPF or DKIM of its domain, with a policy or without, or by sealers that are believed", async () => {
  const asked: boolean[] = [];
  const assess = ({ around, recipients }: AssessRequest): Promise<Assessment> => {
    asked.push(around?.aligned === true);
    const scores = recipients.map(({ accountId }) => ({ accountId, score: scoreOf([], []) }));
    return Promise.resolve({ scores, linkDomains: [] });
  };
  const entries = {
    ...NAMED,
    "plain.test TXT": [txt("v=spf1 ip4:192.0.2.1 -all")],
    "mail.plain.test TXT": [txt("v=spf1 ip4:192.0.2.1 -all")],
  };
  const rules = { server: { mark: null, junk: null, quarantine: null, refuse: null }, domains: {} };
  const spam: SpamConfig = {
    ...{ enabled: true, rules, weights: {}, onTimeout: "mark", outgoingHold: null },
    ...{ deadlineMs: 1_000, linkZones: [], traps: [] },
  };
  const authentication = { ...DEFAULT, refuse: "never" } as const;
  await using bed = await ReceptionBed.open({ authentication, spam }, {}, {
    resolver: new MockResolver(entries),
    spam: { filter: { assess }, linkHits: () => Promise.resolve([]), notify: () => {} },
  });
  await send(bed, "a@good.test");
  await send(bed, "a@plain.test");
  await send(bed, "bounce@mail.plain.test", letter("a@plain.test"));
  await send(bed, "a@elsewhere.test", await signed(letter("a@list.test"), { ...GOOD, domain: "list.test" }));
  await send(bed, "a@plain.test", letter("a@good.test")); // SPF passes for another
  await send(bed, "a@strict.test");
  await send(bed, "a@nothing.test");
  assert.deepEqual(asked, [true, true, true, true, false, false, false]);

  const sealed = (...domains: string[]) => ({
    dmarc: null,
    arc: {
      ...{ result: "pass" as const, text: "" },
      sets: domains.map((domain, i) => ({
        results: `i=${i + 1}; ${domain}; dmarc=pass`,
        seal: { domain },
      })),
    },
  } as unknown as SenderFindings);
  const config = { trustedSealers: ["list.test"] };
  assert.equal(provesAuthor(sealed("list.test"), config), true);
  assert.equal(provesAuthor(sealed("list.test", "evil.test"), config), false);
  assert.equal(provesAuthor(sealed("list.test"), { trustedSealers: [] }), false);
});

Deno.test("results in our name and marks of spam filters are taken out; those of others stay", async () => {
  const forged = "Authentication-Results: MX.example.test;\r\n\tdmarc=pass\r\nX-Spam-Status: No\r\n" +
    "Authentication-Results: other.test; spf=pass\r\n";
  await withBed(NAMED, {}, async (bed) => {
    await send(bed, "x@open.test", letter("x@open.test", forged));
    const [stored = ""] = bed.stored("bob");
    assert.equal(stored.match(/^Authentication-Results: mx\.example\.test/gim)?.length, 1);
    assert.doesNotMatch(stored, /X-Spam-Status/);
    assert.match(stored, /^Authentication-Results: other\.test; spf=pass\r$/m);
    assert.ok(stored.endsWith("\r\n\r\nHello\r\n"));
    // The facts describe what is stored: the header ends where it ends.
    const row = bed.test.store.messages.rows(bed.test.mailboxId("bob", "INBOX"), [[1, 9]], {
      limit: 1,
      withImap: true,
    })[0]!;
    const blob = stored.slice(row.prefix.length);
    assert.equal(row.headerOctets, blob.indexOf("\r\n\r\n") + 4);
  });
});

Deno.test("trouble of DNS is deferred by setting, for an hour, and then delivered with temperror", async () => {
  const entries = { ...NAMED, "_dmarc.strict.test TXT": "timeout" } as const;
  let now = NOW;
  await withBed(entries, { onDnsTrouble: "defer" }, async (bed) => {
    assert.deepEqual((await send(bed, "x@strict.test")).data, DNS_TROUBLE);
    await bed.test.store.write({ kind: "sweep-state", at: 0 }); // the note is written by now
    now += 3_599_000;
    assert.deepEqual((await send(bed, "x@strict.test")).data, DNS_TROUBLE);
    now += 2_000;
    assert.equal((await send(bed, "x@strict.test")).data?.code, 250);
    assert.match(bed.stored("bob")[0] ?? "", /dmarc=temperror/);
  }, { clock: () => now });
});

Deno.test("a resolver that never answers delays a message by the deadline and no more", async () => {
  const silent = { resolve: () => new Promise<never>(() => {}) };
  const traced: TraceEvent[] = [];
  const tracer = { note: (event: TraceEvent) => void traced.push(event) };
  await withBed({}, { timeoutMs: 50, refuse: "always" }, async (bed) => {
    const began = performance.now();
    const { data } = await send(bed, "x@strict.test", await signed(letter("x@strict.test"), GOOD));
    assert.equal(data?.code, 250);
    assert.ok(performance.now() - began < 15_000);
    const [stored = ""] = bed.stored("bob");
    for (const method of ["iprev", "spf", "dkim", "dmarc"]) {
      assert.match(stored, new RegExp(`${method}=temperror`));
    }
    assert.deepEqual(traced.map(({ event, reply }) => [event, reply?.replace(/trace\d+/, "ID")]), [
      ["checked", "deliver: not known in time or for DNS: iprev, spf, dmarc, dkim"],
      ["accepted", "250 2.6.0 ID Message accepted"],
    ]);
  }, { resolver: silent, tracer });
});

Deno.test("a DNS that lies, or is down, is trouble and no failure: delivered, and the trace names the methods", async () => {
  for (const fault of ["bogus", "server-failure", "malformed"] as const) {
    const traced: TraceEvent[] = [];
    const tracer = { note: (event: TraceEvent) => void traced.push(event) };
    const entries = Object.fromEntries(Object.keys(NAMED).map((question) => [question, fault]));
    await withBed(entries, { refuse: "always" }, async (bed) => {
      const { data } = await send(bed, "x@strict.test", await signed(letter("x@strict.test"), GOOD));
      assert.equal(data?.code, 250, fault);
      const [stored = ""] = bed.stored("bob");
      assert.doesNotMatch(stored, /=fail/);
      assert.equal(
        traced.find(({ event }) => event === "checked")?.reply,
        "deliver: not known in time or for DNS: iprev, spf, dmarc, dkim",
      );
    }, { tracer });
  }
});

Deno.test("of trouble of DNS recipients read what it is, not which server of ours said so", async () => {
  const said = "name: 10.11.12.13: answered SERVFAIL";
  for (
    const fault of [
      "timeout",
      "server-failure",
      "malformed",
      "bogus",
      "overload",
      "work-limit",
      "cname-chain",
    ] as const
  ) {
    const resolver = { resolve: () => Promise.reject(new ResolveError(fault, said)) };
    await withBed({}, { refuse: "never" }, async (bed) => {
      assert.equal(
        (await send(bed, "a@good.test", await signed(letter("a@good.test"), GOOD))).data?.code,
        250,
      );
      const [stored = ""] = bed.stored("bob");
      const field = stored.slice(stored.indexOf("Authentication-Results:"), stored.indexOf("\r\nReceived:"));
      assert.equal(field.match(/=temperror/g)?.length, 4, field);
      assert.doesNotMatch(field, /10\.11\.12|SERVFAIL/);
      assert.match(field.replace(/\r\n[\t ]+/g, " "), /spf=temperror \(good\.test TXT: [A-Za-z ]+\)/);
    }, { resolver });
  }
});

Deno.test("mail through a relay of ours: whom it had it from is judged, and it is never refused for that", async () => {
  const relay = { ...STRANGER, address: "198.51.100.7", heloName: "backup.test" };
  const received = (address: string) =>
    `Received: from sender.test (sender.test [${address}]) by backup.test with ESMTP; Mon, 23 Nov 2026 20:00:00 +0000\r\n`;
  await withBed(NAMED, { refuse: "always", relays: new Blocks([relay.address]) }, async (bed) => {
    const through = (from: string, message: string) =>
      bed.send({ client: relay, from, to: ["bob@example.test"], message });
    await through("a@good.test", letter("a@good.test", received("192.0.2.1")));
    assert.match(
      bed.stored("bob")[0]!.replace(/\r\n[\t ]+/g, " "),
      /policy\.iprev=192\.0\.2\.1; spf=pass/,
    );
    const { data } = await through("x@strict.test", letter("x@strict.test", received("192.0.2.99")));
    assert.equal(data && line(data), "250 2.6.0");
    assert.equal(bed.stored("bob", "Junk").length, 1);
  });
});

Deno.test("logins, trusted networks and local delivery are not checked", async () => {
  const skip = new Blocks(["203.0.113.0/24"]);
  await withBed(NAMED, { refuse: "always", skip }, async (bed, resolver) => {
    const message = letter("bob@example.test");
    const clients = [bed.login("bob"), { ...STRANGER, trusted: true }, {
      ...STRANGER,
      service: "lmtp" as const,
    }, { ...STRANGER, address: "203.0.113.5" }];
    for (const client of clients) {
      const from = client.account === null ? "x@strict.test" : "bob@example.test";
      assert.equal((await bed.send({ client, from, to: ["bob@example.test"], message })).data?.code, 250);
    }
    assert.deepEqual(resolver.queries, []);
    for (const stored of bed.stored("bob")) {
      assert.doesNotMatch(stored, /Authentication-Results/);
    }
  });
});

Deno.test("a client without an address is judged by what it signed alone", async () => {
  await withBed(NAMED, {}, async (bed) => {
    const client = { ...STRANGER, address: "unknown" };
    const message = await signed(letter("a@good.test"), GOOD);
    const { data } = await bed.send({ client, from: "a@good.test", to: ["bob@example.test"], message });
    assert.equal(data?.code, 250);
    const [stored = ""] = bed.stored("bob");
    assert.match(stored, /dmarc=pass/);
    assert.doesNotMatch(stored, /spf=|iprev=/);
  });
});

Deno.test("a header larger than is looked at is delivered, marked, and costs no look-up of authors", async () => {
  await withBed(NAMED, { refuse: "always" }, async (bed) => {
    const huge = `X-Large: ${"x".repeat(70)}\r\n`.repeat(4_000);
    assert.equal((await send(bed, "x@open.test", letter("x@open.test", huge))).data?.code, 250);
    assert.match(bed.stored("bob")[0]!, /dkim=permerror \(the header is too large\)/);
  });
});

Deno.test("a script's refusal of one of several is told to strangers that SPF or DKIM proves; of others it goes to Junk", async () => {
  await withBed(NAMED, {}, async (bed) => {
    const owner = String(bed.account("bob").id);
    await bed.ok({
      ...{ kind: "put-script", scope: "user", owner, name: "main" },
      content: 'require "ereject"; ereject "not me";',
    }, { kind: "activate-script", scope: "user", owner, name: "main" });
    const both = ["bob@example.test", "alice@example.test"];
    const cases: [from: string, message: string, told: boolean][] = [
      ["a@good.test", letter("a@good.test"), true], // SPF
      ["x@open.test", letter("x@open.test"), false],
      ["x@unknown.test", letter("x@unknown.test"), false],
      ["", letter("x@open.test"), false],
    ];
    for (const [from, message, told] of cases) {
      const before = [bed.queued().length, bed.stored("bob", "Junk").length];
      const { data } = await bed.send({ from, to: both, message });
      assert.equal(data?.code, 250, from);
      const after = [bed.queued().length, bed.stored("bob", "Junk").length];
      assert.deepEqual(after, told ? [before[0]! + 1, before[1]!] : [before[0]!, before[1]! + 1], from);
      if (told) assert.deepEqual([bed.queued().at(-1)!.sender, bed.queued().at(-1)!.recipient], ["", from]);
    }
    assert.equal(bed.stored("alice").length, cases.length);
    assert.equal(bed.stored("bob").length, 0);
  });
});

Deno.test("strangers are told of success only where SPF, or a signature of their domain, says that they sent it", async () => {
  const cases: [from: string, message: string, told: boolean][] = [
    ["a@good.test", letter("a@good.test"), true], // SPF
    ["a@list.test", await signed(letter("a@list.test"), { ...GOOD, domain: "list.test" }), true],
    ["a@sub.list.test", await signed(letter("a@list.test"), { ...GOOD, domain: "list.test" }), true],
    ["a@strict.test", letter("a@open.test"), false], // SPF says no
    ["a@open.test", letter("a@open.test"), false], // nobody says anything
    ["a@open.test", await signed(letter("a@open.test"), { ...GOOD, domain: "list.test" }), false],
    // DMARC passes for the author, who wants the report sent to somebody else.
    ["victim@open.test", await signed(letter("a@good.test"), GOOD), false],
  ];
  for (const [from, message, told] of cases) {
    await withBed(NAMED, { refuse: "never" }, async (bed) => {
      await bed.ok({
        kind: "put-domain",
        domain: {
          ...{ name: "relay.example", kind: "relay", nextHop: "mx", catchAll: "", subaddressSeparators: "+" },
        },
      });
      const to = ["bob@example.test", "x@relay.example"];
      const { data } = await bed.send({ from, to, message, rcpt: { notify: "SUCCESS,FAILURE" } });
      assert.equal(data?.code, 250, from);
      assert.equal(bed.stored("bob").length, 1);
      const notify = Object.fromEntries(bed.queued().map((row) => [row.recipient, row.notify]));
      assert.equal(notify["x@relay.example"], told ? "SUCCESS,FAILURE" : "FAILURE", from);
      assert.equal(from in notify, told, `a report of success to ${from}`);
    });
  }
});

/** DMARC: records, the tree walk by the examples of RFC 9989 4.10 and B.4, alignment, policy, and what DNS may do. */
import assert from "node:assert/strict";
import { run } from "../../bytes/steps.ts";
import { checkDmarc, type DmarcInput, type DmarcOptions } from "../../mailauth/dmarc.ts";
import { parseDmarcRecord } from "../../mailauth/dmarc_record.ts";
import { listedDomain, TreeWalker, walkNames } from "../../mailauth/org_domain.ts";
import { a, type MockEntry, MockResolver, txt } from "../lib/mock_resolver.ts";

const OPTIONS: DmarcOptions = { standard: "rfc9989", random: () => 0.5 };
const NOTHING: DmarcInput = {
  ...{ authorDomains: ["a.test"], spfDomain: null, spfTemporary: false, dkimDomains: [], dkimTemporary: [] },
};

/** `_dmarc` records by domain. */
function zone(records: Record<string, string>, more: Record<string, MockEntry> = {}): MockResolver {
  return new MockResolver({
    ...Object.fromEntries(Object.entries(records).map(([name, text]) => [`_dmarc.${name} TXT`, [txt(text)]])),
    ...more,
  });
}

Deno.test("records that can be used, and those that cannot", () => {
  const of = (text: string) => {
    const record = parseDmarcRecord(text);
    return record === null ? null : `${record.policy} ${record.subdomainPolicy} ${record.nonExistentPolicy}`;
  };
  const rows: [string, string | null][] = [
    ["v=DMARC1; p=reject", "reject null null"],
    ["v=DMARC1;p=quarantine;sp=none;np=reject", "quarantine none reject"],
    ["v=DMARC1 ; p=REJECT ; pct=5; unknown=1;", "reject null null"],
    ["v=dmarc1; p=reject", null],
    ["p=reject; v=DMARC1", null],
    ["v=DMARC2; p=reject", null],
    ["v=DMARC1", null],
    ["v=DMARC1; p=maybe", null],
    ["v=DMARC1; p=maybe; rua=mailto:r@a.test", "none null null"],
    ["v=DMARC1; rua=mailto:r@a.test", "none null null"],
    ["v=DMARC1; p=reject; sp=wrong; rua=mailto:r@a.test", "none null null"],
    ["v=DMARC1; p=reject; sp=wrong", null],
    ["v=DMARC1; p=reject; p=none", null],
    ["v=spf1 -all", null],
  ];
  for (const [text, expected] of rows) assert.equal(of(text), expected, text);
  const record = parseDmarcRecord(
    "v=DMARC1; p=none; adkim=s; aspf=S; psd=Y; t=y; rua=mailto:a@x.test!10m, https://x.test/, mailto:b%40c@d.test,mailto:c@x.test",
  )!;
  assert.deepEqual([record.dkimAlignment, record.spfAlignment, record.psd, record.testing], [
    "strict",
    "strict",
    "y",
    true,
  ]);
  assert.deepEqual(record.aggregateAddresses, ["a@x.test", "c@x.test"]);
});

Deno.test("the walk asks for the names of RFC 9989 4.10, eight at most", () => {
  assert.deepEqual(walkNames("a.b.c.d.e.f.g.h.i.j.mail.example.com"), [
    "a.b.c.d.e.f.g.h.i.j.mail.example.com",
    "g.h.i.j.mail.example.com",
    "h.i.j.mail.example.com",
    "i.j.mail.example.com",
    "j.mail.example.com",
    "mail.example.com",
    "example.com",
    "com",
  ]);
  assert.deepEqual(walkNames("mail.example.com"), ["mail.example.com", "example.com", "com"]);
  // Eight labels: all of them are asked for (4.10 step 4: seven remain).
  assert.equal(walkNames("a.b.c.d.e.f.g.com").length, 8);
  assert.deepEqual(walkNames("a.b.c.d.e.f.g.h.com").slice(0, 2), ["a.b.c.d.e.f.g.h.com", "c.d.e.f.g.h.com"]);
});

Deno.test("organizational domains: RFC 9989 4.10.2 and B.4", async () => {
  const rows: [string, Record<string, string>, string][] = [
    ["a.mail.example.com", { "mail.example.com": "p=none", "example.com": "p=none" }, "example.com"],
    [
      "a.mail.example.com",
      { "mail.example.com": "p=none; psd=n", "example.com": "p=none" },
      "mail.example.com",
    ],
    ["a.mail.example.com", { com: "p=none; psd=y" }, "example.com"],
    ["mail.example.com", { "example.com": "p=none; psd=y" }, "mail.example.com"],
    ["giant.bank.example", { "bank.example": "p=reject; psd=y" }, "giant.bank.example"],
    ["mail.mega.bank.example", { "bank.example": "p=reject; psd=y" }, "mega.bank.example"],
    ["bank.example", { "bank.example": "p=reject; psd=y" }, "bank.example"],
    ["a.b.c.d.e.f.g.h.i.j.k.example.com", { "example.com": "p=none" }, "example.com"],
    ["mail.example.com", {}, "mail.example.com"],
  ];
  for (const [domain, records, expected] of rows) {
    const full = Object.fromEntries(
      Object.entries(records).map(([name, tags]) => [name, `v=DMARC1; ${tags}`]),
    );
    assert.equal(await run(new TreeWalker(zone(full)).organizationalDomain(domain)), expected, domain);
  }
  const two = new MockResolver({ "_dmarc.a.test TXT": [txt("v=DMARC1; p=none"), txt("v=DMARC1; p=reject")] });
  assert.equal(await run(new TreeWalker(two).record("a.test")), null, "two records are none");
});

Deno.test("whose policy it is: author domain, organization, public suffix; sp, np and t", async () => {
  const rows: [author: string, records: Record<string, string>, expected: string, existing?: string][] = [
    ["a.test", { "a.test": "p=reject; sp=none" }, "fail reject a.test"],
    ["x.a.test", { "a.test": "p=reject; sp=quarantine; np=none" }, "fail quarantine a.test", "x.a.test"],
    ["x.a.test", { "a.test": "p=reject; sp=none; np=quarantine" }, "fail quarantine a.test"],
    ["x.a.test", { "a.test": "p=reject" }, "fail reject a.test"],
    ["x.a.test", { "x.a.test": "p=none", "a.test": "p=reject" }, "fail none x.a.test"],
    ["a.bank", { bank: "p=none; sp=reject; psd=y" }, "fail reject bank", "a.bank"],
    ["x.a.bank", { bank: "p=none; np=reject; psd=y" }, "fail reject bank"],
    ["x.a.bank", { bank: "p=none; sp=reject; psd=y", "a.bank": "p=quarantine" }, "fail quarantine a.bank"],
    ["a.test", { "a.test": "p=reject; t=y" }, "fail quarantine a.test"],
    ["a.test", { "a.test": "p=quarantine; t=y" }, "fail none a.test"],
    ["a.test", { "a.test": "p=reject; pct=0" }, "fail reject a.test"],
    ["a.test", { "b.test": "p=reject" }, "none none "],
    ["localhost", {}, "permerror none "],
  ];
  for (const [author, records, expected, existing] of rows) {
    const full = Object.fromEntries(
      Object.entries(records).map(([name, tags]) => [name, `v=DMARC1; ${tags}`]),
    );
    const resolver = zone(full, existing === undefined ? {} : { [`${existing} A`]: [a("192.0.2.1")] });
    const { result, policy, policyDomain } = await checkDmarc(resolver, {
      ...NOTHING,
      authorDomains: [author],
    }, OPTIONS);
    assert.equal(`${result} ${policy} ${policyDomain}`, expected, `${author} ${JSON.stringify(records)}`);
  }
});

Deno.test("alignment, relaxed and strict, by SPF and by DKIM", async () => {
  const rows: [tags: string, author: string, facts: Partial<DmarcInput>, result: string][] = [
    ["", "a.test", { spfDomain: "a.test" }, "pass"],
    ["", "a.test", { spfDomain: "bounce.a.test" }, "pass"],
    ["aspf=s", "a.test", { spfDomain: "bounce.a.test" }, "fail"],
    ["adkim=s", "a.test", { spfDomain: "bounce.a.test" }, "pass"],
    ["", "a.test", { dkimDomains: ["evil.test", "A.TEST"] }, "pass"],
    ["adkim=s", "a.test", { dkimDomains: ["x.a.test"] }, "fail"],
    ["", "y.a.test", { dkimDomains: ["x.a.test"] }, "pass"],
    ["", "a.test", { dkimDomains: ["a.test.evil"], spfDomain: "evil.test" }, "fail"],
    ["", "a.test", { dkimDomains: ["test"] }, "fail"],
    ["", "a.test", { dkimTemporary: ["a.test"] }, "temperror"],
    ["", "a.test", { dkimTemporary: ["evil.test"] }, "fail"],
    ["", "a.test", { spfTemporary: true }, "temperror"],
    ["", "a.test", { spfTemporary: true, dkimDomains: ["a.test"] }, "pass"],
  ];
  for (const [tags, author, facts, expected] of rows) {
    const input = { ...NOTHING, authorDomains: [author], ...facts };
    const { result } = await checkDmarc(zone({ "a.test": `v=DMARC1; p=reject; ${tags}` }), input, OPTIONS);
    assert.equal(result, expected, `${tags} ${author} ${JSON.stringify(facts)}`);
  }
});

Deno.test("the examples of RFC 9989 B.1 and B.4: who is aligned, and whose policy it is", async () => {
  const plain = { "example.com": "v=DMARC1; p=reject" };
  const strict = { "example.com": "v=DMARC1; p=reject; adkim=s; aspf=s" };
  const [own, child, deep] = ["example.com", "child.example.com", "a.b.c.d.e.f.g.h.i.j.k.example.com"];
  const walk = { ...plain, "signing.example.com": "v=DMARC1; p=none" };
  const bank = {
    "bank.example": "v=DMARC1; p=reject; psd=y",
    "giant.bank.example": "v=DMARC1; p=quarantine",
  };
  const spf = (spfDomain: string) => ({ spfDomain });
  const dkim = (domain: string) => ({ dkimDomains: [domain] });
  const rows: [
    section: string,
    records: Record<string, string>,
    author: string,
    Partial<DmarcInput>,
    string,
  ][] = [
    ["B.1.1 example 1", plain, own, spf(own), "pass example.com"],
    ["B.1.1 example 1, strict", strict, own, spf(own), "pass example.com"],
    ["B.1.1 example 2", plain, own, spf(child), "pass example.com"],
    ["B.1.1 example 2, strict", strict, own, spf(child), "fail example.com"],
    ["B.1.1 example 3", plain, child, spf("example.net"), "fail example.com"],
    ["B.1.1 example 3, strict", strict, child, spf("example.net"), "fail example.com"],
    ["B.1.2 example 1", plain, own, dkim(own), "pass example.com"],
    ["B.1.2 example 1, strict", strict, own, dkim(own), "pass example.com"],
    ["B.1.2 example 2", plain, child, dkim(own), "pass example.com"],
    ["B.1.2 example 2, strict", strict, child, dkim(own), "fail example.com"],
    ["B.1.2 example 3", plain, child, dkim("example.net"), "fail example.com"],
    ["B.1.2 example 3, strict", strict, child, dkim("example.net"), "fail example.com"],
    ["B.4.1, by SPF", walk, own, spf(own), "pass example.com"],
    ["B.4.1, by DKIM", walk, own, dkim("signing.example.com"), "pass example.com"],
    ["B.4.2, by SPF", walk, deep, spf(own), "pass example.com"],
    ["B.4.2, by DKIM", walk, deep, dkim("signing.example.com"), "pass example.com"],
    ["B.4.3, by SPF", bank, "giant.bank.example", spf("mail.giant.bank.example"), "pass giant.bank.example"],
    ["B.4.3, by DKIM", bank, "giant.bank.example", dkim("mail.mega.bank.example"), "fail giant.bank.example"],
  ];
  for (const [section, records, author, facts, expected] of rows) {
    const input = { ...NOTHING, authorDomains: [author], ...facts };
    const { result, policyDomain } = await checkDmarc(zone(records), input, OPTIONS);
    assert.equal(`${result} ${policyDomain}`, expected, section);
  }
});

Deno.test("the walk stops at psd=, and asks no more than it must", async () => {
  const asked = async (author: string, records: Record<string, string>) => {
    const resolver = zone(records);
    await checkDmarc(resolver, { ...NOTHING, authorDomains: [author] }, OPTIONS);
    return resolver.queries.filter((query) => query.startsWith("_dmarc.")).map((query) => query.slice(7, -4));
  };
  // B.4.2, in its order.
  assert.deepEqual(await asked("a.b.c.d.e.f.g.h.i.j.k.example.com", { "example.com": "v=DMARC1; p=none" }), [
    "a.b.c.d.e.f.g.h.i.j.k.example.com",
    ...["g.h.i.j.k", "h.i.j.k", "i.j.k", "j.k", "k"].map((name) => `${name}.example.com`),
    ...["example.com", "com"],
  ]);
  const bank = { "bank.example": "v=DMARC1; p=reject; psd=y", example: "v=DMARC1; p=none" };
  assert.deepEqual(await asked("mail.giant.bank.example", bank), [
    ...["mail.giant.bank.example", "giant.bank.example", "bank.example"],
  ]);
});

Deno.test("several authors: the worst counts; too many or none are no letter", async () => {
  const resolver = zone({ "a.test": "v=DMARC1; p=none", "b.test": "v=DMARC1; p=reject" });
  const check = (authorDomains: string[]) =>
    checkDmarc(resolver, { ...NOTHING, authorDomains, dkimDomains: ["a.test"] }, OPTIONS);
  assert.equal((await check(["a.test"])).result, "pass");
  const both = await check(["a.test", "b.test"]);
  assert.deepEqual([both.result, both.policy], ["fail", "reject"]);
  assert.equal((await check([])).result, "permerror");
  assert.equal(
    (await check(["1.test", "2.test", "3.test", "4.test", "5.test", "6.test"])).result,
    "permerror",
  );
});

Deno.test("trouble of DNS is temporary wherever it meets the walk", async () => {
  for (const name of ["_dmarc.x.a.test TXT", "_dmarc.a.test TXT", "_dmarc.test TXT"]) {
    const resolver = zone({}, { [name]: "timeout" });
    const { result, policy } = await checkDmarc(
      resolver,
      { ...NOTHING, authorDomains: ["x.a.test"] },
      OPTIONS,
    );
    assert.deepEqual([result, policy], ["temperror", "none"], name);
  }
  const np = zone({ "a.test": "v=DMARC1; p=none; np=reject" }, { "x.a.test A": "server-failure" });
  assert.equal(
    (await checkDmarc(np, { ...NOTHING, authorDomains: ["x.a.test"] }, OPTIONS)).result,
    "temperror",
  );
});

Deno.test("by RFC 7489: the public suffix list and pct", async () => {
  assert.equal(await run(listedDomain("a.b.example.co.uk")), "example.co.uk");
  assert.equal(await run(listedDomain("co.uk")), "co.uk");
  const old: DmarcOptions = { standard: "rfc7489", random: () => 0.5 };
  const resolver = zone({
    "example.co.uk": "v=DMARC1; p=reject; pct=40",
    "co.uk": "v=DMARC1; p=reject; psd=y",
    "x.example.co.uk": "v=DMARC1; p=none; psd=n",
  });
  const check = (authorDomains: string[], facts: Partial<DmarcInput> = {}, options = old) =>
    checkDmarc(resolver, { ...NOTHING, authorDomains, ...facts }, options);
  assert.equal((await check(["example.co.uk"])).policy, "quarantine", "the other 60 of 100");
  assert.equal((await check(["example.co.uk"], {}, { ...old, random: () => 0.1 })).policy, "reject");
  assert.equal((await check(["other.co.uk"])).result, "none", "there are no public suffix policies");
  const across = { dkimDomains: ["x.example.co.uk"] };
  assert.equal((await check(["example.co.uk"], across)).result, "pass");
  assert.equal(
    (await check(["example.co.uk"], across, OPTIONS)).result,
    "fail",
    "psd=n makes it another organization",
  );
});

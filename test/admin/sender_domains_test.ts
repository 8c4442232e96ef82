/** DKIM keys, records of a domain, and reports, through the API. */
import { strict as assert } from "node:assert";
import { withHarness } from "./harness.ts";

Deno.test("keys come in pairs, wait or sign, and give their secrets to nobody", () =>
  withHarness(async (h) => {
    const path = "/dkim/example.test";
    const made = await h.send("POST", path, { body: { now: true } });
    assert.equal(made.status, 201);
    assert.doesNotMatch(JSON.stringify(made.body), /PRIVATE/);
    const states = async () =>
      (await h.get(path)).body.items.map(({ kind, state }: { kind: string; state: string }) =>
        `${kind} ${state}`
      );
    assert.deepEqual((await states()).sort(), ["ed25519 signing", "rsa signing"]);
    await h.send("POST", path, { body: {} });
    assert.deepEqual((await states()).sort(), [
      "ed25519 signing",
      "ed25519 waiting",
      "rsa signing",
      "rsa waiting",
    ]);
    await h.send("POST", path, { body: { now: true } });
    assert.equal((await states()).filter((one: string) => one.endsWith("retired")).length, 2);
    const { selector } = made.body.items[0];
    assert.equal((await h.send("DELETE", `${path}/${selector}`)).status, 204);
    assert.equal((await h.send("DELETE", `${path}/${selector}`)).status, 404);
    assert.equal((await h.send("POST", "/dkim/other.test", { body: {} })).status, 404);
  }));

Deno.test("records that a domain should have", () =>
  withHarness(async (h) => {
    await h.send("POST", "/dkim/example.test", { body: {} });
    const { body } = await h.get("/dns/records/example.test");
    const names = body.items.map(({ kind, name }: { kind: string; name: string }) =>
      `${kind} ${name.replace(/^\d+-/, "")}`
    );
    assert.deepEqual(names.sort(), [
      ...[
        "dkim ed25519._domainkey.example.test",
        "dkim rsa._domainkey.example.test",
        "dmarc _dmarc.example.test",
        "mta-sts _mta-sts.example.test",
        "mta-sts-host mta-sts.example.test",
        "mx example.test",
        "spf example.test",
        "tls-rpt _smtp._tls.example.test",
        "tlsa _25._tcp.mx.test",
      ],
    ]);
    assert.equal((await h.get("/dns/records/other.test")).status, 404);
    const check = await h.get("/dns/check/example.test");
    assert.ok([200, 501].includes(check.status));
    for (const { state } of check.body.items ?? []) assert.match(state, /^(missing|different|unknown|ok)$/);
  }));

Deno.test("what DNS has of those records: right, different, missing, not known", () =>
  withHarness(async (h) => {
    await h.send("POST", "/dkim/example.test", { body: {} });
    const wanted = (await h.get("/dns/records/example.test")).body.items as {
      kind: string;
      name: string;
      value: string;
    }[];
    const plain = h.queryDns;
    h.queryDns = async (question) => {
      const report = await plain(question);
      const record = wanted.find(({ name }) => name === question.name)!;
      switch (record.kind) {
        case "dmarc":
          return { ...report, result: "timeout" as const, records: [] };
        case "mta-sts":
          return { ...report, result: "no-such-domain" as const, records: [] };
        case "dkim":
          return { ...report, records: [`"${record.value.slice(0, 100)}" "${record.value.slice(100)}"`] };
        default:
          return { ...report, records: ['"v=spf1 ip4:nonsense"'] };
      }
    };
    const { body } = await h.get("/dns/check/example.test");
    const states = Object.fromEntries(
      body.items.map(({ kind, state }: { kind: string; state: string }) => [kind, state]),
    );
    const { dmarc, dkim, spf } = states;
    assert.deepEqual([states["mta-sts"], dmarc, dkim, spf], ["missing", "unknown", "ok", "different"]);
  }));

Deno.test("reports in pages, by what they say", () =>
  withHarness(async (h) => {
    const report = {
      kind: "dmarc" as const,
      ...{ domain: "example.test", organization: "Org", reportId: "1", sender: "org.test" },
      ...{ beginAt: 0, endAt: 86_400_000, receivedAt: 1, policy: "p=none" },
      rows: [1, 2, 3].map((at) => ({
        ...{ source: `192.0.2.${at}`, count: at, result: at === 3 ? "fail" : "pass", detail: "none" },
      })),
    } as const;
    await h.test.store.write({ kind: "put-report", report });
    const first = (await h.get("/reports?limit=2")).body;
    assert.deepEqual(first.items.map(({ source }: { source: string }) => source), ["192.0.2.1", "192.0.2.2"]);
    const second = (await h.get(`/reports?limit=2&cursor=${first.nextCursor}`)).body;
    assert.deepEqual([second.items.length, second.items[0].source, second.nextCursor], [
      1,
      "192.0.2.3",
      null,
    ]);
    assert.equal((await h.get("/reports?result=fail")).body.items.length, 1);
    assert.equal((await h.get("/reports?domain=example.test&result=pass")).body.items.length, 2);
    const { body } = await h.get("/reports?source=192.0.2.2");
    assert.deepEqual(
      body.items.map(({ source, count }: { source: string; count: number }) => [source, count]),
      [
        ["192.0.2.2", 2],
      ],
    );
    assert.equal((await h.get("/reports?domain=other.test")).body.items.length, 0);
  }));

Deno.test("the MTA-STS policy is served to anybody, under the name of a domain of ours", () =>
  withHarness(async (h) => {
    const ask = async (host: string) => {
      const response = await h.raw("/.well-known/mta-sts.txt", { host });
      return [response.status, await response.text()];
    };
    assert.deepEqual(await ask("mta-sts.example.test"), [200, "version: STSv1\r\n"]);
    assert.deepEqual(await ask("MTA-STS.example.test:443"), [200, "version: STSv1\r\n"]);
    for (const host of ["example.test", "mta-sts.other.test", "mta-sts."]) {
      assert.equal((await ask(host))[0], 404, host);
    }
  }));

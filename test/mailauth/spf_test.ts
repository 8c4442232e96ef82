/** Every result of the public SPF suites; the vectors lie beside the project and are read from there. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { parseAllDocuments } from "yaml";
import type { RecordData } from "../../dns/rdata.ts";
import { ResolveError } from "../../dns/resolver.ts";
import { checkSpf, MAX_LOOKUPS } from "../../mailauth/spf.ts";
import { parseSpfRecord } from "../../mailauth/spf_record.ts";
import { MockResolver } from "../lib/mock_resolver.ts";

const VECTORS = fileURLToPath(new URL("../../../shared/vectors/spf/", import.meta.url));
/** That of RFC 4408 as well: whatever it and its successor disagree on, its results allow both. */
const SUITES = ["rfc7208-tests.yml", "rfc4408-tests.yml"];

interface Case {
  readonly helo: string;
  readonly host: string;
  readonly mailfrom: string;
  readonly result: string | string[];
  readonly explanation?: string;
}

interface Suite {
  readonly description: string;
  readonly tests: Record<string, Case>;
  readonly zonedata: Record<string, (string | Record<string, unknown>)[]>;
}

/** The zones as a map. SPF records stand for TXT where a name has no TXT of its own. */
function resolverOf(zones: Suite["zonedata"]): MockResolver {
  const entries: Record<string, RecordData[] | "timeout"> = {};
  const add = (name: string, type: string, data: RecordData) => {
    const known = entries[`${name} ${type}`];
    entries[`${name} ${type}`] = [...(Array.isArray(known) ? known : []), data];
  };
  for (const [zone, records] of Object.entries(zones)) {
    const name = zone.toLowerCase().replace(/\.$/, "");
    const hasTxt = records.some((record) => typeof record === "object" && "TXT" in record);
    if (records.includes("TIMEOUT")) {
      for (const type of ["A", "AAAA", "MX", "PTR", "TXT"]) entries[`${name} ${type}`] = "timeout";
    }
    for (const record of records) {
      if (typeof record === "string") continue;
      for (const [type, value] of Object.entries(record)) {
        const text = String(value);
        if (value === "TIMEOUT") entries[`${name} ${type}`] = "timeout";
        else if (type === "A" || type === "AAAA") add(name, type, { type, address: text });
        else if (type === "MX") {
          const [preference, exchange] = value as [number, string];
          add(name, "MX", { type: "MX", preference, exchange });
        } else if (type === "PTR" || type === "CNAME") add(name, type, { type, target: text });
        else if (type === "TXT" || (type === "SPF" && !hasTxt)) {
          if (text === "NONE") continue;
          const strings = (Array.isArray(value) ? value : [value]).map((part) =>
            Uint8Array.from(String(part), (character) => character.charCodeAt(0))
          );
          add(name, "TXT", { type: "TXT", strings });
        }
      }
    }
  }
  return new MockResolver(entries);
}

let texts: readonly string[] = [];
try {
  texts = await Promise.all(SUITES.map((name) => Deno.readTextFile(`${VECTORS}${name}`)));
} catch (error) {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
  console.log("the public SPF suite is skipped: ../shared/vectors is not there");
}

for (
  const [at, document] of texts.flatMap((text, at) =>
    parseAllDocuments(text).map((one) => [at, one] as const)
  )
) {
  const suite = document.toJS() as Suite;
  for (const [name, test] of Object.entries(suite.tests)) {
    Deno.test(`SPF suite ${SUITES[at]}: ${suite.description}: ${name}`, async () => {
      const sender = test.mailfrom;
      const domain = sender.includes("@") ? sender.slice(sender.lastIndexOf("@") + 1) : sender || test.helo;
      const outcome = await checkSpf(resolverOf(suite.zonedata), {
        address: test.host,
        domain,
        sender,
        helo: test.helo,
        receiver: "receiver.example.test",
        now: 0,
      });
      const allowed = Array.isArray(test.result) ? test.result : [test.result];
      assert.ok(allowed.includes(outcome.result), `${outcome.result} (${outcome.text}), not ${allowed}`);
      if (test.explanation !== undefined && test.explanation !== "DEFAULT") {
        assert.equal(outcome.text, test.explanation);
      }
    });
  }
}

const INPUT = {
  address: "192.0.2.1",
  domain: "a.test",
  sender: "x@a.test",
  helo: "mx.a.test",
  receiver: "us.test",
  now: 0,
};

Deno.test("trouble of DNS is temporary, whatever it is", async () => {
  for (const fault of ["timeout", "server-failure", "malformed", "bogus", "overload"] as const) {
    const resolver = new MockResolver({ "a.test TXT": fault });
    assert.equal((await checkSpf(resolver, INPUT)).result, "temperror", fault);
  }
  assert.ok(new ResolveError("timeout", "").temporary);
});

Deno.test("the work of one message is bounded", async () => {
  const strings = (value: string) => [new TextEncoder().encode(value)];
  const loop = new MockResolver({
    "a.test TXT": [{ type: "TXT", strings: strings("v=spf1 include:a.test include:a.test -all") }],
  });
  assert.equal((await checkSpf(loop, INPUT)).result, "permerror");
  assert.ok(loop.queries.length <= MAX_LOOKUPS + 1, `${loop.queries.length} questions`);
  const names = Array.from({ length: 600 }, () => "ip4:192.0.2.9").join(" ");
  assert.equal(parseSpfRecord(`v=spf1 ${names} -all`), null);
});

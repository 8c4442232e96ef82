/** `GET /dns/query` and `veredus dns query`: what the resolver finds, in words. */
import assert from "node:assert/strict";
import { reportText } from "../../admin/cli/commands/dns.ts";
import type { DnsReport } from "../../dns/report.ts";
import { reportQuery } from "../../dns/report.ts";
import { record, serverOf, setup } from "../dns/fake_network.ts";
import { Harness } from "./harness.ts";

const { clock, resolver } = setup({
  "192.0.2.53": serverOf((query) => ({
    answers: query.questions[0]!.name.toLowerCase() === "a.test"
      ? [record("a.test", { type: "TXT", strings: [Uint8Array.of(0x68, 0x22, 0x1b)] })]
      : [],
    rcode: query.questions[0]!.name.toLowerCase() === "broken.test" ? 2 : 0,
  })),
});

async function report(name: string, trace: boolean): Promise<DnsReport> {
  return await clock.settle(reportQuery(resolver, { name, type: 16, trace }, clock.now));
}

Deno.test("a report has the records as a zone file has them, and nothing that a terminal obeys", async () => {
  const plain = await report("a.test", false);
  assert.deepEqual(plain.records, ['"h\\"\\027"']);
  assert.deepEqual(plain.steps, []);
  assert.match(
    reportText(plain),
    /^a\.test TXT: found, indeterminate, 300 s to live, \d+ ms\n {2}reason 5: not validated\n {2}"h/,
  );
});

Deno.test("with trace each step is told, and the cache is not used", async () => {
  await report("a.test", false);
  const traced = await report("a.test", true);
  assert.deepEqual(traced.steps.map(({ text }) => text), [
    "ask the recursive servers for a.test TXT",
    "192.0.2.53 answers NOERROR: a.test TXT x 1",
  ]);
  assert.match(reportText(traced), /^ +\d+ ms {2}ask the recursive servers for a\.test TXT\n/);
});

Deno.test("a fault is a report, too", async () => {
  const broken = await report("broken.test", false);
  assert.deepEqual([broken.result, broken.records], ["server-failure", []]);
  assert.match(reportText(broken), /answered SERVFAIL/);
});

Deno.test("the route asks the server, and says what it cannot do", async () => {
  const harness = await Harness.open();
  try {
    const found = await harness.send("GET", "/dns/query?name=a.test&type=txt&trace=true");
    assert.equal(found.status, 200);
    assert.deepEqual([found.body.name, found.body.result], ["a.test", "found"]);
    assert.equal((await harness.send("GET", "/dns/query?name=a.test&type=NONSENSE")).status, 400);
    assert.equal((await harness.send("GET", "/dns/query?type=A")).status, 400);
  } finally {
    await harness.close();
  }
  const alone = await Harness.open({ alone: true });
  try {
    assert.equal((await alone.send("GET", "/dns/query?name=a.test&type=A")).status, 501);
  } finally {
    await alone.close();
  }
});

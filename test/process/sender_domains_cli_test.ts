/** `veredus dkim`, `veredus dns records` and `dns check`, `veredus report`, as they are typed. */
import assert from "node:assert/strict";
import { TestStore } from "../lib/test_store.ts";
import { Shell } from "./shell.ts";
import { withFolder } from "./veredus.ts";

interface Key {
  readonly selector: string;
  readonly kind: string;
  readonly state: string;
  readonly recordName: string;
  readonly record: string;
}

Deno.test("keys are made, rotated and removed, and the records to publish are printed", () =>
  withFolder(async (folder) => {
    const shell = new Shell(`${folder}/data`);
    await shell.ok("domain add example.org");
    assert.match(
      await shell.ok("dkim list example.org"),
      /^no keys; veredus dkim add example\.org makes them/,
    );
    assert.match((await shell.fails("dkim add other.test"))[1], /other\.test/);
    const made = await shell.ok("dkim add example.org --now");
    // As in a zone file: a long text in strings of 255 octets at most.
    const lines = made.trim().split("\n").filter((line) => line.includes(" TXT "));
    assert.equal(lines.length, 2);
    for (const line of lines) {
      assert.match(
        line,
        /^\d{8}-(rsa|ed25519)\._domainkey\.example\.org\. TXT "v=DKIM1; k=(rsa|ed25519); p=/,
      );
      for (const [, text] of line.matchAll(/"([^"]*)"/g)) assert.ok(text!.length <= 255);
    }
    const keys = async (): Promise<Key[]> => await shell.json("dkim list example.org");
    const states = async () => (await keys()).map(({ kind, state }) => `${kind} ${state}`).sort();
    assert.deepEqual(await states(), ["ed25519 signing", "rsa signing"]);
    assert.match(
      await shell.ok("dkim rotate example.org"),
      /^made keys; publish these records:\n; waiting\n/,
    );
    assert.deepEqual(await states(), ["ed25519 signing", "ed25519 waiting", "rsa signing", "rsa waiting"]);
    await shell.ok("dkim rotate example.org --now");
    assert.deepEqual((await states()).filter((one) => one.endsWith(" retired")), [
      ...["ed25519 retired", "rsa retired"],
    ]);
    const retired = (await keys()).find(({ state }) => state === "retired")!;
    await shell.ok(`dkim remove example.org ${retired.selector} --yes`);
    assert.ok((await keys()).every(({ selector }) => selector !== retired.selector));
    const records = await shell.ok("dns records example.org");
    assert.match(records, /^example\.org\. TXT "v=spf1 /m);
    assert.match(records, /^_dmarc\.example\.org\. TXT "v=DMARC1; p=/m);
    for (const { state, recordName, record } of await keys()) {
      const shown = records.replaceAll('" "', "").includes(`${recordName}. TXT "${record}"`);
      assert.equal(shown, true, `${recordName}, ${state}`);
    }
    assert.match((await shell.fails("dns check example.org"))[1], /only a running server has a resolver/);
    assert.match(await shell.ok("report list --domain example.org --result fail"), /^no reports/);
    const data = await TestStore.open({ path: shell.data });
    await data.ok({
      kind: "put-report",
      report: {
        ...{ kind: "dmarc", domain: "example.org", organization: "Org", reportId: "1", sender: "org.test" },
        ...{ beginAt: 0, endAt: 86_400_000, receivedAt: 1, policy: "p=none" },
        rows: [["192.0.2.1", "pass"], ["192.0.2.2", "fail"], ["192.0.2.3", "fail"]].map((
          [source = "", result = ""],
        ) => ({
          ...{ source, result, count: 7, detail: "none" },
        })),
      },
    });
    await data.close({ keep: true });
    const sources = async (options: string) =>
      (await shell.json(`report list ${options}`) as { source: string }[]).map(({ source }) => source);
    assert.deepEqual(await sources("--domain example.org --result fail"), ["192.0.2.2", "192.0.2.3"]);
    assert.deepEqual(await sources("--source 192.0.2.1"), ["192.0.2.1"]);
    assert.deepEqual(await sources("--domain other.test"), []);
    assert.match(await shell.ok("report list --source 192.0.2.3"), /192\.0\.2\.3 +7 +fail/);
  }));

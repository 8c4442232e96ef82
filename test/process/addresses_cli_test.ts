/** Addresses, groups, aliases to programs, quotas and client certificates by the command line, on the data alone. */
import assert from "node:assert/strict";
import { makeSelfSigned } from "../../server/certificate.ts";
import { Shell } from "./shell.ts";
import { withFolder } from "./veredus.ts";

Deno.test("further and masked addresses: given, disabled, taken away", () =>
  withFolder(async (data) => {
    const shell = new Shell(data);
    await shell.ok("domain add example.org");
    await shell.ok("domain add example.net --alias-of example.org");
    await shell.ok("account add ann@example.org --no-password");
    await shell.ok("address add ann@example.org ann.smith@example.org --note long");
    const masked = await shell.json("address mask ann@example.org --note shop") as { address: string };
    assert.match(masked.address, /^[a-z0-9]{8,}@example\.org$/);
    assert.ok(!masked.address.includes("ann"));
    await shell.ok(`address disable ann@example.org ${masked.address}`);
    const list = await shell.json("address list ann@example.org") as Record<string, unknown>[];
    const rows = list.map(({ address, kind, enabled, note }) => [address, kind, enabled, note]);
    assert.deepEqual(rows.find(([address]) => address === masked.address), [
      masked.address,
      "masked",
      false,
      "shop",
    ]);
    assert.deepEqual(rows.find(([, kind]) => kind === "own"), ["ann.smith@example.org", "own", true, "long"]);
    await shell.ok(`address enable ann@example.org ${masked.address}`);
    await shell.ok(`address remove ann@example.org ann.smith@example.org --yes`);
    assert.equal((await shell.json("address list ann@example.org")).length, 1);
    assert.match(
      (await shell.fails("address add ann@example.org ann@example.org"))[1],
      /ann@example\.org is an account/,
    );
  }));

Deno.test("groups, aliases to programs, the key of return addresses", () =>
  withFolder(async (data) => {
    const shell = new Shell(data);
    await shell.ok("domain add example.org");
    await shell.ok("account add ann@example.org --no-password");
    await shell.ok("group add team@example.org --owner ann@example.org --posting anyone --name Team");
    await shell.ok("group join team@example.org ann@example.org fred@far.example");
    assert.deepEqual(await shell.json("group members team@example.org"), [
      { address: "ann@example.org" },
      { address: "fred@far.example" },
    ]);
    await shell.ok("group leave team@example.org fred@far.example");
    assert.equal((await shell.json("group members team@example.org")).length, 1);
    assert.equal((await shell.json("group show team@example.org")).posting, "anyone");
    await shell.ok("alias add help@example.org command:ticket hook:crm");
    assert.deepEqual((await shell.json("alias show help@example.org")).targets, [
      "command:ticket",
      "hook:crm",
    ]);
    assert.match((await shell.fails("alias add bad@example.org command:../sh"))[1], /command/);
    await shell.ok("alias rotate-key");
  }));

Deno.test("quotas and client certificates", () =>
  withFolder(async (data) => {
    const shell = new Shell(data);
    await shell.ok("domain add example.org");
    await shell.ok("account add ann@example.org --no-password");
    await shell.ok("domain set example.org --account-quota 1000 --over-quota refuse");
    await shell.ok("account set ann@example.org --quota-messages 7");
    assert.equal((await shell.json("account show ann@example.org")).quotaMessages, 7);
    assert.match(JSON.stringify(await shell.json("domain show example.org")), /"refuse"/);
    const { certificatePem } = await makeSelfSigned({ names: ["ann.example.org"], now: Date.now() });
    Deno.writeTextFileSync(`${data}/ann.pem`, certificatePem);
    await shell.ok(`certificate add ann@example.org ${data}/ann.pem --note laptop`);
    const [row] = await shell.json("certificate list ann@example.org");
    assert.match(row.fingerprint, /^[0-9a-f]{64}$/);
    assert.equal(row.note, "laptop");
    await shell.ok(`certificate remove ann@example.org ${row.fingerprint}`);
    assert.deepEqual(await shell.json("certificate list ann@example.org"), []);
  }));

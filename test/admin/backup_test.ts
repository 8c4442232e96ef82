/** Copies by the API: one at a time, how far it is, the way to stop it, and what is measured of it. */
import assert from "node:assert/strict";
import { exposition, metricsAsJson } from "../../telemetry/metrics.ts";
import { inFolder, problemsOf } from "../lib/copied_data.ts";
import { fileMessage } from "../lib/stored_message.ts";
import { Harness } from "./harness.ts";

const LARGE = `Subject: large\r\n\r\n${`${"x".repeat(70)}\r\n`.repeat(30_000)}`;

// deno-lint-ignore no-explicit-any -- the tests say what they expect of it
async function ended(h: Harness): Promise<any> {
  for (;;) {
    const { body } = await h.get("/backup");
    if (body.state !== "running") return body;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

Deno.test("a copy is begun, looked at, told apart from one that runs, stopped, and measured", () =>
  inFolder(async (place) => {
    const h = await Harness.open();
    const inbox = h.test.mailboxId("alice", "INBOX");
    for (let i = 0; i < 10; i++) await fileMessage(h.test.store, inbox, LARGE);
    const none = (await h.get("/backup")).body;
    assert.deepEqual([none.state, none.lastAt], ["none", null]);
    assert.equal((await h.send("DELETE", "/backup")).status, 404);
    const begun = await h.send("POST", "/backup", { body: { to: `${place}/first` } });
    assert.deepEqual([begun.status, begun.body.state, begun.body.to], [202, "running", `${place}/first`]);
    const second = await h.send("POST", "/backup", { body: { to: `${place}/second` } });
    assert.deepEqual([second.status, second.body.fault], [409, "backup-runs"]);
    assert.equal((await h.send("DELETE", "/backup")).status, 204);
    const stopped = (await h.get("/backup")).body;
    assert.deepEqual([stopped.state, stopped.reason, stopped.lastAt], ["failed", "it was stopped", null]);
    assert.throws(() => Deno.statSync(`${place}/first`), Deno.errors.NotFound);

    await h.send("POST", "/backup", { body: { to: `${place}/first` } });
    const done = await ended(h);
    assert.deepEqual([done.state, done.reason, done.missingSegments], ["done", "", []]);
    assert.ok(done.total > 20_000_000 && done.done === done.total && Date.parse(done.lastAt) > 0);
    assert.deepEqual(await problemsOf(`${place}/first`), []);
    const metrics = await exposition([await metricsAsJson()]);
    assert.match(metrics, new RegExp(`^veredus_backup_octets ${done.total}$`, "m"));
    assert.match(metrics, /^veredus_backup_timestamp_seconds 1\d{9}\.?\d*$/m);
    assert.match(metrics, /^veredus_backup_seconds 0\.\d+|[1-9]/m);

    await h.send("POST", "/backup", { body: { to: `${place}/first` } });
    const refused = await ended(h);
    assert.deepEqual([refused.state, /holds a copy already/.test(refused.reason)], ["failed", true]);
    assert.equal(refused.lastAt, done.lastAt);
    assert.equal((await h.send("POST", "/backup", { body: { to: "relative" } })).status, 400);
    await h.close();
  }));

Deno.test("copies by the API are the administrator's, and without a server the command makes them", async () => {
  const alone = await Harness.open({ alone: true });
  const { status, body } = await alone.send("POST", "/backup", { body: { to: "/x" } });
  assert.deepEqual([status, body.fault], [501, "no-server"]);
  await alone.close();
});

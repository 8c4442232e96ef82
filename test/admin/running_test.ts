/** Health, sessions, log levels and reload, with a server and without one. */
import assert from "node:assert/strict";
import type { PlacedSession } from "../../admin/services.ts";
import { Harness } from "./harness.ts";

function session(id: string, more: Partial<PlacedSession> = {}): PlacedSession {
  return {
    id,
    protocol: "imap",
    address: "192.0.2.7",
    since: Date.UTC(2026, 0, 1),
    tls: true,
    account: "alice@example.test",
    doing: "IDLE in INBOX",
    thread: 1,
    ...more,
  };
}

Deno.test("health tells trouble, queue and sessions", async () => {
  const h = await Harness.open();
  h.sessions.push(session("a"));
  await h.queue("alice@example.test", ["x@a.test"]);
  assert.deepEqual((await h.get("/health")).body, {
    status: "ok",
    trouble: null,
    version: "1.2.3",
    startedAt: "2026-01-01T00:00:00.000Z",
    diskFull: false,
    queue: { queued: 1, held: 0, oldestCreatedAt: "2026-01-02T00:00:00.000Z" },
    sessions: 1,
  });
  h.trouble = "no answer from writer";
  const { body } = await h.get("/health");
  assert.deepEqual([body.status, body.trouble], ["trouble", "no answer from writer"]);
  await h.close();
});

Deno.test("sessions are listed, filtered and ended", async () => {
  const h = await Harness.open();
  h.sessions.push(session("b"), session("a"), session("c", { protocol: "smtp", account: null }));
  const ids = async (query: string) =>
    (await h.get(`/sessions${query}`)).body.items.map(({ id }: { id: string }) => id);
  assert.deepEqual(await ids(""), ["a", "b", "c"]);
  assert.deepEqual(await ids("?account=Alice@example.test"), ["a", "b"]);
  assert.deepEqual(await ids("?protocol=smtp"), ["c"]);
  assert.equal((await h.get("/sessions?protocol=gopher")).status, 400);
  assert.equal((await h.send("DELETE", "/sessions/b")).status, 204);
  assert.deepEqual(h.ended, ["b"]);
  const none = await h.send("DELETE", "/sessions/zzz");
  assert.deepEqual([none.status, none.body.fault], [404, "no-such-session"]);
  await h.close();
});

Deno.test("log levels are shown and set, of one area or in common", async () => {
  const h = await Harness.open();
  const put = (body: unknown) => h.send("PUT", "/log-levels", { body });
  assert.deepEqual((await h.get("/log-levels")).body, { level: "info", areas: {} });
  assert.deepEqual((await put({ area: "imap", level: "debug" })).body, {
    level: "info",
    areas: { imap: "debug" },
  });
  assert.deepEqual((await put({ level: "error" })).body, { level: "error", areas: { imap: "debug" } });
  assert.equal((await put({ area: "cooking", level: "debug" })).status, 400);
  assert.equal((await put({ level: "loud" })).status, 400);
  await h.close();
});

Deno.test("reload names what needs a restart, or says why nothing changed", async () => {
  const h = await Harness.open();
  h.reload = () => Promise.resolve(["threads"]);
  assert.deepEqual((await h.send("POST", "/reload")).body, { needRestart: ["threads"] });
  h.reload = () => Promise.reject(new Error("veredus.yaml:3:1: threads: -1: must be positive"));
  const refused = await h.send("POST", "/reload");
  assert.deepEqual([refused.status, refused.body.fault], [409, "config"]);
  assert.match(refused.body.detail, /the old one stays in force: veredus\.yaml:3:1/);
  await h.close();
});

Deno.test("the settings in force are told to administrators alone, all or by what their keys begin with", async () => {
  const h = await Harness.open();
  h.settings = [
    { key: "limits.recipients", value: 1_000, set: false, about: "recipients of one message" },
    { key: "smtp.vrfy", value: "logins", set: true, about: "who may ask" },
  ];
  assert.deepEqual((await h.get("/settings")).body.items, h.settings);
  assert.deepEqual((await h.get("/settings?key=smtp.")).body.items, h.settings.slice(1));
  assert.deepEqual((await h.get("/settings?key=none")).body.items, []);
  await h.close();
});

Deno.test("without a server what needs one says so", async () => {
  const h = await Harness.open({ alone: true });
  const asks: [string, string, unknown?][] = [
    ["GET", "/sessions"],
    ["DELETE", "/sessions/a"],
    ["GET", "/log-levels"],
    ["PUT", "/log-levels", { level: "debug" }],
    ["POST", "/reload"],
    ["GET", "/settings"],
  ];
  for (const [method, path, body] of asks) {
    const answer = await h.send(method, path, { ...(body !== undefined && { body }) });
    assert.equal(answer.status, 501, path);
  }
  assert.equal((await h.get("/health")).body.sessions, null);
  await h.close();
});

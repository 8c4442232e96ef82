/** The log of what happened to each message: written late, found again, removed when it is old. */
import assert from "node:assert/strict";
import { findTraces, TraceLog } from "../../storage/trace_log.ts";

const DAY = 86_400_000;
const NOON = Date.UTC(2026, 10, 24, 12);

Deno.test("events of several threads and days come together, by id, Message-ID and address", async () => {
  const folder = await Deno.makeTempDir();
  const faults: unknown[] = [];
  let now = NOON;
  const open = (name: string) =>
    new TraceLog({ folder, name, keepMs: 2 * DAY, clock: () => now, onFault: (error) => faults.push(error) });
  const front = open("frontend-1"), queue = open("queue");
  front.note({
    at: now,
    trace: "t1",
    event: "accepted",
    from: "a@x.example",
    to: ["b@y.example"],
    messageId: "<M1@x>",
  });
  front.note({
    at: now + 1,
    trace: "t2",
    event: "refused",
    from: "a@x.example",
    to: ["c@y.example"],
    reply: 'a "quoted"\nline',
  });
  await front.close();
  now += DAY;
  queue.note({ at: now, trace: "t1", event: "attempt", to: ["b@y.example"], reply: "250 2.0.0 taken" });
  await queue.close();
  const events = async (about: string, limit = 9) =>
    (await findTraces(folder, { about, limit })).map((found) =>
      found.map((one) => `${one.trace} ${(one as { event?: string }).event}`)
    );
  const life = ["t1 accepted", "t1 attempt"];
  assert.deepEqual(await events("t1"), [life]);
  assert.deepEqual(await events("<m1@X>"), [life]);
  assert.deepEqual(await events("m1@x"), [life]);
  assert.deepEqual(await events("B@y.example"), [life]);
  assert.deepEqual(await events("a@x.example"), [["t2 refused"], life]);
  assert.deepEqual(await events("a@x.example", 1), [["t2 refused"]]);
  assert.deepEqual(await events("x.example"), []);
  // A line that was cut by a crash is left out.
  await Deno.writeTextFile(`${folder}/2026-11-25.cut.jsonl`, '{"at":1,"trace":"t1","ev');
  assert.deepEqual(await events("t1"), [life]);
  now += 2 * DAY;
  const late = open("frontend-1");
  late.note({ at: now, trace: "t3", event: "accepted" });
  await late.close();
  assert.deepEqual(await events("t2"), []);
  assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name).sort(), [
    "2026-11-25.cut.jsonl",
    "2026-11-25.queue.jsonl",
    "2026-11-27.frontend-1.jsonl",
  ]);
  assert.deepEqual(faults, []);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("a folder that cannot be written is told once, and nobody else notices", async () => {
  const folder = await Deno.makeTempDir();
  const faults: unknown[] = [];
  const log = new TraceLog({
    folder,
    name: "x",
    keepMs: DAY,
    clock: () => NOON,
    onFault: (error) => faults.push(error),
  });
  await Deno.remove(folder, { recursive: true });
  log.note({ at: 1, trace: "t" });
  await log.close();
  log.note({ at: 2, trace: "t" });
  await log.close();
  assert.equal(faults.length, 1);
});

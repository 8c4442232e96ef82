/** The accept loop without file descriptors, in a program of its own. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { run, until } from "../lib/program.ts";
import { hasRoomForConnection, linesOf, openFilesLimit } from "../../server/descriptors.ts";
import { freeOffset } from "../lib/ports.ts";

const PROGRAM = fileURLToPath(import.meta.resolve("./crowded_listener.ts"));
const CROWD = 60;

/** Seconds of processor time so far. */
function processorSeconds(pid: number): number {
  const fields = Deno.readTextFileSync(`/proc/${pid}/stat`).split(") ").at(-1)!.split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

async function isServed(connection: Deno.Conn): Promise<boolean> {
  const octets = new Uint8Array(100);
  return ((await connection.read(octets)) ?? 0) > 0;
}

Deno.test("without descriptors the accept loop waits instead of spinning, and takes who waited as soon as it can", async () => {
  const port = 25 + freeOffset();
  const child = new Deno.Command(Deno.execPath(), {
    // The runtime would write its code cache after a while, and end without a descriptor for it.
    args: ["run", "-A", "--no-check", "--no-code-cache", PROGRAM, String(port)],
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const output = child.stdout.getReader();
  assert.match(new TextDecoder().decode((await output.read()).value), /listening/);
  // Behind its start: of those that were there then the listener keeps enough.
  assert.equal((await run("prlimit", ["--pid", String(child.pid), "--nofile=60:60"])).code, 0);
  const crowd: Deno.Conn[] = [];
  let served = 0;
  for (let i = 0; i < CROWD; i++) {
    const connection = await Deno.connect({ hostname: "127.0.0.1", port });
    crowd.push(connection);
    isServed(connection).then(() => served++, () => {});
  }
  const descriptors = () => [...Deno.readDirSync(`/proc/${child.pid}/fd`)].length;
  await until("they are used up", () => descriptors() >= 60, 10_000);
  const before = processorSeconds(child.pid);
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  const spent = processorSeconds(child.pid) - before;
  assert.ok(spent < 0.5, `${spent} s of processor time in 3 s`);
  const first = served;
  assert.ok(first > 5 && first < CROWD, `${first} of ${CROWD} got in`);
  for (const connection of crowd.slice(0, first)) connection.close();
  await until("those who waited get in", () => served > first + 5, 10_000);
  for (const connection of crowd.slice(first)) connection.close();
  child.kill("SIGKILL");
  await child.status;
  await output.cancel();
});

Deno.test("connections leave descriptors for what those that are in come to need, and both for everything else", () => {
  assert.deepEqual(linesOf(65_536), { connection: 61_859, need: 65_136 });
  assert.deepEqual(linesOf(1_024), { connection: 572, need: 624 });
  assert.deepEqual(linesOf(240), { connection: 108, need: 120 });
  assert.deepEqual(linesOf(Infinity), { connection: Infinity, need: Infinity });
  assert.equal(hasRoomForConnection(3), true);
  assert.equal(hasRoomForConnection(linesOf(openFilesLimit()).connection), false);
});

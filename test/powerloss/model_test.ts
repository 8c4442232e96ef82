/** The reader of traces and the model of a disk, on small cases written by hand. */
import assert from "node:assert/strict";
import { Random } from "../crash/random.ts";
import { Disk } from "./disk.ts";
import { parseTrace, type TraceEvent } from "./trace.ts";

/** As `strace -xx` writes strings and paths. */
function hex(text: string): string {
  return [...new TextEncoder().encode(text)].map((octet) => `\\x${octet.toString(16).padStart(2, "0")}`).join(
    "",
  );
}

function parse(lines: readonly string[]): TraceEvent[] {
  const events: TraceEvent[] = [];
  parseTrace(lines.join("\n"), "/d", events);
  return events;
}

const A = `<${hex("/d/a")}>`;
const opened = `7 openat(AT_FDCWD, "${hex("/d/a")}", O_RDWR|O_CREAT|O_CLOEXEC, 0600) = 5${A}`;

Deno.test("writes are placed where the descriptor stands, through every copy of it", () => {
  const events = parse([
    opened,
    `7 fcntl(5${A}, F_DUPFD_CLOEXEC, 3) = 9${A}`,
    `8 lseek(9${A}, 96, SEEK_SET <unfinished ...>`,
    `7 write(6<${hex("socket:[1]")}>, "${hex("250 ok\r\n")}", 8) = 8`,
    `8 <... lseek resumed>)              = 96`,
    `8 write(5${A}, "${hex("abc")}", 3) = 3`,
    `8 write(9${A}, "${hex("defg")}", 4) = 2`,
    `8 pwrite64(9${A}, "${hex("z")}", 1, 7) = 1`,
  ]);
  const writes = events.flatMap((event) =>
    event.kind === "write" ? [[event.offset, new TextDecoder().decode(event.data)]] : []
  );
  assert.deepEqual(writes, [[96, "abc"], [99, "de"], [7, "z"]]);
  assert.deepEqual(events[1], { kind: "sent", text: "250 ok\r\n" });
});

Deno.test("a sync counts from where it began, and one that failed is told", () => {
  const events = parse([
    opened,
    `7 fdatasync(5${A} <unfinished ...>`,
    `8 pwrite64(5${A}, "${hex("late")}", 4, 0) = 4`,
    `7 <... fdatasync resumed>)          = 0 (DELAYED)`,
    `7 fsync(5${A})                      = -1 EIO (Input/output error) (INJECTED)`,
  ]);
  assert.deepEqual(events.map(({ kind }) => kind), ["create", "write", "sync", "sync-failed"]);
  const sync = events[2]!;
  assert.equal(sync.kind === "sync" && sync.began, 1);
});

Deno.test("a process that is killed inside a call has sent what its peer may have; files stay as they were", () => {
  const events = parse([
    opened,
    `7 sendto(6<${hex("socket:[1]")}>, "${hex("250 ok\r\n")}", 8, MSG_NOSIGNAL, NULL, 0 <unfinished ...>`,
    `8 pwrite64(5${A}, "${hex("late")}", 4, 0 <unfinished ...>`,
    `7 <... sendto resumed>)             = ?`,
    `8 <... pwrite64 resumed>)           = ?`,
    `7 +++ killed by SIGKILL +++`,
  ]);
  assert.deepEqual(events.slice(1), [{ kind: "sent", text: "250 ok\r\n" }]);
});

Deno.test("calls that failed, and files elsewhere, are no events", () => {
  const elsewhere = `<${hex("/other/a")}>`;
  const events = parse([
    `7 openat(AT_FDCWD, "${hex("/d/b")}", O_RDWR|O_CREAT) = -1 EEXIST (File exists)`,
    `7 unlink("${hex("/d/b")}") = -1 ENOENT (No such file or directory)`,
    `7 pwrite64(5${elsewhere}, "${hex("x")}", 1, 0) = 1`,
  ]);
  assert.deepEqual(events, []);
});

Deno.test("an unknown call on a file of the folder is an error, not a gap", () => {
  assert.throws(() => parse([`7 sendfile(5${A}, 6, NULL, 10) = 10`]), /does not understand/);
});

const octets = (text: string) => new TextEncoder().encode(text);
const create: TraceEvent = { kind: "create", path: "/d/a" };
const write = (text: string, offset = 0): TraceEvent => ({
  kind: "write",
  path: "/d/a",
  offset,
  data: octets(text),
});

/** Every content of `/d/a` that may be found after a loss of power; null when the file is not there. */
function outcomes(events: readonly TraceEvent[]): Set<string | null> {
  const disk = new Disk();
  for (const event of events) disk.apply(event);
  const seen = new Set<string | null>();
  for (let seed = 1; seed <= 200; seed++) {
    const to = Deno.makeTempDirSync({ prefix: "veredus-model-" });
    disk.materialize("/d", to, new Random(seed));
    try {
      seen.add(Deno.readTextFileSync(`${to}/a`));
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      seen.add(null);
    }
    Deno.removeSync(to, { recursive: true });
  }
  return seen;
}

Deno.test("without a sync everything is possible, with both syncs only one thing", () => {
  const loose = outcomes([{ kind: "mkdir", path: "/d" }, create, write("abcd")]);
  assert.ok(loose.has(null) && loose.has("") && loose.has("abcd"));
  assert.ok([...loose].some((text) => text === "ab" || text === "a" || text === "abc"), "torn");
  const synced: TraceEvent[] = [
    { kind: "mkdir", path: "/d" },
    create,
    write("abcd"),
    { kind: "sync", path: "/d/a", began: 3 },
    { kind: "sync", path: "/d", began: 4 },
  ];
  assert.deepEqual([...outcomes(synced)], ["abcd"]);
});

Deno.test("a sync covers nothing that was written after it began, and nothing a failed one left", () => {
  const base: TraceEvent[] = [{ kind: "mkdir", path: "/d" }, create, { kind: "sync", path: "/d", began: 2 }];
  const late = outcomes([...base, write("old"), write("new"), { kind: "sync", path: "/d/a", began: 4 }]);
  assert.ok(late.has("old") && late.has("new"));
  const failed = outcomes([
    ...base,
    write("x"),
    { kind: "sync-failed", path: "/d/a" },
    write("y", 1),
    { kind: "sync", path: "/d/a", began: 6 },
  ]);
  assert.ok(failed.has("\0y") && failed.has("xy") && !failed.has("x"));
});

/** `veredus start` as a process: what it says, what it keeps, how it ends, and who starts it again. */
import assert from "node:assert/strict";
import { ImapClient } from "../lib/imap_client.ts";
import { run, until } from "../lib/program.ts";
import { freeOffset } from "../lib/ports.ts";
import { READY, Running, veredus, withFolder } from "./veredus.ts";

function startArguments(data: string, offset: number, ...more: string[]): string[] {
  return ["start", "--data", data, "--port-offset", String(offset), ...more];
}

async function login(offset: number, password: string): Promise<string> {
  const client = await ImapClient.connect(143 + offset);
  const { status } = await client.command(`LOGIN alice@example.test ${password}`);
  client.close();
  return status;
}

Deno.test("the first start makes a password, a later one keeps it, --password changes it", () =>
  withFolder(async (data) => {
    const offset = freeOffset();
    const first = new Running(startArguments(data, offset));
    await first.said(READY);
    for (const port of [25, 587, 465, 143, 993, 110, 995, 4190, 80, 443]) {
      assert.match(first.stdout, new RegExp(`127\\.0\\.0\\.1:${port + offset}\\s`));
    }
    assert.match(first.stdout, /alice@example\.test, bob@example\.test/);
    assert.match(first.stdout, /outside@example\.test/);
    const password = /^ {2}password {3}(\S+)$/m.exec(first.stdout)?.[1] ?? "";
    assert.match(password, /^[2-9a-z]{3}(-[2-9a-z]{3}){3}$/);
    const commands = first.stdout.split("\n").filter((line) => /^ {2}(swaks|curl) /.test(line));
    assert.equal(commands.length, 3);
    assert.ok(commands.some((line) => line.includes(`--user alice@example.test:${password}`)));
    assert.equal(await login(offset, password), "OK");
    assert.equal((await first.stop()).code, 0);

    const second = new Running(startArguments(data, offset));
    await second.said(READY);
    assert.ok(!second.stdout.includes(password), "an old password is not told again");
    assert.equal(await login(offset, password), "OK");
    assert.equal((await second.stop()).code, 0);

    const third = new Running(startArguments(data, offset, "--password", "other", "--threads", "0"));
    await third.said(READY);
    assert.equal(await login(offset, "other"), "OK");
    assert.equal(await login(offset, password), "NO");
    assert.equal((await third.stop()).code, 0);
  }));

Deno.test("a second start says who holds the lock; a taken port and a foreign folder are named", () =>
  withFolder(async (data) => {
    const offset = freeOffset();
    const first = new Running(startArguments(data, offset, "--password", "secret"));
    await first.said(READY);
    const second = await veredus(startArguments(data, freeOffset()));
    assert.equal(second.code, 69);
    assert.ok(second.stderr.includes(`process ${first.pid} (veredus start)`), second.stderr);
    assert.ok(second.stderr.includes(data), second.stderr);

    await withFolder(async (other) => {
      const third = await veredus(startArguments(other, offset));
      assert.equal(third.code, 71);
      assert.match(third.stderr, new RegExp(`smtp: port ${25 + offset} on 127\\.0\\.0\\.1 is in use`));
    });

    // SIGHUP has nothing to read again here, and does no harm.
    first.kill("SIGHUP");
    await first.said("SIGHUP");
    assert.equal(await login(offset, "secret"), "OK");
    assert.equal((await first.stop()).code, 0);
    assert.throws(() => Deno.statSync(`${data}/run/control.sock`), Deno.errors.NotFound);
  }));

const WRONG: [string[], string][] = [
  [["--port-offset", "x"], "--port-offset x"],
  [["--port-offset", "64541"], "0 to 61345"],
  [["--threads", "many"], "--threads many"],
  [["--address", "0.0.0.0"], "only loopback"],
  [["--relay", "nowhere"], "HOST:PORT"],
  [["--relay", "host:0"], "HOST:PORT"],
  [["--log-level", "loud"], "trace, debug"],
  [["--password", ""], "--password"],
  [["--colour"], "--colour"],
  [["extra"], "too many arguments"],
];
Deno.test("arguments that make no sense are told with their value, and nothing is made", () =>
  withFolder(async (folder) => {
    const results = await Promise.all(
      WRONG.map(async ([args, words]) => ({
        words,
        ...await veredus(["start", "--data", `${folder}/new`, ...args]),
      })),
    );
    for (const { words, code, stderr } of results) {
      assert.equal(code, 2, `${words}: ${stderr}`);
      assert.ok(stderr.includes(words), `${words}: ${stderr}`);
    }
    assert.throws(() => Deno.statSync(`${folder}/new`), Deno.errors.NotFound);
  }));

Deno.test("SIGTERM says goodbye to idle clients and takes no new ones", () =>
  withFolder(async (data) => {
    const offset = freeOffset();
    const server = new Running(startArguments(data, offset, "--password", "secret"));
    await server.said(READY);
    const client = await ImapClient.connect(143 + offset, {
      login: "alice@example.test",
      password: "secret",
    });
    server.kill("SIGTERM");
    assert.match((await client.response()).line, /^\* BYE/);
    client.close();
    assert.equal((await server.ended()).code, 0);
    await assert.rejects(
      Deno.connect({ hostname: "127.0.0.1", port: 143 + offset }),
      Deno.errors.ConnectionRefused,
    );
  }));

/** The real writer meets a real failure: its files may not grow any more (EFBIG), which no disk ever takes back. */
for (const threads of ["2", "0"]) {
  Deno.test(`the death of the writer ends the process with its reason (--threads ${threads})`, () =>
    withFolder(async (data) => {
      const offset = freeOffset();
      const args = startArguments(data, offset, "--password", "secret", "--threads", threads);
      const server = new Running(args, { before: ["sh", "-c", `trap '' XFSZ; exec "$@"`, "sh"] });
      await server.said(READY);
      assert.equal((await veredus(["domain", "add", "kept.test", "--data", data])).code, 0);
      await run("prlimit", ["--pid", String(server.pid), "--fsize=4096:unlimited"]);
      const command = await veredus(["domain", "add", "lost.test", "--data", data]);
      assert.notEqual(command.code, 0, "nothing is acknowledged that was not committed");
      const { code } = await server.ended();
      assert.equal(code, 70);
      assert.match(server.stderr, /veredus: the writer died and the server ends with it: .*disk I\/O error/);

      const again = new Running(args);
      await again.said(READY);
      const { stdout } = await veredus(["domain", "list", "--data", data, "--json"]);
      const names = (JSON.parse(stdout) as { name: string }[]).map(({ name }) => name);
      assert.deepEqual(names, ["example.test", "kept.test"]);
      assert.equal((await again.stop()).code, 0);
    }));
}

async function serverOf(supervisor: Running): Promise<number> {
  const { stdout } = await run("ps", ["-o", "pid=", "--ppid", String(supervisor.pid)]);
  return Number(stdout.trim());
}

Deno.test("--supervise starts a killed server again, passes SIGTERM on, and leaves none behind", () =>
  withFolder(async (data) => {
    const offset = freeOffset();
    const args = startArguments(data, offset, "--password", "secret", "--supervise");
    const supervisor = new Running(args);
    await supervisor.said(READY);
    const first = await serverOf(supervisor);
    Deno.kill(first, "SIGKILL");
    await supervisor.said("the server ended with SIGKILL; it is started again in 500 ms");
    await until("a second server", () => supervisor.stdout.split(READY).length === 3, 30_000);
    assert.equal(await login(offset, "secret"), "OK");
    assert.notEqual(await serverOf(supervisor), first);
    assert.equal((await supervisor.stop()).code, 0);

    const orphaned = new Running(args);
    await orphaned.said(READY);
    const second = await serverOf(orphaned);
    orphaned.kill("SIGKILL");
    await until("the orphan to end", () => {
      try {
        return Deno.readTextFileSync(`/proc/${second}/stat`).includes(") Z ");
      } catch (error) {
        return error instanceof Deno.errors.NotFound;
      }
    }, 20_000);
    await orphaned.ended();
  }));

Deno.test("--supervise does not try again what cannot get better", () =>
  withFolder(async (data) => {
    const supervisor = new Running(["start", "--data", data, "--threads", "many", "--supervise"]);
    assert.equal((await supervisor.ended()).code, 2);
    assert.ok(!supervisor.stderr.includes("started again"));
  }));

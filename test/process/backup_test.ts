/** Backup and restore as an operator does them: beside a server that takes mail, and killed at any moment. */
import assert from "node:assert/strict";
import { ImapClient } from "../lib/imap_client.ts";
import { freeOffset } from "../lib/ports.ts";
import { until } from "../lib/program.ts";
import { SmtpClient } from "../lib/smtp_client.ts";
import { Shell } from "./shell.ts";
import { READY, Running, startLocal, veredus, withFolder } from "./veredus.ts";

const ALICE = "alice@example.test";
const BODY = "a line of the body\r\n";

/** Every tenth goes into a file of its own. */
function messageOf(number: number): string {
  const lines = number % 10 === 0 ? 20_000 : 50 + number % 100;
  return `From: x@elsewhere.test\r\nSubject: ${number}\r\n\r\n${BODY.repeat(lines)}end of ${number}\r\n`;
}

/** Senders that go on until they are told to stop. */
class Traffic {
  readonly acknowledged: number[] = [];
  sent = 0;
  #goesOn = true;
  #senders: Promise<void>[];

  constructor(port: number, senders: number) {
    this.#senders = Array.from({ length: senders }, () => this.#send(port));
  }

  async stop(): Promise<void> {
    this.#goesOn = false;
    await Promise.all(this.#senders);
  }

  async #send(port: number): Promise<void> {
    const client = await SmtpClient.connect(port);
    while (this.#goesOn) {
      const number = ++this.sent;
      const { code } = await client.send("x@elsewhere.test", [ALICE], messageOf(number));
      assert.equal(code, 250);
      this.acknowledged.push(number);
    }
    await client.quit();
  }
}

interface Inbox {
  readonly uidValidity: number;
  readonly mailboxId: string;
  /** As they came, without what the server put in front. */
  readonly numbers: number[];
}

/** Reads all of it, octet by octet. */
async function inboxOf(offset: number): Promise<Inbox> {
  const client = await ImapClient.connect(143 + offset, {
    login: ALICE,
    password: "secret",
    timeoutMs: 60_000,
  });
  const opened = (await client.ok("SELECT INBOX")).untagged.map(({ line }) => line).join("\n");
  const { untagged } = await client.ok("UID FETCH 1:* (BODY.PEEK[])");
  await client.logout();
  const numbers = untagged.flatMap(({ literals }) => literals).map((octets) => {
    const text = new TextDecoder().decode(octets);
    const number = Number(/^Subject: (\d+)\r$/m.exec(text)?.[1]);
    assert.ok(text.endsWith(messageOf(number)), `message ${number} is what was sent`);
    return number;
  });
  return {
    uidValidity: Number(/UIDVALIDITY (\d+)/.exec(opened)?.[1]),
    mailboxId: /MAILBOXID \(([\w-]+)\)/.exec(opened)?.[1] ?? "",
    numbers: numbers.sort((a, b) => a - b),
  };
}

for (const threads of ["0", "1"]) {
  Deno.test(`a copy made under load has all that was acknowledged before it began (--threads ${threads})`, () =>
    withFolder(async (place) => {
      const shell = new Shell(`${place}/data`);
      let offset = freeOffset();
      const server = await startLocal(shell.data, offset, ["--threads", threads]);
      const traffic = new Traffic(25 + offset, 3);
      await until("there is mail", () => traffic.acknowledged.length >= 60);
      const before = [...traffic.acknowledged];
      const copy = await shell.json(`backup ${place}/copy`);
      const meanwhile = traffic.acknowledged.length - before.length;
      assert.ok(meanwhile > 0, "mail comes in meanwhile");
      assert.ok(copy.octets > 1_000_000 && copy.missing.length === 0);
      await traffic.stop();
      const lost = await inboxOf(offset);
      server.kill("SIGKILL");
      await server.ended();

      assert.match(await new Shell(`${place}/copy`).ok("verify"), /\n0 problems/);
      const back = new Shell(`${place}/back`);
      const refused = await new Shell(shell.data).fails(`restore ${place}/copy`);
      assert.deepEqual([refused[0], /is not empty/.test(refused[1])], [1, true]);
      assert.match(
        await back.ok(`restore ${place}/copy`),
        /\n\d+ mailboxes have UIDVALIDITY \d+: clients load/,
      );
      offset = freeOffset();
      const again = await startLocal(back.data, offset, ["--threads", threads]);
      const found = await inboxOf(offset);
      assert.equal(new Set(found.numbers).size, found.numbers.length, "each is there once");
      assert.deepEqual(before.filter((number) => !found.numbers.includes(number)), []);
      assert.deepEqual(found.numbers.filter((number) => !lost.numbers.includes(number)), []);
      assert.ok(found.uidValidity > lost.uidValidity);
      assert.deepEqual([lost.mailboxId, found.mailboxId], ["F1", `F1-${found.uidValidity}`]);
      const client = await SmtpClient.connect(25 + offset);
      assert.equal((await client.send("x@elsewhere.test", [ALICE], messageOf(100_001))).code, 250);
      await client.quit();
      assert.equal((await inboxOf(offset)).numbers.at(-1), 100_001);
      await again.stop();
      assert.match(await back.ok("verify"), /\n0 problems/);
    }));
}

/** Enough for a kill to come in the middle. */
async function withMail(place: string, work: (shell: Shell, offset: number) => Promise<void>): Promise<void> {
  const shell = new Shell(`${place}/data`);
  const offset = freeOffset();
  const server = await startLocal(shell.data, offset, ["--threads", "1"]);
  const client = await SmtpClient.connect(25 + offset);
  for (let number = 10; number <= 1_000; number += 10) {
    assert.equal((await client.send("x@elsewhere.test", [ALICE], messageOf(number))).code, 250);
  }
  await client.quit();
  try {
    await work(shell, offset);
  } finally {
    await server.stop();
  }
}

function isThere(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Runs a command and kills it once a folder has so many files; false when it was faster. */
async function killedAt(
  { folder, files }: { readonly folder: string; readonly files: number },
  args: readonly string[],
  proof: () => boolean,
): Promise<boolean> {
  const command = new Running(args);
  let ended = false;
  const end = command.ended(60_000).then(() => ended = true);
  while (!ended && filesIn(folder) < files) await new Promise((resolve) => setTimeout(resolve, 1));
  if (!ended) command.kill("SIGKILL");
  await end;
  return proof();
}

function filesIn(folder: string): number {
  return isThere(folder) ? [...Deno.readDirSync(folder)].length : 0;
}

Deno.test("a backup that is killed leaves the server and its data unharmed, and the next one is made", () =>
  withFolder((place) =>
    withMail(place, async (shell, offset) => {
      let killed = 0;
      for (
        const [at, [folder, files]] of ([["", 2], ["/segments", 1], ["/segments", 40]] as const).entries()
      ) {
        const to = `${place}/copy${at}`;
        const half = () => !isThere(`${to}/manifest.jsonl`);
        const moment = { folder: `${to}${folder}`, files };
        if (!await killedAt(moment, ["backup", to, "--data", shell.data], half)) continue;
        killed++;
        assert.match((await shell.fails(`backup ${to}`))[1], /is not empty: name another folder/);
        const [code, words] = await new Shell(`${place}/x`).fails(`restore ${to}`);
        assert.deepEqual([code, /this is no copy made by .*, or half of one/.test(words)], [1, true]);
      }
      assert.ok(killed > 0, "one was killed in the middle");
      assert.match(await shell.ok("verify"), /\n0 problems/);
      assert.equal((await inboxOf(offset)).numbers.length, 100);
      await shell.ok(`backup ${place}/whole`);
      assert.match(await new Shell(`${place}/whole`).ok("verify"), /\n0 problems/);
      assert.equal((await shell.fails(`backup ${shell.data}/inside`))[0], 1);
    })
  ));

Deno.test("a server makes a copy when the API asks, tells of it, and takes half of one back when it stops", () =>
  withFolder(async (place) => {
    const shell = new Shell(`${place}/data`);
    const offset = freeOffset();
    const server = await startLocal(shell.data, offset, ["--threads", "1"]);
    const client = await SmtpClient.connect(25 + offset);
    for (let number = 10; number <= 600; number += 10) {
      assert.equal((await client.send("x@elsewhere.test", [ALICE], messageOf(number))).code, 250);
    }
    await client.quit();
    const token = (await shell.ok("token add copies --scope admin")).trim().split(/\s+/).find((word) =>
      word.startsWith("vrd_")
    );
    const call = async (method: string, body?: object) => {
      const response = await fetch(`http://127.0.0.1:${80 + offset}/api/v1/backup`, {
        method,
        headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      return await response.json();
    };
    assert.equal((await call("POST", { to: `${place}/copy` })).state, "running");
    const done = await until("the copy is done", async () => {
      const state = await call("GET");
      return state.state === "running" ? null : state;
    });
    assert.deepEqual([done.state, done.reason], ["done", ""]);
    assert.match(await new Shell(`${place}/copy`).ok("verify"), /\n0 problems/);
    await server.said(/the data was copied to .*copy: \d+ octets in \d+ files/);
    const metrics = await (await fetch(`http://127.0.0.1:${80 + offset}/metrics`)).text();
    assert.match(metrics, new RegExp(`^veredus_backup_octets ${done.total}$`, "m"));

    await call("POST", { to: `${place}/half` });
    await until("it is half done", () => filesIn(`${place}/half/segments`) > 3);
    await server.stop();
    // Nothing, or, where it was faster, all of it.
    assert.ok(!isThere(`${place}/half`) || isThere(`${place}/half/manifest.jsonl`));
    assert.equal((await shell.json("verify")).ok, true);
  }));

Deno.test("a restore that is killed starts no server, and is begun again by the same command", () =>
  withFolder(async (place) => {
    await withMail(place, async (shell) => {
      await shell.ok(`backup ${place}/copy`);
    });
    const back = new Shell(`${place}/back`);
    const half = () => isThere(`${back.data}/restoring`);
    const moment = { folder: `${back.data}/segments`, files: 5 };
    let killed = false;
    for (let left = 5; !killed && left > 0; left--) {
      await Deno.remove(back.data, { recursive: true }).catch(() => {});
      killed = await killedAt(
        moment,
        ["restore", `${place}/copy`, "--data", back.data],
        half,
      );
    }
    assert.ok(killed, "it was killed in the middle");
    const offset = freeOffset();
    const start = ["start", "--data", back.data, "--port-offset", String(offset), "--password", "secret"];
    const refused = await veredus(start);
    assert.deepEqual([refused.code, /cut off; run `veredus restore` again/.test(refused.stderr)], [71, true]);
    assert.equal((await back.fails("account list"))[0], 69);
    await back.ok(`restore ${place}/copy`);
    const server = await startLocal(back.data, offset);
    assert.equal((await inboxOf(offset)).numbers.length, 100);
    await server.stop();
  }));

Deno.test("a copy is no data folder for a server, nor for commands, until it is made one in place", () =>
  withFolder(async (place) => {
    const shell = new Shell(`${place}/data`);
    await shell.ok("domain add example.org");
    await shell.ok("account add ann@example.org --password-stdin", "secret\n");
    await shell.ok(`backup ${place}/copy`); // without a server
    const copy = new Shell(`${place}/copy`);
    const args = [
      "start",
      "--data",
      copy.data,
      "--port-offset",
      String(freeOffset()),
      "--password",
      "secret",
    ];
    const refused = await veredus(args);
    assert.deepEqual([refused.code, /is a copy: .*--in-place/.test(refused.stderr)], [71, true]);
    assert.equal((await copy.fails("account list"))[0], 69);
    assert.equal((await copy.fails("verify --fix"))[0], 69);
    for (const command of [`backup ${place}/again`, "account add bob@example.org --password-stdin"]) {
      const [code, words] = await copy.fails(command);
      assert.deepEqual([code, /^veredus: .* is a copy: /.test(words)], [69, true], words);
    }
    assert.match(await copy.ok("verify"), /\n0 problems/);
    assert.equal((await copy.fails("restore"))[0], 2);
    const report = await copy.json("restore --in-place --above 3000000000");
    assert.ok(report.uidValidity > 3_000_000_000 && report.mailboxes === 6);
    assert.equal((await copy.json("account list")).length, 1);
    const server = new Running(args);
    await server.said(READY);
    assert.match((await copy.fails("restore --in-place"))[1], /stop the server first/);
    await server.stop();
  }));

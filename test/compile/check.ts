/**
 * `deno task compile:check`: builds the executable and tries it: start, mail in over plain and implicit TLS, IMAP and
 * POP3 out, SIGKILL, start again, the mail still there; the command line; under another user when run as root.
 *
 * Compiled by the Deno that runs this. Where that one cannot download its runtime for executables, the older pair of
 * .ci/denort.sh does it; that one has no server side of TLS in node:tls, hence no STARTTLS (and `tls: compact` always):
 * the check says so and leaves STARTTLS to the tests, which run under the pinned Deno. Ends with `N passed, N failed`.
 */
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { encode } from "../../bytes/decode.ts";
import { compile, EXECUTABLE } from "../../server/compile.ts";
import { ExtractProcess } from "../../server/extract_process.ts";
import { run, runOk } from "../lib/program.ts";
import { freeOffset } from "../lib/ports.ts";
import { MAIN, ServerProcess } from "../lib/server_process.ts";
import { Wire } from "../lib/wire.ts";
import { pdfSaying } from "../search/pdf_file.ts";

const PASSWORD = "secret";
const LOGIN = `AUTH PLAIN ${btoa(`\0alice@example.test\0${PASSWORD}`)}`;

let passed = 0, failed = 0;

async function check(name: string, work: () => Promise<void>): Promise<void> {
  const begin = performance.now();
  try {
    await work();
    passed++;
    console.log(`ok      ${name} (${Math.round(performance.now() - begin)} ms)`);
  } catch (error) {
    failed++;
    console.log(`FAILED  ${name}: ${error instanceof Error ? error.stack ?? error.message : error}`);
  }
}

/** Says a line and reads until one begins as expected; returns everything read. */
async function say(wire: Wire, line: string, expected: RegExp): Promise<string> {
  if (line !== "") await wire.write(`${line}\r\n`);
  let read = "";
  for (;;) {
    const got = await wire.line();
    read += `${got}\n`;
    if (expected.test(got)) return read;
    if (/^(4|5)\d\d |^-ERR|^\S+ (NO|BAD) /.test(got)) throw new Error(`${line}: ${got}`);
  }
}

async function sendMail(wire: Wire, options: { subject: string; login: boolean }): Promise<void> {
  await say(wire, "", /^220 /);
  await say(wire, "EHLO client.test", /^250 /);
  if (options.login) await say(wire, LOGIN, /^235 /);
  const from = options.login ? "alice@example.test" : "you@elsewhere.test";
  await say(wire, `MAIL FROM:<${from}>`, /^250 /);
  await say(wire, "RCPT TO:<alice@example.test>", /^250 /);
  await say(wire, "DATA", /^354 /);
  await say(wire, `From: ${from}\r\nSubject: ${options.subject}\r\n\r\nbody\r\n.`, /^250 /);
  await say(wire, "QUIT", /^221 /);
  wire.close();
}

async function subjectsByImap(wire: Wire): Promise<string[]> {
  await say(wire, "", /^\* OK/);
  await say(wire, `a LOGIN alice@example.test ${PASSWORD}`, /^a OK/);
  await say(wire, "b SELECT INBOX", /^b OK/);
  const text = await say(wire, "c FETCH 1:* BODY.PEEK[HEADER.FIELDS (SUBJECT)]", /^c OK/);
  await say(wire, "d LOGOUT", /^d OK/);
  wire.close();
  return [...text.matchAll(/^Subject: (.*)$/gm)].map((match) => match[1]!).sort();
}

async function subjectsByPop(wire: Wire): Promise<string[]> {
  await say(wire, "", /^\+OK/);
  await say(wire, "USER alice@example.test", /^\+OK/);
  await say(wire, `PASS ${PASSWORD}`, /^\+OK/);
  const count = Number(/^\+OK (\d+)/.exec(await say(wire, "STAT", /^\+OK/))![1]);
  const subjects: string[] = [];
  for (let number = 1; number <= count; number++) {
    const text = await say(wire, `RETR ${number}`, /^\.$/);
    subjects.push(/^Subject: (.*)$/m.exec(text)![1]!);
  }
  await say(wire, "QUIT", /^\+OK/);
  wire.close();
  return subjects.sort();
}

/** The pinned Deno, or the older pair. */
async function build(): Promise<void> {
  const explicit = Deno.env.get("DENO_FOR_COMPILE") !== undefined;
  const first = await compile();
  if (first.success) return;
  assert.ok(!explicit, `deno compile ended with ${first.code}`);
  console.log(
    "this Deno could not compile (its runtime cannot be downloaded?): trying the pair of .ci/denort.sh",
  );
  const { stdout } = await runOk("bash", [join(dirname(MAIN), ".ci", "denort.sh")], { timeoutMs: 300_000 });
  for (const [, name, value] of stdout.matchAll(/(\w+)=(\S+)/g)) {
    Deno.env.set(name!, value!.replaceAll("\\", ""));
  }
  const second = await compile();
  assert.ok(second.success, `deno compile ended with ${second.code}`);
}

async function smoke(threads: string): Promise<void> {
  const data = await Deno.makeTempDir({ prefix: "veredus-compiled-" });
  const offset = freeOffset();
  const start = () =>
    ServerProcess.start({
      dataDir: data,
      offset,
      password: PASSWORD,
      args: ["--threads", threads],
      command: [EXECUTABLE],
    });
  let server = await start();
  console.log(`        --threads ${threads}: ready after ${Math.round(server.readyAfterMs)} ms`);
  const plain = (port: number) => Wire.connect(server.port(port));
  const tls = async (port: number) =>
    new Wire(
      await Deno.connectTls({
        hostname: "localhost",
        port: server.port(port),
        caCerts: [Deno.readTextFileSync(`${data}/tls/self-signed.crt`)],
      }),
    );
  const all = ["over implicit TLS", "over plain"];
  const named = (name: string) => `${name} (--threads ${threads})`;

  await check(named("mail in over plain"), async () => {
    await sendMail(await plain(25), { subject: all[1]!, login: false });
  });
  await check(named("mail in over implicit TLS, with a login"), async () => {
    await sendMail(await tls(465), { subject: all[0]!, login: true });
  });
  const readAll = async () => {
    assert.deepEqual(await subjectsByImap(await plain(143)), all, "IMAP");
    assert.deepEqual(await subjectsByImap(await tls(993)), all, "IMAP over TLS");
    assert.deepEqual(await subjectsByPop(await plain(110)), all, "POP3");
    assert.deepEqual(await subjectsByPop(await tls(995)), all, "POP3 over TLS");
  };
  await check(named("IMAP and POP3 out, plain and implicit TLS"), readAll);
  await check(named("a charset that only the library knows is searched"), async () => {
    const wire = await plain(143);
    await say(wire, "", /^\* OK/);
    await say(wire, `a LOGIN alice@example.test ${PASSWORD}`, /^a OK/);
    const message = "Subject: =?cp437?Q?t=82?=\r\n\r\n";
    await say(wire, `b APPEND Sent {${message.length}+}\r\n${message}`, /^b OK/);
    await say(wire, "c SELECT Sent", /^c OK/);
    assert.match(await say(wire, "d SEARCH CHARSET UTF-8 SUBJECT {3+}\r\nté", /^d OK/), /^\* SEARCH 1$/m);
    wire.close();
  });
  await check(
    named("the native library was unpacked in the data folder, where nobody else may look"),
    async () => {
      const { mode } = await Deno.stat(`${data}/tmp`);
      assert.equal(mode! & 0o777, 0o700);
      const names = [...Deno.readDirSync(`${data}/tmp`)].map(({ name }) => name);
      assert.ok(names.some((name) => name.endsWith(".node")), names.join());
    },
  );
  await check(named("the command line reaches it, and the API answers"), async () => {
    const { stdout } = await runOk(EXECUTABLE, ["account", "list", "--json", "--data", data]);
    assert.equal((JSON.parse(stdout) as unknown[]).length, 3);
    const response = await fetch(`http://127.0.0.1:${server.port(80)}/healthz`);
    assert.deepEqual(await response.json(), { status: "ok" });
    const second = await run(EXECUTABLE, ["start", "--data", data, "--port-offset", String(freeOffset())]);
    assert.equal(second.code, 69, second.stderr);
  });
  await check(named("SIGKILL, start again: the mail is still there, once"), async () => {
    await server.kill();
    const before = [...Deno.readDirSync(`${data}/tmp`)].length;
    server = await start();
    await readAll();
    assert.equal(
      [...Deno.readDirSync(`${data}/tmp`)].length,
      before,
      "no library is left behind by each start",
    );
  });
  await check(named("SIGTERM ends it, and the data is sound"), async () => {
    assert.equal((await server.stop()).code, 0);
    const { stdout } = await runOk(EXECUTABLE, ["verify", "--json", "--data", data]);
    assert.equal((JSON.parse(stdout) as { ok: boolean }).ok, true, stdout);
  });
  await server.kill();
  if (/no STARTTLS/.test(server.output)) {
    console.log(
      "note    STARTTLS is not in this executable: its older runtime has no server side of TLS in node:tls.",
    );
    console.log("note    Under the pinned Deno it is, and test/server and test:peers test it.");
  }
  await Deno.remove(data, { recursive: true });
}

/** Its Workers, and the library for PDF, are in the executable. */
async function attachedFiles(): Promise<void> {
  const reader = new ExtractProcess({ command: [EXECUTABLE, "extract-text"] });
  try {
    for (
      const [octets, words] of [[pdfSaying("a heron"), "a heron"], [
        encode("{\\rtf1 an egret}"),
        "an egret",
      ]] as const
    ) {
      const { outcome, text, fault } = await reader.extract({ octets, characters: 100, timeMs: 30_000 });
      assert.deepEqual({ outcome, text }, { outcome: "extracted", text: words }, fault);
    }
  } finally {
    await reader.close();
  }
}

/** As root it becomes its user before it unpacks, opens or binds anything. */
async function underAnotherUser(): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "veredus-compiled-" });
  await Deno.chmod(folder, 0o755);
  const program = join(folder, "veredus"), file = join(folder, "veredus.yaml");
  await Deno.copyFile(EXECUTABLE, program);
  const port = 143 + freeOffset();
  const listener = `{ protocol: imap, address: 127.0.0.1, port: ${port} }`;
  await Deno.writeTextFile(
    file,
    `hostname: mx.example.test\nuser: nobody\ndata: data\ndrain: 1s\nlisteners: [${listener}]\n`,
  );
  const child = new Deno.Command(program, {
    args: ["serve", "--config", file],
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const stderr = new Response(child.stderr).text();
  let ended = false;
  child.status.then(() => ended = true);
  try {
    for (const until = Date.now() + 20_000;;) {
      try {
        (await Deno.connect({ hostname: "127.0.0.1", port })).close();
        break;
      } catch (error) {
        if (!(error instanceof Deno.errors.ConnectionRefused) || Date.now() > until || ended) throw error;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
    const { uid } = await Deno.stat(join(folder, "data"));
    assert.match(await Deno.readTextFile(`/proc/${child.pid}/status`), new RegExp(`^Uid:\\s+${uid}\\s`, "m"));
    assert.notEqual(uid, 0);
    await runOk(program, ["domain", "add", "example.org", "--config", file]);
    assert.equal((await runOk("find", [join(folder, "data"), "-uid", "0"])).stdout, "");
  } catch (error) {
    if (!ended) child.kill("SIGKILL");
    throw new Error(await stderr, { cause: error });
  }
  child.kill("SIGTERM");
  assert.equal((await child.status).code, 0);
  await Deno.remove(folder, { recursive: true });
}

await check("compile", build);
if (failed === 0) {
  await check("version", async () => {
    const { stdout } = await runOk(EXECUTABLE, ["version", "--json"]);
    const { standalone, deno } = JSON.parse(stdout) as { standalone: boolean; deno: string };
    assert.equal(standalone, true);
    console.log(`        made with Deno ${deno}, ${Math.round((await Deno.stat(EXECUTABLE)).size / 1e6)} MB`);
  });
  for (const threads of ["auto", "0"]) await smoke(threads);
  await check("text of attached files is taken out", attachedFiles);
  if (Deno.uid() === 0) await check("started as root it serves as its user", underAnotherUser);
}
console.log(`${passed} passed, ${failed} failed`);
Deno.exit(failed === 0 ? 0 : 1);

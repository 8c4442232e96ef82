/**
 * The unit that `veredus service` prints, before systemd's own eyes: it is read without a word of complaint, systemd counts it
 * among the well sandboxed ones, and its filter allows every system call that a working server makes.
 *
 * No systemd runs here, so the unit is not started.
 */
import assert from "node:assert/strict";
import { freeOffset } from "../lib/ports.ts";
import { ImapClient } from "../lib/imap_client.ts";
import { run, runOk } from "../lib/program.ts";
import { SmtpClient } from "../lib/smtp_client.ts";
import { READY, Running, veredus, withFolder } from "../process/veredus.ts";

/** Tenths of systemd's points of exposure, of 100. */
const MOST_EXPOSED = "25";
/** The engine tries it and goes on without, where it is refused. */
const DISPENSABLE = ["pkey_alloc"];
const ALICE = "alice@example.test";
/** Every system call stops for the tracer. */
const PATIENCE_MS = 300_000;

const version = await run("systemd-analyze", ["--version"]).catch(() => null);
const obstacle = version?.code === 0 ? null : "not installed: systemd";
if (obstacle !== null) console.log(`service_unit_test is skipped: ${obstacle}`);

async function unitOf(folder: string, config: string): Promise<string> {
  const file = `${folder}/veredus.yaml`;
  Deno.writeTextFileSync(file, config);
  const { code, stdout, stderr } = await veredus(["service", "--config", file]);
  assert.equal(code, 0, stderr);
  return stdout;
}

/** What systemd says of a unit; "" is nothing. */
async function complaints(folder: string, unit: string): Promise<string> {
  const file = `${folder}/veredus.service`;
  Deno.writeTextFileSync(file, unit);
  const { code, stdout, stderr } = await run("systemd-analyze", ["verify", "--man=no", file]);
  return `${code === 0 ? "" : `${code} `}${stdout}${stderr}`.trim();
}

Deno.test({
  name:
    "systemd reads the unit without a complaint, whatever stands in paths, and sees each fault that is put in",
  ignore: obstacle !== null,
  fn: () =>
    withFolder(async (folder) => {
      const config = "hostname: mx.example.org\nuser: mail\ndata: data\n";
      const unit = await unitOf(folder, config);
      assert.equal(await complaints(folder, unit), "");
      const odd = `${folder}/a b%h "$HOME"`;
      Deno.mkdirSync(odd);
      assert.equal(await complaints(folder, await unitOf(odd, config)), "");
      assert.equal(await complaints(folder, await unitOf(folder, "hostname: mx.example.org\n")), "");
      for (
        const [right, wrong] of [
          ["ProtectProc=invisible", "ProtectProc=invisibly"],
          ["Restart=always", "Restart=ever"],
          ["KillMode=", "KilMode="],
          ["ExecStart=", "ExecStart=/nowhere"],
          ["@system-service", "@sytem-service"],
        ] as const
      ) {
        assert.ok(unit.includes(right), right);
        assert.notEqual(await complaints(folder, unit.replace(right, wrong)), "", wrong);
      }
    }),
});

Deno.test({
  name: "systemd counts it among the well sandboxed",
  ignore: obstacle !== null,
  fn: () =>
    withFolder(async (folder) => {
      Deno.writeTextFileSync(
        `${folder}/veredus.service`,
        await unitOf(folder, "hostname: mx.example.org\nuser: mail\n"),
      );
      const judge = [
        "security",
        "--offline=true",
        `--threshold=${MOST_EXPOSED}`,
        `${folder}/veredus.service`,
      ];
      const { code, stdout } = await run("systemd-analyze", judge);
      assert.equal(code, 0, stdout);
    }),
});

/** Names in a set of system calls, with those of the sets in it. */
async function callsIn(set: string): Promise<Set<string>> {
  const { stdout } = await runOk("systemd-analyze", ["syscall-filter", set]);
  const names = stdout.split("\n").slice(1).map((line) => line.trim()).filter((line) =>
    /^[@\w-]+$/.test(line)
  );
  const inner = await Promise.all(names.filter((name) => name.startsWith("@")).map(callsIn));
  return new Set([...names, ...inner.flatMap((calls) => [...calls])]);
}

async function childOf(pid: number): Promise<number> {
  return Number((await runOk("ps", ["-o", "pid=", "--ppid", String(pid)])).stdout.trim());
}

Deno.test({
  name: "its filter allows every system call of a server that starts, takes a message, shows it and stops",
  ignore: obstacle !== null,
  fn: () =>
    withFolder(async (folder) => {
      const offset = freeOffset(), summary = `${folder}/calls`;
      const args = [
        "start",
        "--data",
        `${folder}/data`,
        "--port-offset",
        String(offset),
        "--password",
        "secret",
      ];
      const server = new Running(args, { before: ["strace", "-f", "-c", "-o", summary] });
      try {
        await server.said(READY, PATIENCE_MS);
        const smtp = await SmtpClient.connect(25 + offset, { timeoutMs: PATIENCE_MS });
        assert.equal((await smtp.send("x@e.test", [ALICE], "Subject: x\r\n\r\nx\r\n")).code, 250);
        await smtp.quit();
        const login = { login: ALICE, password: "secret", timeoutMs: PATIENCE_MS };
        const imap = await ImapClient.connect(143 + offset, login);
        const { untagged } = await imap.ok("SELECT INBOX");
        assert.ok(untagged.some(({ line }) => line === "* 1 EXISTS"));
        await imap.logout();
      } finally {
        Deno.kill(await childOf(server.pid), "SIGTERM");
        assert.equal((await server.ended(PATIENCE_MS)).code, 0);
      }
      const made = Deno.readTextFileSync(summary).split("\n")
        .flatMap((line) => /^ *[\d.]+ +[\d.]+ +\d+ +\d+ .*?([a-z]\w*)$/.exec(line)?.[1] ?? []).filter((
          name,
        ) => name !== "total");
      assert.ok(made.includes("fdatasync") && made.includes("accept4") && made.length > 40, made.join());
      const allowed = await callsIn("@system-service");
      assert.deepEqual(made.filter((name) => !allowed.has(name) && !DISPENSABLE.includes(name)), []);
    }),
});

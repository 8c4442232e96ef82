/**
 * `veredus serve`: never as root. Started as root it becomes its user with one capability, and as that user it opens
 * ports again for a reloaded certificate and for a front end that died.
 *
 * The user may be unable to read anything of ours: sources, packages and Deno are laid out for it in a folder of its own.
 */
import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { dirname, join } from "node:path";
import { connect } from "node:tls";
import { makeSelfSigned } from "../../server/certificate.ts";
import { SOURCE_FOLDERS } from "../../server/entries.ts";
import { ImapClient } from "../lib/imap_client.ts";
import { freeOffset } from "../lib/ports.ts";
import { runOk, until } from "../lib/program.ts";
import { MAIN } from "../lib/server_process.ts";
import { SmtpClient } from "../lib/smtp_client.ts";
import { Wire } from "../lib/wire.ts";
import { READY, Running, veredus, withFolder } from "./veredus.ts";

const USER = "nobody";
const ALICE = "alice@example.test";
const PORTS = [25, 465, 993];

/** A loopback address whose real ports are free; null without the right to them. */
function addressForRealPorts(): string | null {
  if (Deno.uid() !== 0) return null;
  for (let attempt = 0; attempt < 20; attempt++) {
    const address = `127.${randomInt(1, 255)}.${randomInt(1, 255)}.${randomInt(1, 255)}`;
    if (PORTS.every((port) => isFree(address, port))) return address;
  }
  return null;
}

function isFree(hostname: string, port: number): boolean {
  try {
    Deno.listen({ hostname, port }).close();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse || error instanceof Deno.errors.PermissionDenied) return false;
    throw error;
  }
}

/** What the user needs to run us; `deno run` of the copied sources as a command. */
async function layOut(
  folder: string,
): Promise<{ command: string[]; admin: string[]; env: Record<string, string> }> {
  Deno.chmodSync(folder, 0o755);
  const root = dirname(MAIN), source = join(folder, "source"), cache = join(folder, "cache");
  const { denoDir } = JSON.parse((await runOk(Deno.execPath(), ["info", "--json"])).stdout) as {
    denoDir: string;
  };
  Deno.mkdirSync(join(source, "test", "process"), { recursive: true });
  Deno.mkdirSync(cache);
  const inSource = (names: string[]) => names.map((name) => join(root, name));
  await runOk("cp", [
    "-rL",
    ...inSource([...SOURCE_FOLDERS, "main.ts", "program.ts", "deno.json", "deno.lock"]),
    source,
  ]);
  await runOk("cp", [
    ...inSource(["test/process/serve_mortal.ts", "test/process/mortal_frontend.ts"]),
    join(source, "test", "process"),
  ]);
  await runOk("chmod", ["-R", "a+rX", source]);
  await runOk("cp", ["-L", Deno.execPath(), join(folder, "deno")]);
  Deno.chmodSync(join(folder, "deno"), 0o755);
  // Links where they can be made: it is a lot.
  await runOk("sh", ["-c", `cp -al "$1/npm" "$2" || cp -a "$1/npm" "$2"`, "sh", denoDir, cache]);
  await runOk("find", [cache, "-type", "d", "-exec", "chown", USER, "{}", "+"]);
  const deno = [join(folder, "deno"), "run", "-A"];
  return {
    command: [...deno, join(source, "test", "process", "serve_mortal.ts")],
    admin: [...deno, join(source, "main.ts")],
    env: { DENO_DIR: cache, HOME: folder },
  };
}

/** SHA-256 of the certificate that a TLS port shows. */
function fingerprint(hostname: string, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: hostname, port, rejectUnauthorized: false }, () => {
      resolve(socket.getPeerCertificate().fingerprint256);
      socket.destroy();
    });
    socket.on("error", reject);
  });
}

async function greeting(hostname: string): Promise<string> {
  const wire = await Wire.connect(25, { hostname });
  const line = await wire.line();
  wire.close();
  return line;
}

const address = addressForRealPorts();

Deno.test({
  name:
    "as root: another user, one capability; certificate reloaded, front end replaced, ports 25 and 993 answer",
  ignore: address === null,
  fn: () =>
    withFolder(async (folder) => {
      const { command, admin, env } = await layOut(folder);
      const file = join(folder, "veredus.yaml");
      const [certificate, key, data] = ["server.crt", "server.key", "data"].map((name) => join(folder, name));
      const configure = (more: string) =>
        Deno.writeTextFileSync(
          file,
          [
            "hostname: mx.example.test",
            `user: ${USER}`,
            `data: ${data}`,
            "drain: 2s",
            `certificates: [{ certificate: ${certificate}, key: ${key} }]`,
            "listeners:",
            `  - { protocol: smtp, address: ${address} }`,
            `  - { protocol: imaps, address: ${address}, tls: compact }`,
            `  - { protocol: submissions, address: ${address}, tls: full }`,
            more,
          ].join("\n"),
        );
      const certify = async () => {
        const made = await makeSelfSigned({ names: ["mx.example.test"], now: Date.now() });
        Deno.writeTextFileSync(certificate!, made.certificatePem);
        Deno.writeTextFileSync(key!, made.keyPem);
        await runOk("chown", [USER, certificate!, key!]);
      };
      await certify();
      configure("threads: 1");

      const server = new Running(["serve", "--config", file], { command, env });
      await server.said("Veredus serves mx.example.test", 60_000);
      const status = Deno.readTextFileSync(`/proc/${server.pid}/status`);
      const { uid, gid } = Deno.statSync(data!);
      assert.notEqual(uid, 0);
      assert.match(status, new RegExp(`^Uid:\\s+${uid}\\s+${uid}\\s+${uid}\\s+${uid}$`, "m"));
      assert.match(status, new RegExp(`^Gid:\\s+${gid}\\s+${gid}\\s+${gid}\\s+${gid}$`, "m"));
      // Bit 10 is CAP_NET_BIND_SERVICE.
      for (const set of ["CapPrm", "CapEff", "CapBnd"]) {
        assert.match(status, new RegExp(`^${set}:\\s+0+400$`, "m"));
      }
      assert.match(status, /^NoNewPrivs:\s+1$/m);

      assert.match(await greeting(address!), /^220 mx\.example\.test /);
      const first = await fingerprint(address!, 993);
      assert.equal(await fingerprint(address!, 465), first);

      await certify();
      server.kill("SIGHUP");
      await server.said("configuration reloaded");
      await until("the new certificate", async () => await fingerprint(address!, 993) !== first);
      const second = await fingerprint(address!, 993);
      assert.equal(await fingerprint(address!, 465), second);

      Deno.writeTextFileSync(join(data!, "run", "die"), "");
      await server.said("frontend-1 died and is started again");
      await server.said("frontend-1 runs again");
      assert.match(await greeting(address!), /^220 mx\.example\.test /);
      assert.equal(await fingerprint(address!, 993), second);

      configure("threads: 2");
      server.kill("SIGHUP");
      await server.said("these changes need a restart: threads");
      configure("threads: none");
      server.kill("SIGHUP");
      await server.said(/was not taken over, the old one stays in force: .*veredus\.yaml:10:1/);
      configure("threads: 1");

      const asRoot = (...args: string[]) =>
        runOk(admin[0]!, [...admin.slice(1), ...args, "--config", file], { env });
      await asRoot("domain", "add", "one.test");
      assert.match(
        (await asRoot("settings", "--changed")).stdout,
        /^KEY +VALUE +FROM\nhostname +mx\.example\.test +file\n/,
      );
      assert.match(
        (await asRoot("settings", "limits.recip")).stdout,
        /\nlimits\.recipients +1000 +default\n$/,
      );
      server.kill("SIGTERM");
      assert.equal((await server.ended()).code, 0);
      await asRoot("domain", "add", "two.test"); // nobody runs: as the owner of the folder, not as root
      const { stdout } = await asRoot("domain", "list", "--json");
      assert.deepEqual((JSON.parse(stdout) as { name: string }[]).map(({ name }) => name), [
        "one.test",
        "two.test",
      ]);
      assert.equal((await runOk("find", [data!, "-uid", "0"])).stdout, "");
    }),
});

Deno.test({
  name: "as root without a user, with one that is none, or on somebody else's data it says what to do",
  ignore: Deno.uid() !== 0,
  fn: () =>
    withFolder(async (folder) => {
      const file = join(folder, "veredus.yaml");
      const serve = async (config: string) => {
        Deno.writeTextFileSync(file, `hostname: mx.example.test\n${config}\n`);
        const { code, stderr } = await veredus(["serve", "--config", file]);
        return `${code} ${stderr.trim()}`;
      };
      assert.match(await serve("data: d"), /^71 .*never works as root.*user: veredus.*veredus service/);
      assert.match(await serve("user: no-such-user\ndata: d"), /^71 .*no user no-such-user.*useradd/);
      assert.match(await serve("user: root\ndata: d"), /^71 .*is root, which the server must not be/);
      Deno.mkdirSync(join(folder, "ours"));
      assert.match(
        await serve(`user: ${USER}\ndata: ours`),
        /^71 .*belongs to user id 0, not to nobody: chown -R/,
      );
      assert.throws(() => Deno.statSync(join(folder, "d")), Deno.errors.NotFound);
    }),
});

Deno.test({
  name:
    "start needs no rights: another user, without any capability, has its ports above 1023 and files a message",
  ignore: Deno.uid() !== 0,
  fn: () =>
    withFolder(async (folder) => {
      const { admin, env } = await layOut(folder);
      const home = join(folder, "home"), offset = freeOffset();
      Deno.mkdirSync(home);
      await runOk("chown", [USER, home]);
      const args = [
        "start",
        "--data",
        join(home, "data"),
        "--port-offset",
        String(offset),
        "--password",
        "secret",
      ];
      const groups = (await runOk("id", ["-g", USER])).stdout.trim();
      const server = new Running(args, {
        before: [
          "setpriv",
          `--reuid=${USER}`,
          `--regid=${groups}`,
          "--clear-groups",
          "--no-new-privs",
          "--bounding-set=-all",
        ],
        command: admin,
        env,
      });
      await server.said(READY, 60_000);
      const status = Deno.readTextFileSync(`/proc/${server.pid}/status`);
      for (const set of ["CapPrm", "CapEff", "CapBnd"]) {
        assert.match(status, new RegExp(`^${set}:\\s+0+$`, "m"));
      }
      const smtp = await SmtpClient.connect(25 + offset);
      assert.equal((await smtp.send("x@e.test", [ALICE], "Subject: x\r\n\r\nx\r\n")).code, 250);
      await smtp.quit();
      const imap = await ImapClient.connect(143 + offset, { login: ALICE, password: "secret" });
      assert.ok((await imap.ok("SELECT INBOX")).untagged.some(({ line }) => line === "* 1 EXISTS"));
      await imap.logout();
      assert.equal((await server.stop()).code, 0);
      assert.equal((await runOk("find", [home, "-uid", "0"])).stdout, "");
    }),
});

Deno.test("a missing configuration is told as such", async () => {
  const { code, stderr } = await veredus(["serve", "--config", "/nonexistent/veredus.yaml"]);
  assert.deepEqual([code, /veredus\.yaml:1:1: no such file/.test(stderr)], [78, true]);
});

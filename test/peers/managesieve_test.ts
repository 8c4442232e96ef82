/**
 * Pigeonhole's ManageSieve server beside ours: the same commands in the same order get the same answer and response code, and
 * every script that one takes or refuses the other takes or refuses.
 *
 * Needs Debian's dovecot-managesieved. Its words are its own; OK, NO and the code in brackets are compared.
 */
import assert from "node:assert/strict";
import { freePort } from "../lib/ports.ts";
import { until } from "../lib/program.ts";
import { PASSWORD, RunningServer } from "../lib/running_server.ts";
import { Wire } from "../lib/wire.ts";
import { PIGEONHOLE_EXTENSIONS, SCRIPTS } from "./sieve_scripts.ts";

const USER = "alice@example.test";
const CONF = (folder: string, port: number) =>
  `base_dir = ${folder}/run
protocols = sieve
ssl = no
disable_plaintext_auth = no
log_path = ${folder}/log
mail_location = maildir:~/mail
first_valid_uid = 1
passdb {
  driver = static
  args = password=${PASSWORD}
}
userdb {
  driver = static
  args = uid=nobody gid=nogroup home=${folder}/home/%n
}
service managesieve-login {
  inet_listener sieve {
    address = 127.0.0.1
    port = ${port}
  }
  inet_listener sieve_deprecated {
    port = 0
  }
}
plugin {
  sieve = file:~/sieve;active=~/.dovecot.sieve
  sieve_extensions = ${PIGEONHOLE_EXTENSIONS}
  sieve_max_script_size = 256k
}
`;

class Client {
  readonly #wire: Wire;

  private constructor(wire: Wire) {
    this.#wire = wire;
  }

  static async connect(port: number): Promise<[Client, string[]]> {
    const client = new Client(await Wire.connect(port));
    return [client, await client.#reply()];
  }

  async #reply(): Promise<string[]> {
    const lines: string[] = [];
    for (;;) {
      const line = await this.#wire.line();
      lines.push(line);
      if (!/^(?:OK|NO|BYE)\b/.test(line)) continue;
      // Longer words come as a literal behind it.
      for (let left = Number(/\{(\d+)\+?\}$/.exec(line)?.[1] ?? -2); left > -2;) {
        left -= (await this.#wire.line()).length + 2;
      }
      return lines;
    }
  }

  async command(text: string): Promise<string[]> {
    await this.#wire.write(`${text}\r\n`);
    return await this.#reply();
  }

  /** OK or NO, with its code; other lines but scripts in front. */
  async answer(text: string): Promise<string> {
    const lines = await this.command(text);
    const [, word, code = ""] = /^(OK|NO|BYE)(?: \(([^)\s]+))?/.exec(lines.at(-1)!)!;
    const before = /^(LIST|GET)SCRIPT/.test(text)
      ? lines.slice(0, -1).filter((line) => line !== "").sort()
      : [];
    return [...before, `${word} ${code.replace(/^(WARNINGS|TAG).*$/, "")}`.trim()].join(" | ");
  }

  close(): void {
    this.#wire.close();
  }
}

const octets = (text: string) => new TextEncoder().encode(text).length;
const put = (name: string, script: string) => `PUTSCRIPT "${name}" {${octets(script)}+}\r\n${script}`;
const check = (script: string) => `CHECKSCRIPT {${octets(script)}+}\r\n${script}`;

const SESSION: readonly string[] = [
  "LISTSCRIPTS",
  put("one", "keep;\r\n"),
  put("two", "discard;\r\n"),
  put("bad", "blub;\r\n"),
  check("keep;\r\n"),
  check("keep\r\n"),
  "LISTSCRIPTS",
  'SETACTIVE "one"',
  'SETACTIVE "none"',
  "LISTSCRIPTS",
  'GETSCRIPT "two"',
  'GETSCRIPT "none"',
  'DELETESCRIPT "one"',
  'DELETESCRIPT "none"',
  'RENAMESCRIPT "one" "two"',
  'RENAMESCRIPT "none" "three"',
  'RENAMESCRIPT "one" "three"',
  "LISTSCRIPTS",
  'HAVESPACE "four" 1000',
  'HAVESPACE "four" 9999999',
  put("large", `# ${"x".repeat(300_000)}\r\n`),
  'SETACTIVE ""',
  'DELETESCRIPT "three"',
  "LISTSCRIPTS",
  "NOOP",
  'NOOP "tag"',
  "BLUB",
];

Deno.test("Pigeonhole's ManageSieve server answers the same to the same commands and scripts", async () => {
  const folder = await Deno.makeTempDir({ prefix: "veredus-managesieve-" });
  await Deno.chmod(folder, 0o755);
  await Deno.mkdir(`${folder}/home/alice`, { recursive: true });
  await Deno.chown(`${folder}/home/alice`, 65_534, 65_534);
  const port = freePort();
  await Deno.writeTextFile(`${folder}/dovecot.conf`, CONF(folder, port));
  const dovecot = new Deno.Command("dovecot", { args: ["-F", "-c", `${folder}/dovecot.conf`] }).spawn();
  try {
    await using server = await RunningServer.start({ threads: 0 });
    const theirs = await until("dovecot answers", async () => {
      try {
        return await Client.connect(port);
      } catch (error) {
        if (error instanceof Deno.errors.ConnectionRefused) return null;
        throw error;
      }
    });
    const ours = await Client.connect(server.port("managesieve"));
    const [sieveOf, clients] = [
      ([, lines]: [Client, string[]]) =>
        new Set(lines.find((line) => line.startsWith('"SIEVE"'))!.slice(9).replaceAll('"', "").split(" ")),
      [ours[0], theirs[0]],
    ];
    const offered = sieveOf(ours);
    const known = [...sieveOf(theirs)].filter((name) => !name.startsWith("vnd."));
    assert.deepEqual(known.filter((name) => !offered.has(name)), [], "extensions that only Pigeonhole has");
    const unused = known.filter((name) => !SCRIPTS.some((script) => script.includes(`"${name}"`)));
    assert.deepEqual(unused, [], "extensions that no script here uses");
    const login = `AUTHENTICATE "PLAIN" "${btoa(`\0${USER}\0${PASSWORD}`)}"`;
    const before = ["LISTSCRIPTS", `AUTHENTICATE "PLAIN" "${btoa(`\0${USER}\0wrong`)}"`, login];
    // UNAUTHENTICATE is left out: it does not have it.
    const scripts = SCRIPTS.flatMap((
      script,
      i,
    ) => [check(script), put(`s${i}`, script), `DELETESCRIPT "s${i}"`]);
    const differences: string[] = [];
    for (
      const command of [...before, ...SESSION, ...scripts, "LOGOUT"]
    ) {
      const [own, other] = await Promise.all(clients.map((client) => client.answer(command)));
      if (own !== other) differences.push(`${command.slice(0, 200)}\n  ours   ${own}\n  theirs ${other}`);
    }
    for (const client of clients) client.close();
    assert.deepEqual(differences, [], differences.join("\n"));
  } finally {
    dovecot.kill("SIGTERM");
    await dovecot.status;
    await Deno.remove(folder, { recursive: true });
  }
});

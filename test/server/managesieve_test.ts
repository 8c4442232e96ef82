/** The ManageSieve driver over connections in memory and a real store: what the repository refuses, and how sessions end. */
import assert from "node:assert/strict";
import type { Verb } from "../../protocols/managesieve/command.ts";
import { MAILBOX_MECHANISMS } from "../../protocols/sasl/mechanisms.ts";
import { Deadlines } from "../../server/deadline.ts";
import { DEFAULT_MANAGESIEVE_OPTIONS, ManageSieveServer } from "../../server/managesieve.ts";
import { MAX_SCRIPTS, MAX_SCRIPTS_OCTETS } from "../../storage/scripts.ts";
import { TestStore } from "../lib/test_store.ts";
import { TestClient } from "./imap_harness.ts";

interface Scene {
  readonly test: TestStore;
  connect(): Promise<TestClient>;
  login(): Promise<TestClient>;
}

function manageSieveTest(name: string, body: (scene: Scene) => Promise<void>): void {
  Deno.test(name, async () => {
    const test = await TestStore.open();
    const deadlines = new Deadlines();
    const clients: TestClient[] = [];
    let ids = 0;
    const server = new ManageSieveServer({
      store: test.store,
      deadlines,
      login: ({ user, password }) => {
        if (password === "later") return Promise.resolve({ kind: "unavailable" });
        if (password === "blocked") return Promise.resolve({ kind: "blocked" });
        const account = test.store.directory.account(`${user}@example.test`);
        return Promise.resolve(
          account !== null && password === "secret" ? { kind: "ok", account } : { kind: "wrong" },
        );
      },
      mechanisms: () => MAILBOX_MECHANISMS,
      implementation: "Veredus",
      now: () => Date.now(),
      newId: () => `id${++ids}`,
    }, { ...DEFAULT_MANAGESIEVE_OPTIONS, plainLoginAllowed: true, loginFailures: 2 });
    const connect = async () => {
      const client = new TestClient((transport) => server.serve(transport));
      clients.push(client);
      await client.until(/^OK "ManageSieve ready"\r\n/m);
      return client;
    };
    const login = async () => {
      const client = await connect();
      await answers(client, [[authenticate("secret"), 'OK "Logged in"']]);
      return client;
    };
    try {
      await body({ test, connect, login });
    } finally {
      for (const client of clients) client.close();
      await Promise.all(clients.map((client) => client.done));
      server.shutdown();
      deadlines.close();
      await test.close();
    }
  });
}

/** Sends each command and compares the reply. */
async function answers(client: TestClient, table: readonly (readonly [string, string])[]): Promise<void> {
  for (const [command, answer] of table) {
    client.send(`${command}\r\n`);
    assert.equal((await client.until(/^(?:OK|NO|BYE)\b.*\r\n/m)).slice(0, -2), answer, command.slice(0, 100));
  }
}

function authenticate(password: string): string {
  return `AUTHENTICATE "PLAIN" "${btoa(`\0alice\0${password}`)}"`;
}

manageSieveTest("scripts: what is there, what is not, what is active", async ({ login }) => {
  const client = await login();
  await answers(client, [
    ['PUTSCRIPT "a" "keep;"', "OK"],
    ['PUTSCRIPT "b" "keep;"', "OK"],
    ['RENAMESCRIPT "a" "b"', 'NO (ALREADYEXISTS) "There is a script of this name"'],
    ['RENAMESCRIPT "none" "c"', 'NO (NONEXISTENT) "There is no such script"'],
    ['GETSCRIPT "none"', 'NO (NONEXISTENT) "There is no such script"'],
    ['SETACTIVE "none"', 'NO (NONEXISTENT) "There is no such script"'],
    ['DELETESCRIPT "none"', 'NO (NONEXISTENT) "There is no such script"'],
    ['SETACTIVE "a"', "OK"],
    ['DELETESCRIPT "a"', 'NO (ACTIVE) "The script is active"'],
  ]);
});

interface Interplay {
  readonly command: string;
  readonly reply: RegExp;
  /** What another session lists from then on; left out: nothing changed. */
  readonly lists?: string;
}

/** Two scripts are there, the first active. */
const INTERPLAY: Readonly<Record<Verb, Interplay>> = {
  AUTHENTICATE: { command: authenticate("secret"), reply: /^NO "Logged in already"/m },
  CAPABILITY: { command: "CAPABILITY", reply: /^OK/m },
  CHECKSCRIPT: { command: 'CHECKSCRIPT "keep;"', reply: /^OK/m },
  DELETESCRIPT: { command: 'DELETESCRIPT "b"', reply: /^OK/m, lists: '"a" ACTIVE' },
  GETSCRIPT: { command: 'GETSCRIPT "b"', reply: /^discard;\r\nOK/m },
  HAVESPACE: { command: 'HAVESPACE "c" 10', reply: /^OK/m },
  LISTSCRIPTS: { command: "LISTSCRIPTS", reply: /^"a" ACTIVE\r\n"b"\r\nOK/m },
  LOGOUT: { command: "LOGOUT", reply: /^OK "Bye"/m },
  NOOP: { command: "NOOP", reply: /^OK/m },
  PUTSCRIPT: { command: 'PUTSCRIPT "c" "keep;"', reply: /^OK/m, lists: '"a" ACTIVE|"b"|"c"' },
  RENAMESCRIPT: { command: 'RENAMESCRIPT "a" "z"', reply: /^OK/m, lists: '"b"|"z" ACTIVE' },
  SETACTIVE: { command: 'SETACTIVE "b"', reply: /^OK/m, lists: '"a"|"b" ACTIVE' },
  STARTTLS: { command: "STARTTLS", reply: /^NO "TLS comes before the login, once"/m },
  UNAUTHENTICATE: { command: "UNAUTHENTICATE", reply: /^OK "Logged out"/m },
};

for (const [verb, line] of Object.entries(INTERPLAY)) {
  manageSieveTest(
    `${verb}: what another session sees of it, and what it sees of another one`,
    async (scene) => {
      const [mine, other] = [await scene.login(), await scene.login()];
      // What the one sees was made by the other.
      await answers(other, [
        ['PUTSCRIPT "b" "discard;"', "OK"],
        ['PUTSCRIPT "a" "keep;"', "OK"],
        ['SETACTIVE "a"', "OK"],
      ]);
      mine.send(`${line.command}\r\n`);
      assert.match(await mine.until(/^(?:OK|NO|BYE)\b.*\r\n/m), line.reply);
      other.send("LISTSCRIPTS\r\n");
      const listed = (await other.until(/^OK\b.*\r\n/m)).split("\r\n").slice(0, -2).join("|");
      assert.equal(listed, line.lists ?? '"a" ACTIVE|"b"');
    },
  );
}

manageSieveTest("scripts: as many and as large as an account may have", async ({ test, login }) => {
  const client = await login();
  const accountId = test.accountId("alice");
  const { scriptOctets } = DEFAULT_MANAGESIEVE_OPTIONS.limits;
  const large = `# ${"x".repeat(scriptOctets - 2)}`;
  const count = MAX_SCRIPTS_OCTETS / scriptOctets;
  const put = (name: string, content: string) =>
    test.ok({ kind: "put-script", scope: "user", owner: String(accountId), name, content });
  for (let i = 1; i <= count; i++) await put(`s${i}`, large);
  await answers(client, [
    [`HAVESPACE "s1" ${scriptOctets}`, "OK"],
    [`HAVESPACE "s1" ${scriptOctets + 1}`, 'NO (QUOTA/MAXSIZE) "There is no room for so many octets"'],
    ['HAVESPACE "more" 1', 'NO (QUOTA/MAXSIZE) "There is no room for so many octets"'],
    ['PUTSCRIPT "more" "keep;"', `NO (QUOTA/MAXSIZE) "At most ${MAX_SCRIPTS_OCTETS} octets of scripts"`],
  ]);
  for (let i = 1; i <= MAX_SCRIPTS; i++) await put(`s${i}`, "keep;");
  await answers(client, [
    ['HAVESPACE "more" 1', 'NO (QUOTA/MAXSCRIPTS) "At most 100 scripts"'],
    ['PUTSCRIPT "more" "keep;"', 'NO (QUOTA/MAXSCRIPTS) "At most 100 scripts"'],
    ['PUTSCRIPT "s1" "keep;"', "OK"],
  ]);
  Object.assign(test.store, {
    write: () => Promise.resolve({ ok: false, fault: "unavailable", detail: "injected" }),
  });
  await answers(client, [['SETACTIVE "s1"', 'NO (TRYLATER) "Not possible just now, try again"']]);
});

manageSieveTest("logins that are refused, too many of them, an account that is closed", async (scene) => {
  const client = await scene.connect();
  await answers(client, [
    [authenticate("later"), 'NO (TRYLATER) "Logins are not possible just now, try again"'],
    [authenticate("wrong"), 'NO "Wrong user name or password"'],
    [authenticate("wrong"), 'NO "Wrong user name or password"'],
  ]);
  await client.until(/^BYE "Too many failed logins"\r\n/m);
  await answers(await scene.connect(), [
    [authenticate("blocked"), 'BYE "Too many failed logins, try again later"'],
  ]);
  const open = await scene.login();
  await scene.test.ok({ kind: "put-account", account: { address: "alice@example.test", enabled: false } });
  await open.until(/^BYE [^\r]*"The account was closed"\r\n/m);
});

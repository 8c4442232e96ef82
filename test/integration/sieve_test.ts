/** Scripts from upload to effect, through the whole server: ManageSieve, SMTP in, IMAP. */
import assert from "node:assert/strict";
import { inBothShapes, PASSWORD, type RunningServer } from "../lib/running_server.ts";
import { Wire } from "../lib/wire.ts";

const LOGIN = btoa(`\0alice@example.test\0${PASSWORD}`);
const LETTER = "From: Far <far@remote.example>\r\nTo: alice@example.test\r\nSubject: one\r\n\r\nhello\r\n";

class Client {
  readonly wire: Wire;

  constructor(wire: Wire) {
    this.wire = wire;
  }

  static async connect(server: RunningServer): Promise<Client> {
    const client = new Client(await Wire.connect(server.port("managesieve")));
    await client.reply();
    return client;
  }

  /** Lines up to the OK, NO or BYE that ends a reply. */
  async reply(): Promise<string[]> {
    const lines: string[] = [];
    for (;;) {
      const line = await this.wire.line();
      lines.push(line);
      if (/^(?:OK|NO|BYE)\b/.test(line)) return lines;
    }
  }

  async command(text: string): Promise<string[]> {
    await this.wire.write(`${text}\r\n`);
    return await this.reply();
  }

  async login(): Promise<void> {
    assert.deepEqual(await this.command(`AUTHENTICATE "PLAIN" "${LOGIN}"`), ['OK "Logged in"']);
  }

  put(name: string, script: string): Promise<string[]> {
    return this.command(`PUTSCRIPT "${name}" {${new TextEncoder().encode(script).length}+}\r\n${script}`);
  }
}

inBothShapes("a script that was put and activated files the next message", async (start) => {
  await using server = await start();
  const client = await Client.connect(server);
  await client.login();
  const bad = await client.put("main", "blub;\nkeep");
  assert.match(bad.join("\n"), /^NO "?.*line 2, column 5/);
  const referring = await client.put(
    "main",
    'require "regex";\nif header :regex "subject" "(a)\\\\1" { keep; }',
  );
  assert.match(referring.join("\n"), /^NO "line 2, column 32: back-references like .* are not supported/);
  assert.deepEqual(await client.command("LISTSCRIPTS"), ["OK"]);
  assert.deepEqual(
    await client.put(
      "main",
      'require ["fileinto", "mailbox", "imap4flags"];\r\nfileinto :create :flags "\\\\Flagged" "Far/Away";\r\n',
    ),
    ["OK"],
  );
  assert.deepEqual(await client.command('SETACTIVE "main"'), ["OK"]);
  assert.deepEqual(await client.command("LISTSCRIPTS"), ['"main" ACTIVE', "OK"]);
  assert.match((await client.command('DELETESCRIPT "main"'))[0]!, /^NO \(ACTIVE\)/);
  assert.match((await client.command('GETSCRIPT "none"'))[0]!, /^NO \(NONEXISTENT\)/);
  assert.match((await client.command('HAVESPACE "main" 999999999'))[0]!, /^NO \(QUOTA\/MAXSIZE\)/);
  assert.deepEqual(await client.command('HAVESPACE "main" 1000'), ["OK"]);
  assert.match((await client.put("big", "#".repeat(300_000)))[0]!, /^NO \(QUOTA\/MAXSIZE\)/);

  const smtp = await server.smtp();
  await smtp.command("EHLO there.example", 250);
  await smtp.send("far@remote.example", ["alice@example.test"], LETTER);
  const imap = await server.imap();
  const status = await imap.ok('STATUS "Far/Away" (MESSAGES UNSEEN)');
  assert.match(JSON.stringify(status), /MESSAGES 1/);
  await imap.ok('SELECT "Far/Away"');
  assert.match(JSON.stringify(await imap.ok("FETCH 1 (FLAGS)")), /\\\\Flagged/);

  // What is stored and active shows in every front end.
  assert.deepEqual(await client.command('RENAMESCRIPT "main" "other"'), ["OK"]);
  assert.deepEqual(await client.command('SETACTIVE ""'), ["OK"]);
  await smtp.send("far@remote.example", ["alice@example.test"], LETTER);
  assert.match(JSON.stringify(await imap.ok('STATUS "INBOX" (MESSAGES)')), /MESSAGES 1/);
  assert.deepEqual(await client.command('DELETESCRIPT "other"'), ["OK"]);
  assert.match((await client.command("UNAUTHENTICATE"))[0]!, /^OK/);
  assert.match((await client.command("LISTSCRIPTS"))[0]!, /^NO/);
  await client.login();
  assert.deepEqual(await client.command("LISTSCRIPTS"), ["OK"]);
  assert.match((await client.command("LOGOUT"))[0]!, /^OK/);
  for (const wire of [client.wire]) wire.close();
  await imap.logout();
  await smtp.quit();
});

inBothShapes("a wrong password is refused, and administration sees the session", async (start) => {
  await using server = await start();
  const client = await Client.connect(server);
  assert.match(
    (await client.command(`AUTHENTICATE "PLAIN" "${btoa("\0alice@example.test\0wrong")}"`))[0]!,
    /^NO /,
  );
  await client.login();
  const [session] = (await server.server.sessions()).filter(({ protocol }) => protocol === "managesieve");
  assert.deepEqual([session?.account, session?.tls], ["alice@example.test", false]);
  client.wire.close();
});

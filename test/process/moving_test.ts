/** `veredus import` and `veredus export` as programs: on the data alone, and by a server that runs. */
import assert from "node:assert/strict";
import { ImapClient } from "../lib/imap_client.ts";
import { freeOffset } from "../lib/ports.ts";
import { Shell } from "./shell.ts";
import { onTerminal, startLocal, veredus, withFolder } from "./veredus.ts";

function maildir(path: string, messages: number): string {
  Deno.mkdirSync(`${path}/cur`, { recursive: true });
  for (let i = 0; i < messages; i++) {
    Deno.writeTextFileSync(`${path}/cur/${1_000 + i}.m:2,S`, `Subject: ${i}\n\nkettle\n`);
  }
  return path;
}

Deno.test("an import and an export on the data alone, then an import by the server and an export beside it", () =>
  withFolder(async (folder) => {
    const data = `${folder}/data`;
    const shell = new Shell(data);
    await shell.json("domain add example.test");
    await shell.json("account add ann@example.test --password-stdin", "first\n");
    const source = maildir(`${folder}/source`, 30);
    const first = await shell.json(`import maildir ann@example.test ${source}`);
    assert.deepEqual([first.state, first.imported, first.skipped, first.failed], ["done", 30, 0, 0]);
    const out = await shell.json(`export ann@example.test --to ${folder}/out`);
    assert.equal(out.messages, 30);
    const [code, words] = await shell.fails(`export ann@example.test --to ${folder}/out`);
    assert.deepEqual([code, /is not empty/.test(words)], [1, true]);

    const offset = freeOffset();
    const server = await startLocal(data, offset);
    maildir(source, 33);
    const second = await shell.json(`import maildir ann@example.test ${source} --keep-uidls --parallel 1`);
    assert.deepEqual([second.state, second.imported, second.skipped], ["done", 3, 30]);
    const client = await ImapClient.connect(143 + offset, { login: "ann@example.test", password: "first" });
    await client.ok("SELECT INBOX");
    const { untagged } = await client.ok("SEARCH SEEN BODY kettle");
    assert.equal(untagged.find(({ line }) => line.startsWith("* SEARCH"))?.line.split(" ").length, 2 + 33);
    await client.logout();
    // From its own IMAP into another account, and out beside the running server.
    await shell.json("account add cleo@example.test --no-password");
    const imap = await shell.json(
      `import imap cleo@example.test 127.0.0.1 --port ${
        143 + offset
      } --clear --user ann@example.test --password-stdin --into Old`,
      "first\n",
    );
    assert.equal(imap.imported, 33);
    assert.equal((await shell.json(`export cleo@example.test --form mbox --to ${folder}/mbox`)).messages, 33);
    assert.match(
      Deno.readTextFileSync(`${folder}/mbox/Old.mbox`),
      /^From MAILER-DAEMON .*\nStatus: RO\nX-UIDL: \d+\.1\nSubject: /,
    );
    const wrong = await veredus([
      ...["import", "imap", "cleo@example.test", "127.0.0.1", "--port", String(143 + offset), "--clear"],
      ...["--user", "ann@example.test", "--password-stdin", "--data", data],
    ], { stdin: "wrong\n" });
    assert.equal(wrong.code, 1);
    assert.match(wrong.stderr, /import: 127\.0\.0\.1:\d+: /);
    const none = await veredus(["import", "mbox", "cleo@example.test", `${folder}/none`, "--data", data]);
    assert.match(none.stderr, /none cannot be read/);
    const noPassword = await veredus([
      "import",
      "imap",
      "cleo@example.test",
      "h",
      "--user",
      "u",
      "--data",
      data,
    ]);
    assert.deepEqual([noPassword.code, /--password-stdin/.test(noPassword.stderr)], [2, true]);
    await server.stop();
  }));

Deno.test("an import and a rebuild of the index show a bar on a terminal, elsewhere what came of it alone", () =>
  withFolder(async (folder) => {
    const data = `${folder}/data`;
    const shell = new Shell(data);
    await shell.ok("domain add example.test");
    await shell.ok("account add ann@example.test --no-password");
    const source = maildir(`${folder}/source`, 300);
    const brought = await onTerminal(["import", "maildir", "ann@example.test", source, "--data", data]);
    assert.equal(brought.code, 0, brought.stdout);
    assert.match(brought.stdout, /import [█░]+ \d+% \| \S+ left/);
    assert.match(brought.stdout, /300 messages \(.*\) of 1 folders brought, 0 were here, 0 failed/);
    const shown = await onTerminal(["index", "rebuild", "ann@example.test", "--data", data]);
    assert.equal(shown.code, 0, shown.stdout);
    assert.match(shown.stdout, /index [█░]+ \d+% \| .+ left/);
    assert.match(shown.stdout, /messages +300 of 300\r$/m);
    const plain = await shell.run("index rebuild ann@example.test");
    assert.deepEqual([plain.code, plain.stderr], [0, ""]);
    assert.match(plain.stdout, /^messages +300 of 300\nsize .*\n$/);
  }));

/** Scripts on IMAP events (RFC 6785), in the running server: by mailbox and account, what they see and what they may do. */
import assert from "node:assert/strict";
import { type ImapClient, literalText } from "../lib/imap_client.ts";
import { until } from "../lib/program.ts";
import { inBothShapes, type RunningServer } from "../lib/running_server.ts";
import { openStore } from "../../storage/open_store.ts";

const MESSAGE = "From: a@x.test\r\nSubject: hello\r\nMessage-ID: <m1@x.test>\r\n\r\nbody\r\n";

async function scripts(server: RunningServer, named: Record<string, string>): Promise<void> {
  const store = openStore({ folder: server.server.folder, writer: server.server.writer });
  const owner = String(store.directory.account("alice@example.test")!.id);
  for (const [name, content] of Object.entries(named)) {
    const result = await store.write({ kind: "put-script", scope: "user", owner, name, content });
    assert.ok(result.ok);
  }
  await store.close();
}

async function append(client: ImapClient, mailbox: string, text = MESSAGE): Promise<void> {
  await client.ok(`APPEND ${mailbox} {${text.length}+}\r\n${text}`);
}

async function flags(client: ImapClient, mailbox: string): Promise<string[]> {
  await client.ok(`EXAMINE ${mailbox}`);
  const { untagged } = await client.ok("FETCH 1:* (FLAGS)").catch(() => ({ untagged: [] }));
  await client.ok("UNSELECT");
  return untagged.flatMap(({ line }) =>
    /FLAGS \(([^)]*)\)/.exec(line)?.[1]?.replace("\\Recent", "").trim() ?? []
  );
}

inBothShapes(
  "the script of a mailbox, or of the account, runs on APPEND, COPY, MOVE and changed flags",
  async (start) => {
    await using server = await start();
    await scripts(server, {
      all: `require ["imapsieve", "environment", "imap4flags", "variables", "fileinto", "copy", "mailbox"];
      if environment :matches "imap.cause" "*" { set "cause" "\${1}"; }
      if environment :matches "imap.mailbox" "*" { set "mailbox" "\${1}"; }
      if environment :matches "imap.user" "*" { set "user" "\${1}"; }
      if environment :matches "imap.changedflags" "*" { set "changed" "\${1}"; }
      if allof (environment "location" "MS", environment "phase" "post") {
        addflag "$\${cause}";
        if string "\${cause}" "FLAG" { if string "\${changed}" "\\\\Flagged" { addflag "changed-flagged"; } if string "\${changed}" "\\\\Seen" { addflag "changed-seen"; } if hasflag "\\\\Flagged" { addflag "was-flagged"; } }
        if string "\${mailbox}" "Work" { addflag "in-work"; }
        if string "\${user}" "alice@example.test" { addflag "by-alice"; }
      }`,
      away: 'require ["imapsieve", "fileinto", "mailbox"]; fileinto :create "Filed";',
      throwaway: 'require "imapsieve"; discard;',
      wrong: 'require ["imapsieve", "vacation"]; vacation "no";',
    });
    const client = await server.imap("alice");
    assert.match((await client.ok("CAPABILITY")).untagged[0]!.line, / IMAPSIEVE=sieve:\/\/[^ ]+( |$)/);
    for (const mailbox of ["Work", "Away", "Trashy", "Wrong", "Quiet", "Plain"]) {
      await client.ok(
        `CREATE ${mailbox}`,
      );
    }
    const set = (mailbox: string, script: string) =>
      client.ok(`SETMETADATA "${mailbox}" (/shared/imapsieve/script "${script}")`);
    await set("Work", "all");
    await append(client, "Work");
    assert.deepEqual(await flags(client, "Work"), ["$APPEND by-alice in-work"]);
    await append(client, "Plain");
    assert.deepEqual(await flags(client, "Plain"), [""]);
    await client.ok("SELECT Plain");
    await client.ok("COPY 1 Work");
    await client.ok("UNSELECT");
    assert.deepEqual((await flags(client, "Work"))[1], "$COPY by-alice in-work");
    await client.ok("SELECT Plain");
    await client.ok("MOVE 1 Work"); // RFC 6785 4.1: a COPY like any other
    await client.ok("UNSELECT");
    assert.deepEqual((await flags(client, "Work"))[2], "$COPY by-alice in-work");
    assert.deepEqual(await flags(client, "Plain"), []);
    await client.ok("SELECT Work");
    await client.ok("STORE 1 +FLAGS (\\Flagged)");
    await client.ok("STORE 1 +FLAGS (\\Flagged)"); // changes nothing
    await client.ok("UNSELECT");
    assert.equal(
      (await flags(client, "Work"))[0],
      "\\Flagged $APPEND $FLAG by-alice changed-flagged in-work was-flagged",
    );
    // Reading sets \\Seen, which is a change.
    await client.ok("SELECT Work");
    await client.ok("FETCH 2 BODY[]");
    await client.ok("UNSELECT");
    assert.match((await flags(client, "Work"))[1]!, /changed-seen/);

    await set("Away", "away");
    await append(client, "Away");
    assert.deepEqual(await flags(client, "Away"), ["\\Deleted"]);
    assert.deepEqual(await flags(client, "Filed"), [""]);
    await set("Trashy", "throwaway");
    await append(client, "Trashy");
    assert.deepEqual(await flags(client, "Trashy"), ["\\Deleted"]);

    await set("Wrong", "wrong");
    await append(client, "Wrong");
    await append(client, "Wrong");
    assert.deepEqual(await flags(client, "Wrong"), ["", ""]);
    await client.ok("SELECT INBOX");
    const notes = (await client.ok("FETCH 1:* BODY.PEEK[]")).untagged.filter(({ literals }) =>
      literals.length > 0
    );
    assert.equal(notes.length, 1, "the owner is told once");
    assert.match(literalText(notes[0]!), /vacation is for deliveries/);
    await client.ok("UNSELECT");

    // The account's script is for mailboxes without an entry; an empty one, or a name that is none, is no script.
    await client.ok('SETMETADATA "" (/shared/imapsieve/script "all")');
    await set("Quiet", "");
    await append(client, "Quiet");
    assert.deepEqual(await flags(client, "Quiet"), [""]);
    await append(client, "Plain");
    assert.deepEqual((await flags(client, "Plain"))[0], "$APPEND by-alice");
    await set("Quiet", "nothing");
    await append(client, "Quiet");
    assert.deepEqual(await flags(client, "Quiet"), ["", ""]);
    await client.logout();
  },
);

inBothShapes("a script on an event redirects and notifies in its owner's name", async (start) => {
  await using server = await start();
  await scripts(server, {
    send: `require ["imapsieve", "copy", "enotify"]; redirect :copy "bob@example.test";
      notify :message "look" "mailto:bob@example.test";`,
  });
  const client = await server.imap("alice");
  await client.ok("CREATE Out");
  await client.ok('SETMETADATA "Out" (/shared/imapsieve/script "send")');
  await append(client, "Out");
  assert.deepEqual(await flags(client, "Out"), [""]);
  await client.logout();
  const reader = await server.imap("bob");
  const texts = await until("both are there", async () => {
    await reader.ok("SELECT INBOX");
    const { untagged } = await reader.ok("UID FETCH 1:* BODY.PEEK[]");
    const found = untagged.filter(({ literals }) => literals.length > 0).map(literalText);
    return found.length === 2 ? found : null;
  });
  const sent = texts.find((text) => text.endsWith(MESSAGE));
  assert.match(sent!, /^Return-Path: <alice@example\.test>\r\nDelivered-To: bob@example\.test\r\n/);
  assert.ok(texts.some((text) => /^Subject: look\r$/m.test(text)));
  await reader.logout();
});

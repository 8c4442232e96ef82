/** Mailboxes of others over the real store: every right allowed and refused, and what nobody must learn (RFC 4314). */
import assert from "node:assert/strict";
import type { ImapOptions } from "../../server/imap/options.ts";
import { type Harness, imapTest, type TestClient } from "./imap_harness.ts";

const SHARING: Partial<ImapOptions> = {
  sharing: { scope: "domain", namespaces: { otherUsers: "Other Users", shared: "Shared Folders" } },
};
const letter = (subject: string) => `Subject: ${subject}\r\n\r\n${subject}\r\n`;
const ALICE = '"Other Users/alice@example.test"';
const WORK = '"Other Users/alice@example.test/Work"';
const NONEXISTENT = /^NO \[NONEXISTENT\] No such mailbox/m;
const NOPERM = /^NO \[NOPERM\]/m;

function acl(name: string, body: (h: Harness) => Promise<void>): void {
  imapTest(name, body, SHARING);
}

/** Alice has the mailbox Work with messages; bob has these rights on it. */
async function share(
  h: Harness,
  rights: string,
  messages = 1,
): Promise<{ alice: TestClient; bob: TestClient }> {
  const alice = await h.login();
  await alice.ok("CREATE Work");
  for (let i = 1; i <= messages; i++) await h.deliver(letter(`work ${i}`), { mailbox: "Work" });
  if (rights !== "") await alice.ok(`SETACL Work bob@example.test ${rights}`);
  return { alice, bob: await h.login("bob") };
}

const names = (reply: string) =>
  [...reply.matchAll(/^\* LIST \(([^)]*)\) "\/" "([^"]*)"/gm)]
    .map(([, attributes, name]) => `${name} (${attributes})`);

acl("what is offered: ACL, its rights, namespaces of others", async (h) => {
  const alice = await h.login();
  assert.match(await alice.ok("CAPABILITY"), / ACL RIGHTS=texk LIST-MYRIGHTS/);
  assert.match(
    await alice.ok("NAMESPACE"),
    /^\* NAMESPACE \(\("" "\/"\)\) \(\("Other Users\/" "\/"\)\) \(\("Shared Folders\/" "\/"\)\)\r$/m,
  );
  assert.match(await alice.ok("MYRIGHTS INBOX"), /^\* MYRIGHTS "INBOX" "lrswipkxteacd"\r$/m);
  assert.match(await alice.ok("GETACL INBOX"), /^\* ACL "INBOX" "alice@example\.test" "lrswipkxteacd"\r$/m);
});

imapTest("where nothing is shared nothing of it is offered", async (h) => {
  const alice = await h.login();
  assert.doesNotMatch(await alice.ok("CAPABILITY"), /ACL|MYRIGHTS/);
  assert.match(await alice.ok("NAMESPACE"), /^\* NAMESPACE \(\("" "\/"\)\) NIL NIL\r$/m);
  assert.match(await alice.command("SETACL INBOX bob@example.test lr"), NOPERM);
  assert.match(await alice.command(`SELECT ${ALICE}`), NONEXISTENT);
});

acl("SETACL adds, removes and replaces, with the letters of RFC 2086; DELETEACL; LISTRIGHTS", async (h) => {
  const { alice } = await share(h, "lr");
  const shown = async () =>
    /"alice@example.test" "lrswipkxteacd"(.*)\r/.exec(await alice.ok("GETACL Work"))?.[1];
  assert.equal(await shown(), ' "bob@example.test" "lr"');
  await alice.ok("SETACL Work bob@example.test +cd");
  assert.equal(await shown(), ' "bob@example.test" "lrkxtecd"');
  await alice.ok("SETACL Work BOB@Example.Test -d");
  assert.equal(await shown(), ' "bob@example.test" "lrkxc"');
  await alice.ok("SETACL Work anyone l");
  await alice.ok("SETACL Work -bob@example.test x");
  assert.equal(await shown(), ' "-bob@example.test" "xc" "anyone" "l" "bob@example.test" "lrkxc"');
  await alice.ok("DELETEACL Work bob@example.test");
  await alice.ok('SETACL Work "-bob@example.test" ""');
  assert.equal(await shown(), ' "anyone" "l"');
  assert.match(await alice.command("SETACL Work bob@example.test lrQ"), /^BAD /);
  assert.match(await alice.command("SETACL Work bob@example.test lrq"), /^BAD /);
  assert.match(await alice.command("SETACL Work nobody@example.test lr"), /^NO \[CANNOT\]/);
  assert.match(await alice.command("SETACL Work alice@example.test lr"), /^NO \[CANNOT\]/);
  assert.match(
    await alice.ok("LISTRIGHTS Work Bob@example.test"),
    /^\* LISTRIGHTS "Work" "Bob@example\.test" "" l r s w i p k x t e a c d\r$/m,
  );
  assert.match(
    await alice.ok("LISTRIGHTS Work alice@example.test"),
    /^\* LISTRIGHTS "Work" "alice@example\.test" "lrswipkxteacd"\r$/m,
  );
});

acl("without a right on it a mailbox is not there, whatever the command", async (h) => {
  const { bob } = await share(h, "");
  await bob.ok("SELECT INBOX");
  await h.deliver(letter("mine"), { user: "bob" });
  await bob.ok("NOOP");
  const nowhere = WORK.replace("Work", "Nowhere");
  for (
    const command of [
      "SELECT @",
      "EXAMINE @",
      "STATUS @ (MESSAGES)",
      "DELETE @",
      "RENAME @ Other",
      "GETACL @",
      "MYRIGHTS @",
      "LISTRIGHTS @ bob@example.test",
      "SETACL @ bob@example.test lr",
      "DELETEACL @ bob@example.test",
      "GETQUOTAROOT @",
      "GETMETADATA @ /private/comment",
      'SETMETADATA @ (/private/comment "a")',
      "COPY 1 @",
      "MOVE 1 @",
      "APPEND @ {3+}\r\nabc",
      "CREATE @",
      "CREATE @/Sub",
      "RENAME Sent @",
      "GETQUOTA @",
    ]
  ) {
    await bob.ok("SELECT INBOX");
    const replies: string[] = [];
    for (const name of [WORK, nowhere, WORK.replace("alice", "stranger")]) {
      replies.push(
        await bob.command(
          command.replace("@/Sub", name.replace(/"$/, '/Sub"')).replace(/@(?!example)/, name),
        ),
      );
    }
    assert.match(replies[0]!, /^NO \[(NONEXISTENT|NOPERM)\]/m, command);
    assert.equal(replies[1], replies[0], command);
    assert.equal(replies[2], replies[0], command);
  }
  assert.deepEqual(names(await bob.ok('LIST "" "Other Users*"')), []);
  assert.deepEqual(names(await bob.ok('LIST "" %')).filter((name) => name.startsWith("Other")), []);
  await bob.ok(`SUBSCRIBE ${WORK}`);
  assert.deepEqual(names(await bob.ok('LIST (SUBSCRIBED) "" "Other Users/*"')), [
    "Other Users/alice@example.test/Work (\\NonExistent \\HasNoChildren \\Subscribed)",
  ]);
  const found = await bob.ok(`ESEARCH IN (mailboxes ${WORK} subtree "Other Users") ALL`);
  assert.doesNotMatch(found, /ESEARCH \(/);
});

acl("l: it is listed, with the levels above it for %, and nothing more can be done", async (h) => {
  const { alice, bob } = await share(h, "l");
  await alice.ok("CREATE Work/Deep");
  await alice.ok("CREATE Work/Hidden");
  await alice.ok("DELETEACL Work/Hidden bob@example.test");
  assert.deepEqual(names(await bob.ok('LIST "" "Other*"')), [
    "Other Users/alice@example.test/Work (\\HasChildren)",
    "Other Users/alice@example.test/Work/Deep (\\HasNoChildren)",
  ]);
  assert.deepEqual(names(await bob.ok('LIST "" "Other%"')), ["Other Users (\\Noselect \\HasChildren)"]);
  assert.deepEqual(names(await bob.ok('LIST "" "Other Users/%"')), [
    "Other Users/alice@example.test (\\Noselect \\HasChildren)",
  ]);
  for (
    const command of [
      "SELECT X",
      "STATUS X (UNSEEN)",
      "DELETE X",
      "GETACL X",
      "CREATE X/New",
      "APPEND X {3+}\r\nabc",
      "GETQUOTAROOT X",
      "GETMETADATA X /shared/comment",
    ]
  ) {
    const name = command.includes("X/New") ? WORK.replace(/"$/, '/New"') : WORK;
    assert.match(await bob.command(command.replace("X/New", name).replace("X", name)), NOPERM, command);
  }
  assert.match(await bob.ok(`MYRIGHTS ${WORK}`), /"l"\r$/m);
  const reply = await bob.ok('LIST "" "Other*" RETURN (MYRIGHTS STATUS (MESSAGES))');
  assert.match(reply, /^\* MYRIGHTS "Other Users\/alice@example.test\/Work\/Deep" "l"\r$/m);
  assert.doesNotMatch(reply, /^\* STATUS/m);
});

acl("r: messages are read; nothing can be changed, not even what is seen", async (h) => {
  const { bob } = await share(h, "lr", 2);
  const selected = await bob.ok(`SELECT ${WORK}`);
  assert.match(selected, /^OK \[READ-ONLY\]/m);
  assert.match(selected, /\[PERMANENTFLAGS \(\)\]/);
  assert.match(selected, /^\* 2 EXISTS\r\n\* 0 RECENT/m);
  assert.match(await bob.ok("FETCH 1 BODY[]"), /work 1/);
  assert.match(await bob.ok("FETCH 1 FLAGS"), /FLAGS \(\)/);
  assert.match(await bob.command("STORE 1 +FLAGS (\\Seen)"), NOPERM);
  assert.match(await bob.command("STORE 1 FLAGS (\\Seen \\Flagged)"), NOPERM);
  assert.match(await bob.command("EXPUNGE"), NOPERM);
  assert.match(await bob.command("UID EXPUNGE 1"), NOPERM);
  assert.match(await bob.command("MOVE 1 INBOX"), NOPERM);
  assert.match(await bob.ok("COPY 1:2 INBOX"), /^OK \[COPYUID \d+ 1:2 1:2\]/m);
  assert.match(await bob.ok("STATUS INBOX (MESSAGES UNSEEN)"), /MESSAGES 2 UNSEEN 2/);
});

acl("s: \\Seen is each reader's own, told to him alone, and STATUS and SEARCH know it", async (h) => {
  const { alice, bob } = await share(h, "lrs", 3);
  await alice.ok("SELECT Work");
  await alice.ok("STORE 1 +FLAGS (\\Seen)");
  const selected = await bob.ok(`SELECT ${WORK}`);
  assert.match(selected, /^OK \[READ-ONLY\]/m);
  assert.match(selected, /\[PERMANENTFLAGS \(\\Seen\)\]/);
  assert.match(selected, /\[UNSEEN 1\]/);
  assert.match(await bob.ok("FETCH 2 BODY[TEXT]"), /^\* 2 FETCH \(UID 2 FLAGS \(\\Seen\)\)\r$/m);
  assert.match(
    await bob.ok("STORE 3 +FLAGS (\\Seen \\Flagged)"),
    /^\* 3 FETCH \(UID 3 FLAGS \(\\Seen\)\)\r$/m,
  );
  assert.match(await bob.command("STORE 3 +FLAGS (\\Flagged)"), NOPERM);
  assert.match(await bob.ok("SEARCH UNSEEN"), /^\* SEARCH 1\r$/m);
  assert.doesNotMatch(await alice.ok("NOOP"), /FETCH/);
  assert.match(await alice.ok("SEARCH UNSEEN"), /^\* SEARCH 2 3\r$/m);
  const other = await h.login("bob");
  assert.match(await other.ok(`STATUS ${WORK} (UNSEEN)`), /UNSEEN 1\)/);
  assert.match(await alice.ok("STATUS INBOX (UNSEEN)"), /UNSEEN 0\)/);
  assert.match(await (await h.login()).ok("STATUS Work (UNSEEN)"), /UNSEEN 2\)/);
  // Another session of his is told at once, and clears it.
  await other.ok(`SELECT ${WORK}`);
  await other.ok("STORE 1:3 -FLAGS (\\Seen)");
  assert.match(await bob.ok("NOOP"), /^\* 2 FETCH \(UID 2 FLAGS \(\)\)\r\n\* 3 FETCH/m);
  assert.match(await other.ok(`STATUS ${WORK} (UNSEEN)`), /UNSEEN 3\)/);
});

acl("a reader's \\Seen moves MODSEQ, so that CONDSTORE and QRESYNC find it", async (h) => {
  const { alice, bob } = await share(h, "lrs", 3);
  await alice.ok("ENABLE QRESYNC");
  const first = await bob.ok(`SELECT ${WORK}`);
  const modSeq = Number(/HIGHESTMODSEQ (\d+)/.exec(first)![1]);
  const validity = /UIDVALIDITY (\d+)/.exec(first)![1];
  await alice.ok("SELECT Work");
  await bob.ok("STORE 2 +FLAGS (\\Seen)");
  // Who knows MODSEQ is told of it; the flags are his own.
  assert.match(
    await alice.ok("NOOP"),
    new RegExp(`^\\* 2 FETCH \\(UID 2 FLAGS \\(.*\\) MODSEQ \\(${modSeq + 1}\\)\\)`, "m"),
  );
  const again = await h.login("bob");
  await again.ok("ENABLE QRESYNC");
  assert.match(
    await again.ok(`SELECT ${WORK} (QRESYNC (${validity} ${modSeq}))`),
    new RegExp(`^\\* 2 FETCH \\(UID 2 FLAGS \\(\\\\Seen\\) MODSEQ \\(${modSeq + 1}\\)\\)\r$`, "m"),
  );
  assert.match(
    await again.ok(`STORE 2 (UNCHANGEDSINCE ${modSeq}) -FLAGS (\\Seen)`),
    /^OK \[MODIFIED 2\]/m,
  );
});

acl(
  "UIDs of a mailbox that may not be read are not told (RFC 4315 3); named, one that may not be listed is searched",
  async (h) => {
    const { alice, bob } = await share(h, "li", 2);
    await h.deliver(letter("mine"), { user: "bob" });
    await bob.ok("SELECT INBOX");
    const message = "{9+}\r\nA: b\r\n\r\nc";
    assert.equal(await bob.ok(`APPEND ${WORK} ${message}`), "OK Append completed\r\n");
    assert.equal(await bob.ok(`COPY 1 ${WORK}`), "OK Copy completed\r\n");
    assert.doesNotMatch(await bob.ok(`MOVE 1 ${WORK}`), /COPYUID/);
    await h.deliver(letter("mine too"), { user: "bob" });
    await bob.ok("NOOP");
    assert.doesNotMatch(await bob.ok(`REPLACE 1 ${WORK} ${message}`), /APPENDUID/);
    // RFC 5819 2.
    const listed = await bob.ok('LIST "" "*Work" RETURN (STATUS (MESSAGES))');
    assert.match(listed, /^\* LIST \(\\Noselect \\HasNoChildren\) [^\r]*Work"\r$/m);
    assert.doesNotMatch(listed, /STATUS "Other/);
    await alice.ok("SETACL Work bob@example.test ri");
    assert.match(await bob.ok(`APPEND ${WORK} ${message}`), /^OK \[APPENDUID \d+ 7\]/);
    // RFC 7377 2.2.
    assert.match(
      await bob.ok(`ESEARCH IN (mailboxes ${WORK}) SUBJECT work`),
      /^\* ESEARCH [^\r]*Work"[^\r]* ALL 1:2\r$/m,
    );
    assert.doesNotMatch(await bob.ok(`ESEARCH IN (subtree ${ALICE}) SUBJECT work`), /ESEARCH \(/);
  },
);

acl("w: other flags and keywords are shared; t: \\Deleted; e: EXPUNGE and CLOSE", async (h) => {
  const { alice, bob } = await share(h, "lrw", 2);
  assert.match(await bob.ok(`SELECT ${WORK}`), /PERMANENTFLAGS \(\\Answered \\Flagged \\Draft \\\*\)\]/);
  await alice.ok("SELECT Work");
  assert.match(
    await bob.ok("STORE 1 +FLAGS (\\Flagged \\Seen \\Deleted Project)"),
    /FLAGS \(\\Flagged Project\)/,
  );
  assert.match(await alice.ok("NOOP"), /^\* 1 FETCH \(UID 1 FLAGS \(\\Flagged \\Recent Project\)\)/m);
  // What he may not change stays as it is when all flags are replaced.
  await alice.ok("STORE 1 +FLAGS (\\Deleted \\Seen)");
  assert.match(await bob.ok("STORE 1 FLAGS (\\Answered)"), /FLAGS \(\\Answered \\Deleted\)/);
  assert.match(await alice.ok("FETCH 1 FLAGS"), /FLAGS \(\\Seen \\Answered \\Deleted \\Recent\)/);
  assert.match(await bob.command("STORE 1 +FLAGS (\\Deleted)"), NOPERM);
  assert.match(await bob.command("EXPUNGE"), NOPERM);
  assert.match(await bob.ok("CLOSE"), /^OK/m);
  assert.match(await alice.ok("NOOP"), /^OK/m);
  assert.doesNotMatch(await alice.ok("NOOP"), /EXPUNGE/);

  await alice.ok("SETACL Work bob@example.test lrt");
  assert.match(await bob.ok(`SELECT ${WORK}`), /PERMANENTFLAGS \(\\Deleted\)\]/);
  assert.match(await bob.ok("STORE 2 +FLAGS (\\Deleted)"), /FLAGS \(\\Deleted\)/);
  assert.match(await bob.command("EXPUNGE"), NOPERM);
  await alice.ok("SETACL Work bob@example.test lre");
  assert.match(await bob.ok("NOOP"), /\[PERMANENTFLAGS \(\)\]/);
  assert.match(await bob.ok("UID EXPUNGE 2"), /^\* 2 EXPUNGE\r$/m);
  assert.match(await bob.ok("CLOSE"), /^OK/m);
  assert.match(await alice.ok("NOOP"), /^\* 1 EXPUNGE\r\n\* 1 EXPUNGE\r$/m);
});

acl(
  "i: APPEND and COPY bring messages, with the flags that rights cover; the quota is the owner's",
  async (h) => {
    const { alice, bob } = await share(h, "lri", 0);
    const text = letter("new");
    await bob.ok(`APPEND ${WORK} (\\Seen \\Flagged \\Deleted Word) {${text.length}+}\r\n${text}`);
    await bob.ok(`APPEND INBOX (\\Seen \\Flagged \\Deleted Word) {${text.length}+}\r\n${text}`);
    await bob.ok("SELECT INBOX");
    await bob.ok(`COPY 1 ${WORK}`);
    await alice.ok("SELECT Work");
    assert.match(
      await alice.ok("FETCH 1:2 FLAGS"),
      /1 FETCH \(FLAGS \(\\Recent\)\)\r\n\* 2 FETCH \(FLAGS \(\\Recent\)\)/,
    );
    await alice.ok("SETACL Work bob@example.test +st");
    await bob.ok(`APPEND ${WORK} (\\Seen \\Deleted) {${text.length}+}\r\n${text}`);
    await bob.ok(`COPY 1 ${WORK}`);
    await alice.ok("NOOP");
    assert.match(
      await alice.ok("FETCH 3:4 FLAGS"),
      /3 FETCH \(FLAGS \(\\Deleted \\Recent\)\)\r\n\* 4 FETCH \(FLAGS \(\\Deleted \\Recent\)\)/,
    );
    await bob.ok(`SELECT ${WORK}`);
    assert.match(await bob.ok("SEARCH SEEN"), /^\* SEARCH 3 4\r$/m);
    // He brings his own \Seen along when he takes a message home.
    await bob.ok("COPY 1,3 INBOX");
    await bob.ok("SELECT INBOX");
    assert.match(
      await bob.ok("FETCH 2:3 FLAGS"),
      /2 FETCH \(FLAGS \(\\Recent\)\)\r\n\* 3 FETCH \(FLAGS \(\\Seen \\Deleted \\Recent\)\)/,
    );
    assert.match(await bob.ok("STATUS Drafts (UNSEEN)"), /UNSEEN 0/);
    const { usage } = h.test.store.directory;
    assert.equal(usage.call(h.test.store.directory, h.test.accountId("alice")).messages, 4);
    const account = h.test.store.directory.account("alice@example.test")!;
    await h.test.ok({ kind: "put-account", account: { address: account.address, quotaMessages: 4 } });
    assert.match(await bob.command(`APPEND ${WORK} {${text.length}+}\r\n${text}`), /^NO \[OVERQUOTA\]/m);
    assert.match(await bob.command(`COPY 1 ${WORK}`), /^NO \[OVERQUOTA\]/m);
    assert.match(await bob.command(`MOVE 1 ${WORK}`), /^NO \[OVERQUOTA\]/m);
    assert.match(
      await bob.ok(`GETQUOTAROOT ${WORK}`),
      /^\* QUOTAROOT "Other Users\/alice@example.test\/Work" "Other Users\/alice@example.test"\r\n\* QUOTA "Other Users\/alice@example.test" \(MESSAGE 4 4\)\r$/m,
    );
    assert.match(await bob.ok(`GETQUOTA ${ALICE}`), /MESSAGE 4 4/);
    assert.match(await (await h.login("bob")).ok("GETQUOTAROOT INBOX"), /^\* QUOTA "" \(\)\r$/m);
  },
);

acl("MOVE needs t and e where it takes from, i where it brings to, and moves the room", async (h) => {
  const { alice, bob } = await share(h, "lrte", 2);
  await bob.ok(`SELECT ${WORK}`);
  assert.match(await bob.ok("MOVE 1 INBOX"), /^\* OK \[COPYUID \d+ 1 1\]/m);
  assert.match(await alice.ok("STATUS Work (MESSAGES)"), /MESSAGES 1/);
  const used = (name: string) => h.test.store.directory.usage(h.test.accountId(name)).messages;
  assert.deepEqual([used("alice"), used("bob")], [1, 1]);
  await bob.ok("SELECT INBOX");
  assert.match(await bob.command(`MOVE 1 ${WORK}`), NOPERM);
  const text = letter("better");
  await bob.ok(`SELECT ${WORK}`);
  assert.match(await bob.ok(`REPLACE 1 INBOX {${text.length}+}\r\n${text}`), /^OK Replace/m);
  await alice.ok("SETACL Work bob@example.test -e");
  await h.deliver(letter("third"), { mailbox: "Work" });
  await bob.ok("NOOP");
  assert.match(await bob.command(`REPLACE 1 INBOX {${text.length}+}\r\n${text}`), NOPERM);
});

acl("k and x: mailboxes are made, renamed and deleted, and inherit", async (h) => {
  const { alice, bob } = await share(h, "lrk");
  const sub = WORK.replace(/"$/, '/Sub"');
  await bob.ok(`CREATE ${sub}`);
  assert.match(await alice.ok("GETACL Work/Sub"), /"bob@example.test" "lrkc"\r$/m);
  assert.match(await bob.command(`DELETE ${sub}`), NOPERM);
  assert.match(await bob.command(`RENAME ${sub} ${WORK.replace(/"$/, '/Other"')}`), NOPERM);
  await alice.ok("SETACL Work/Sub bob@example.test +x");
  await bob.ok(`RENAME ${sub} ${WORK.replace(/"$/, '/Other"')}`);
  assert.match(await bob.command(`RENAME ${WORK.replace(/"$/, '/Other"')} Mine`), /^NO \[CANNOT\]/m);
  assert.match(await bob.command(`CREATE ${ALICE.replace(/"$/, '/Top"')}`), NOPERM);
  assert.match(
    await alice.ok("GETACL Work/Other"),
    /"bob@example.test" "lrkxc"\r$/m,
    "RENAME leaves the list",
  );
  await bob.ok(`DELETE ${WORK.replace(/"$/, '/Other"')}`);
  await alice.ok("CREATE Work/Other");
  assert.match(await alice.ok("GETACL Work/Other"), /"bob@example.test" "lrkc"\r$/m, "DELETE removes it");
  await alice.ok("SETACL INBOX bob@example.test lkx");
  await bob.ok(`CREATE ${ALICE.replace(/"$/, '/Top/Low"')}`);
  assert.match(await alice.ok("GETACL Top/Low"), /"bob@example.test" "lkxc"\r$/m);
  assert.match(await bob.command(`DELETE ${ALICE}`), /^NO \[CANNOT\]/m);
  assert.match(await bob.command(`RENAME ${ALICE} ${ALICE.replace(/"$/, '/Moved"')}`), /^NO \[CANNOT\]/m);
  // A name that stood for its children is made a mailbox again by whoever made it, and is theirs as before.
  for (const name of ["/Top", "/Top/Low"].map((below) => ALICE.replace(/"$/, `${below}"`))) {
    await bob.ok(`CREATE ${name.replace(/"$/, '/Lower"')}`);
    await bob.ok(`DELETE ${name}`);
    await bob.ok(`CREATE ${name}`);
    assert.match(await bob.ok(`MYRIGHTS ${name}`), / "?lkxc"?\r$/m);
  }
  // A name that is taken by what he may not see is refused like one he may not make.
  await alice.ok("CREATE Secret");
  assert.match(await bob.command(`CREATE ${ALICE.replace(/"$/, '/Secret"')}`), NOPERM);
});

acl("a: who administers a mailbox shares it on; negative rights win", async (h) => {
  await h.test.ok({ kind: "put-account", account: { address: "carol@example.test" } });
  const { bob } = await share(h, "lra");
  const carol = await h.login("carol");
  await bob.ok(`SETACL ${WORK} anyone lr`);
  assert.match(await carol.ok(`SELECT ${WORK}`), /READ-ONLY/);
  await bob.ok(`SETACL ${WORK} -carol@example.test r`);
  carol.send("x NOOP\r\n");
  await carol.until(/^\* BYE \[NOPERM\]/m);
  await carol.done;
});

acl("groups, domains, authenticated; other domains see nothing of anyone", async (h) => {
  const address = "team@example.test";
  await h.test.ok({ kind: "put-group", group: { address, displayName: "", posting: "members", owners: [] } });
  const domain = { kind: "local", nextHop: "", catchAll: "", subaddressSeparators: "+" } as const;
  await h.test.ok({ kind: "put-domain", domain: { name: "other.test", ...domain } });
  await h.test.ok({ kind: "put-account", account: { address: "eve@other.test" } });
  const { alice, bob } = await share(h, "");
  await alice.ok("SETACL Work team@example.test lr");
  assert.match(await bob.command(`SELECT ${WORK}`), NONEXISTENT);
  await h.test.ok({ kind: "change-members", group: address, add: ["bob@example.test"], remove: [] });
  await bob.ok(`SELECT ${WORK}`);
  await h.test.ok({ kind: "remove-group", address });
  bob.send("x NOOP\r\n");
  await bob.until(/^\* BYE \[NOPERM\]/m);
  const again = await h.login("bob");
  assert.match(await again.command(`SELECT ${WORK}`), NONEXISTENT);
  for (const identifier of ["authenticated", "@example.test", "anyone"]) {
    await alice.ok(`SETACL Work ${identifier} lr`);
    await again.ok(`SELECT ${WORK}`);
    await again.ok("UNSELECT");
    await alice.ok(`DELETEACL Work ${identifier}`);
    assert.match(await again.command(`SELECT ${WORK}`), NONEXISTENT);
  }
  await alice.ok("SETACL Work anyone lr");
  assert.match(await alice.command("SETACL Work eve@other.test lr"), /^NO \[CANNOT\]/);
  const eve = h.test.store.directory.account("eve@other.test")!;
  assert.equal(h.test.store.access.granted(eve, "domain").length, 0);
  assert.equal(h.test.store.access.granted(eve, "server").length, 1);
  assert.equal(h.test.store.access.granted(eve, "off").length, 0);
});

acl("IDLE and NOTIFY tell of what others do, and of rights that come and go", async (h) => {
  const { alice, bob } = await share(h, "lrs");
  await bob.ok(`SELECT ${WORK}`);
  bob.send("i IDLE\r\n");
  await bob.until(/^\+ idling\r\n/m);
  await h.deliver(letter("another"), { mailbox: "Work" });
  await bob.until(/^\* 2 EXISTS\r\n/m);
  await alice.ok("SELECT Work");
  await alice.ok("STORE 1 +FLAGS (\\Flagged)");
  await bob.until(/^\* 1 FETCH \(UID 1 FLAGS \(\\Flagged\)\)\r\n/m);
  await alice.ok("SETACL Work bob@example.test +w");
  await bob.until(/PERMANENTFLAGS \(\\Seen \\Answered \\Flagged \\Draft \\\*\)\]/);
  await alice.ok("DELETEACL Work bob@example.test");
  await bob.until(/^\* BYE \[NOPERM\]/m);
  await bob.done;

  const watcher = await h.login("bob");
  await watcher.ok(`NOTIFY SET (subtree "Other Users" (MessageNew MessageExpunge FlagChange MailboxName))`);
  await alice.ok("SETACL Work bob@example.test lr");
  await watcher.until(/^\* LIST \(\\HasNoChildren\) "\/" "Other Users\/alice@example.test\/Work"\r\n/m);
  await h.deliver(letter("third"), { mailbox: "Work" });
  await watcher.until(/^\* STATUS "Other Users\/alice@example.test\/Work" \(MESSAGES 3 UIDNEXT 4 /m);
  await h.deliver(letter("not theirs"), { mailbox: "INBOX" });
  await alice.ok("RENAME Work Works");
  await watcher.until(
    /^\* LIST \([^)]*\) "\/" "Other Users\/alice@example.test\/Works" \("OLDNAME" \("Other Users\/alice@example.test\/Work"\)\)\r\n/m,
  );
  await alice.ok("DELETEACL Works bob@example.test");
  await watcher.until(/^\* LIST \(\\NonExistent[^)]*\) "\/" "Other Users\/alice@example.test\/Works"\r\n/m);
  await h.deliver(letter("fourth"), { mailbox: "Works" });
  assert.doesNotMatch(await watcher.ok("NOOP"), /STATUS|INBOX/);
});

acl("MULTISEARCH and METADATA in mailboxes of others", async (h) => {
  const { alice, bob } = await share(h, "lrs", 2);
  assert.match(
    await bob.ok('ESEARCH IN (subtree "Other Users" personal) RETURN (COUNT) ALL'),
    /MAILBOX "Other Users\/alice@example.test\/Work" UIDVALIDITY \d+\) UID COUNT 2\r$/m,
  );
  await alice.ok('SETMETADATA Work (/shared/comment "ours" /private/comment "alice")');
  await bob.ok(`SETMETADATA ${WORK} (/private/comment "bob")`);
  assert.match(await bob.command(`SETMETADATA ${WORK} (/shared/comment "bob")`), NOPERM);
  const told = await bob.ok(`GETMETADATA ${WORK} (/shared/comment /private/comment)`);
  assert.match(told, /ours/);
  assert.match(told, /bob/);
  assert.doesNotMatch(told, /"alice"/);
  assert.doesNotMatch(await alice.ok("GETMETADATA Work (/shared/comment /private/comment)"), /"bob"/);
  await alice.ok("SETACL Work bob@example.test +w");
  await bob.ok(`SETMETADATA ${WORK} (/shared/comment "changed")`);
  assert.match(await alice.ok("GETMETADATA Work /shared/comment"), /changed/);
});

acl("a shared account: nobody logs in, its mailboxes are for those who have rights", async (h) => {
  await h.test.ok({ kind: "put-account", account: { address: "desk@example.test", shared: true } });
  const id = h.test.mailboxId("desk", "INBOX");
  assert.deepEqual(h.test.store.access.acl(id), [{ identifier: "anyone", rights: "p" }]);
  const grant = (identifier: string, rights: string) =>
    h.test.ok({ kind: "set-acl", mailboxId: id, identifier, rights, mode: "replace", subtree: true });
  await grant("bob@example.test", "lrswipkxte");
  await grant("alice@example.test", "lrs");
  const bob = await h.login("bob"), alice = await h.login();
  const desk = '"Shared Folders/desk@example.test"';
  await bob.ok(`CREATE ${desk.replace(/"$/, '/Open"')}`);
  assert.deepEqual(names(await alice.ok('LIST "" "Shared Folders/*"')), [
    "Shared Folders/desk@example.test (\\HasChildren)",
    "Shared Folders/desk@example.test/Open (\\HasNoChildren)",
  ]);
  await h.deliver(letter("ticket"), { user: "desk" });
  for (const client of [alice, bob]) {
    await client.ok(`SELECT ${desk}`);
    assert.match(await client.ok("SEARCH UNSEEN"), /^\* SEARCH 1\r$/m);
    await client.ok("FETCH 1 BODY[]");
    assert.match(await client.ok("SEARCH SEEN"), /^\* SEARCH 1\r$/m);
  }
  assert.doesNotMatch(await alice.ok(`GETACL INBOX`), /desk/);
  await h.test.ok({ kind: "remove-account", address: "desk@example.test" });
  assert.equal(
    h.test.store.access.granted(h.test.store.directory.account("bob@example.test")!, "domain").length,
    0,
  );
});

acl("an address that is given up takes its rights with it", async (h) => {
  await h.test.ok({ kind: "put-account", account: { address: "carol@example.test" } });
  const { alice } = await share(h, "lr");
  await alice.ok("SETACL Work carol@example.test lr");
  await alice.ok("SETACL Work -carol@example.test w");
  await h.test.ok({ kind: "remove-account", address: "carol@example.test" });
  assert.doesNotMatch(await alice.ok("GETACL Work"), /carol/);
});

imapTest("QUOTASET: accounts that the operator named set quotas, others do not", async (h) => {
  const bob = await h.login("bob");
  assert.match(await bob.ok("CAPABILITY"), / QUOTA QUOTA=RES-STORAGE QUOTA=RES-MESSAGE/);
  assert.match(await bob.ok("CAPABILITY"), / QUOTASET/);
  assert.match(
    await bob.ok(`SETQUOTA ${ALICE} (STORAGE 100 MESSAGE 5)`),
    /^\* QUOTA "Other Users\/alice@example.test" \(STORAGE 0 100 MESSAGE 0 5\)\r$/m,
  );
  assert.match(await bob.ok("GETQUOTA alice@example.test"), /STORAGE 0 100 MESSAGE 0 5/);
  // What is not named is taken away.
  assert.match(await bob.ok("SETQUOTA alice@example.test (MESSAGE 7)"), /\(MESSAGE 0 7\)/);
  assert.match(await bob.ok("SETQUOTA alice@example.test ()"), /\(\)\r$/m);
  assert.match(await bob.command("SETQUOTA alice@example.test (MAILBOX 7)"), /^NO \[CANNOT\]/m);
  assert.match(await bob.command("SETQUOTA alice@example.test (MESSAGE 0)"), /^NO \[CANNOT\]/m);
  assert.match(await bob.command("SETQUOTA stranger@example.test (MESSAGE 1)"), /^NO \[NONEXISTENT\]/m);
  const alice = await h.login();
  assert.doesNotMatch(await alice.ok("CAPABILITY"), /QUOTASET/);
  assert.match(await alice.command('SETQUOTA "" (STORAGE 1)'), NOPERM);
  assert.match(await alice.command("GETQUOTA bob@example.test"), /^NO \[NONEXISTENT\]/m);
}, { ...SHARING, quotaSetters: ["bob@example.test"] });

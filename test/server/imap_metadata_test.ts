/** METADATA and METADATA-SERVER (RFC 5464), LIST-METADATA (RFC 9590) over the real store. */
import assert from "node:assert/strict";
import { MAX_VALUE_OCTETS } from "../../server/imap/metadata.ts";
import { MAX_ANNOTATIONS } from "../../storage/operations/annotations.ts";
import { imapTest } from "./imap_harness.ts";

imapTest("annotations are set, read by depth and size, and removed", async (h) => {
  const client = await h.login();
  await client.ok(
    'SETMETADATA INBOX (/private/comment "mine" /SHARED/Comment {3+}\r\na"b /private/a/b/c deep)'.replace(
      "deep",
      '"deep"',
    ),
  );
  assert.match(
    await client.ok("GETMETADATA INBOX (/private/comment /shared/comment)"),
    /^\* METADATA "INBOX" \(\/private\/comment "mine" \/shared\/comment "a\\"b"\)\r$/m,
  );
  assert.doesNotMatch(await client.ok("GETMETADATA INBOX (DEPTH 1) /private/a"), /METADATA "/);
  assert.match(
    await client.ok("GETMETADATA (DEPTH infinity) INBOX /private/a"),
    /\(\/private\/a\/b\/c "deep"\)/,
  );
  assert.match(
    await client.ok("GETMETADATA INBOX (DEPTH 1) (/private/a/b)"),
    /\(\/private\/a\/b\/c "deep"\)/,
  );
  const small = await client.command("GETMETADATA INBOX (MAXSIZE 3 DEPTH infinity) /private");
  assert.match(small, /^OK \[METADATA LONGENTRIES 4\]/m);
  await client.ok('SETMETADATA "" (/shared/comment ~{2+}\r\n\0x)');
  assert.match(
    await client.ok('GETMETADATA "" /shared/comment'),
    /^\* METADATA "" \(\/shared\/comment ~\{2\}\r\n\0x\)\r$/m,
  );
  await client.ok("SETMETADATA INBOX (/private/comment NIL)");
  // 3.2: what is not there is NIL, but not below what was asked for.
  assert.match(
    await client.ok("GETMETADATA INBOX (/private/none /private/comment /private/none)"),
    /^\* METADATA "INBOX" \(\/private\/none NIL \/private\/comment NIL\)\r$/m,
  );
  assert.match(await client.ok("GETMETADATA (MAXSIZE 0) INBOX /private/comment"), /NIL\)\r\nOK Getmetadata/);
  const bob = await h.login("bob");
  assert.doesNotMatch(await bob.ok('GETMETADATA "" (DEPTH infinity) (/shared /private)'), /METADATA "/);
});

imapTest("what cannot be kept is refused by its limit, and nothing of it is kept", async (h) => {
  const client = await h.login();
  assert.match(await client.command('SETMETADATA INBOX (/private/x "1" /other/y "2")'), /^NO \[CANNOT\]/);
  // RFC 5464 3.2: no command takes such a name.
  for (const name of ["/private/*", "/private/%", "/private//x", "/private/x/", "/private/\x01"]) {
    for (const command of [`SETMETADATA INBOX ("${name}" "2")`, `GETMETADATA INBOX ("${name}")`]) {
      assert.match(
        await client.command(command),
        /^BAD Expected the name of an entry at octet \d+\r/,
        command,
      );
    }
  }
  // What only the administrator, or the making of a mailbox, settles.
  for (const command of ['"" (/shared/admin "mailto:a@b.test")', 'Sent (/private/SpecialUse "\\\\Junk")']) {
    assert.match(await client.command(`SETMETADATA ${command}`), /^NO \[CANNOT\] The entry is read-only\r/);
  }
  const long = "x".repeat(MAX_VALUE_OCTETS + 1);
  assert.match(
    await client.command(`SETMETADATA INBOX (/private/x "1" /private/y {${long.length}+}\r\n${long})`),
    /^NO \[METADATA MAXSIZE 32768\]/,
  );
  assert.match(await client.command("GETMETADATA nowhere /private/x"), /^NO \[NONEXISTENT\]/);
  assert.match(await client.command("SETMETADATA nowhere (/private/x NIL)"), /^NO \[NONEXISTENT\]/);
  assert.match(await client.command("SETMETADATA INBOX ()"), /^BAD/);
  assert.match(await client.command("GETMETADATA INBOX (DEPTH 2) /private/x"), /^BAD/);
  assert.match(await client.ok("GETMETADATA INBOX /private/x"), / NIL\)\r/);
  let refused = "";
  for (let from = 0; refused === "" && from <= MAX_ANNOTATIONS; from += 50) {
    const entries = Array.from({ length: 50 }, (_, at) => `/private/n${from + at} "v"`).join(" ");
    const reply = await client.command(`SETMETADATA INBOX (${entries})`);
    if (!reply.startsWith("OK")) refused = reply;
  }
  assert.match(refused, /^NO \[METADATA TOOMANY\] Too many annotations\r/);
});

imapTest(
  "LIST returns annotations, and other sessions are told of changes once they ask for it",
  async (h) => {
    const [one, two, idle] = [await h.login(), await h.login(), await h.login()];
    await one.ok('SETMETADATA Sent (/private/color "red")');
    assert.match(
      await one.ok('LIST "" (INBOX Sent) RETURN (METADATA (/private/color))'),
      /"INBOX"\r\n\* METADATA "INBOX" \(\/private\/color NIL\)\r\n\* LIST [^\r]*"Sent"\r\n\* METADATA "Sent" \(\/private\/color "red"\)\r\n/,
    );
    for (const client of [one, two, idle]) {
      assert.match(
        await client.ok("ENABLE METADATA"),
        /^\* ENABLED METADATA\r$/m,
      );
    }
    idle.send("i IDLE\r\n");
    await idle.until(/\+ idling\r\n/);
    assert.doesNotMatch(
      await one.ok('SETMETADATA Sent (/private/color "blue" /private/size "1")'),
      /METADATA "/,
    );
    assert.doesNotMatch(await one.ok("NOOP"), /METADATA/);
    assert.match(await two.ok("NOOP"), /^\* METADATA "Sent" \/private\/color \/private\/size\r$/m);
    assert.doesNotMatch(await two.ok("NOOP"), /METADATA/);
    await idle.until(/^\* METADATA "Sent" \/private\/color \/private\/size\r$/m);
    await one.ok('SETMETADATA "" (/shared/comment "hello")');
    await idle.until(/^\* METADATA "" \/shared\/comment\r$/m);
    assert.doesNotMatch(await (await h.login("bob")).ok("NOOP"), /METADATA/);
  },
);

imapTest(
  "special uses are annotations too; INBOX that is renamed has its annotations at both names",
  async (h) => {
    const client = await h.login();
    // RFC 6154 4.
    assert.match(
      await client.ok("GETMETADATA Sent (/private/specialuse)"),
      /^\* METADATA "?Sent"? \(\/private\/specialuse "\\\\Sent"\)\r$/m,
    );
    assert.match(
      await client.ok('LIST "" (INBOX Junk) RETURN (METADATA (/private/specialuse))'),
      /"INBOX" \(\/private\/specialuse NIL\)[^]*"Junk" \(\/private\/specialuse "\\\\Junk"\)/,
    );
    // RFC 5464 4.1.
    await client.ok('SETMETADATA INBOX (/private/comment "mine")');
    await client.ok("RENAME INBOX Old");
    for (const name of ["INBOX", "Old"]) {
      assert.match(await client.ok(`GETMETADATA ${name} /private/comment`), / "mine"\)/, name);
    }
  },
);

imapTest("METADATA-SERVER is told of what belongs to the account alone (RFC 5464 4.1)", async (h) => {
  const [client, other] = [await h.login(), await h.login()];
  assert.match(await client.ok("ENABLE METADATA-SERVER"), /^\* ENABLED METADATA-SERVER\r$/m);
  await other.ok('SETMETADATA INBOX (/private/comment "x")');
  assert.doesNotMatch(await client.ok("NOOP"), /METADATA/);
  await other.ok('SETMETADATA "" (/private/comment "x")');
  assert.match(await client.ok("NOOP"), /^\* METADATA "" \/private\/comment\r$/m);
});

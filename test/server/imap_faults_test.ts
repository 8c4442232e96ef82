/** What clients are told when the disk is full, when octets cannot be read, and when the writer cannot write. */
import assert from "node:assert/strict";
import { StorageError } from "../../storage/store.ts";
import { Harness, type TestClient } from "./imap_harness.ts";

const LETTER = "From: ann@far.test\r\nSubject: paper\r\n\r\nwhite paper\r\n";
const APPEND = `APPEND INBOX {${LETTER.length}+}\r\n${LETTER}`;

async function withServer(
  store: Parameters<typeof Harness.open>[1],
  body: (h: Harness, client: TestClient) => Promise<void>,
): Promise<void> {
  const h = await Harness.open({}, store);
  try {
    await h.deliver(LETTER);
    await h.deliver(LETTER.replace("paper", "second"));
    await body(h, await h.selected());
  } finally {
    await h.close();
  }
}

Deno.test("a full disk: nothing is added, and everything that needs no room goes on", () =>
  withServer({ minFreeOctets: Number.MAX_SAFE_INTEGER }, async (_h, client) => {
    const full = /^NO \[UNAVAILABLE\] The server has no space left just now/m;
    await client.ok("CREATE Work");
    for (const command of [APPEND, "COPY 1 Work", "UID COPY 1 Work", APPEND.replace("APPEND", "REPLACE 1")]) {
      assert.match(await client.command(command), full, command);
    }
    await client.ok("STORE 1 +FLAGS (\\Flagged)");
    await client.ok("MOVE 2 Work");
    await client.ok("STORE 1 +FLAGS (\\Deleted)");
    assert.match(await client.ok("EXPUNGE"), /^\* 1 EXPUNGE/);
    assert.match(await client.ok("STATUS Work (MESSAGES)"), /MESSAGES 1/);
  }));

Deno.test("octets that cannot be read: [SERVERBUG], and what else was asked for is told", () =>
  withServer({}, async (h, client) => {
    for (const { name } of Deno.readDirSync(h.test.folder.segments)) {
      Deno.truncateSync(`${h.test.folder.segments}/${name}`);
    }
    const broken = /^NO \[SERVERBUG\] Some messages could not be read/m;
    const fetched = await client.command("FETCH 1:* (UID FLAGS BODY.PEEK[])");
    assert.match(fetched, broken);
    for (
      const command of [
        "SEARCH TEXT white",
        'ESEARCH IN (selected) BODY "white"',
        "SORT (SUBJECT) UTF-8 BODY white",
        "THREAD REFERENCES UTF-8 TEXT white",
      ]
    ) {
      assert.match(await client.command(command), broken, command);
    }
    assert.match(await client.ok("FETCH 1:* (UID FLAGS ENVELOPE)"), /"paper"[^]*"second"/);
    assert.match(await client.ok("SEARCH UID 2 UNSEEN"), /^\* SEARCH 2\r/);
  }));

Deno.test("a writer that cannot write: [UNAVAILABLE] for whatever changes something, and reading goes on", () =>
  withServer({}, async (h, client) => {
    await client.ok("CREATE Work");
    await h.deliver(LETTER);
    await client.ok("NOOP");
    const lost = () => Promise.reject(new StorageError("the writer is not there", { full: false }));
    Object.assign(h.test.store, { write: lost });
    const unavailable = /^NO \[UNAVAILABLE\] Not possible just now/m;
    for (
      const command of [
        APPEND,
        "STORE 1 +FLAGS (\\Flagged)",
        "COPY 1 Work",
        "MOVE 1 Work",
        "CREATE Play",
        "DELETE Work",
        "RENAME Work Play",
        "SUBSCRIBE Play",
        'SETMETADATA INBOX (/private/comment "x")',
      ]
    ) {
      assert.match(await client.command(command), unavailable, command);
    }
    assert.match(await client.ok("FETCH 1 BODY.PEEK[TEXT]"), /white paper/);
    await client.ok("NOOP");
    // RFC 8437 3: NO is no answer to it.
    assert.equal(await client.command("UNAUTHENTICATE"), "OK Unauthenticated\r\n");
  }));

/**
 * Every command of POP3 beside other sessions on the same mailbox: what an IMAP client that waits there is told of it, and
 * what the command says after that client has removed one message, marked another and put a new one there: the drop stays as
 * it was at the login (RFC 1939 3 and 8). A command without a line here is an error of types.
 *
 * Three messages, the first marked by DELE before each command that can look at it.
 */
import assert from "node:assert/strict";
import type { Verb } from "../../protocols/pop3/command.ts";
import { DEFAULT_IMAP_OPTIONS } from "../../server/imap/options.ts";
import { ImapServer } from "../../server/imap.ts";
import { DEFAULT_SESSION_LIMITS } from "../../protocols/imap/session_options.ts";
import { PlainExchange } from "../protocols/imap/transcript.ts";
import { TestClient } from "./imap_harness.ts";
import { type Pop3Harness, pop3Test, timeouts } from "./pop3_harness.ts";

interface Line {
  readonly command: string;
  /** Its reply, whatever happened meanwhile. */
  readonly reply: RegExp;
  /** Lines behind the reply. */
  readonly body?: RegExp;
  /** What the IMAP client is told; left out: nothing. */
  readonly tells?: RegExp;
  /** A second POP3 session instead of one that has logged in. */
  readonly stranger?: true;
}

const LINES: Readonly<Record<Verb, Line>> = {
  CAPA: { command: "CAPA", reply: /^\+OK/, body: /^TOP\r$/m },
  LANG: { command: "LANG en", reply: /^\+OK en/ },
  STLS: { command: "STLS", reply: /^-ERR Logged in already/ },
  UTF8: { command: "UTF8", reply: /^-ERR Logged in already/ },
  // The drop is one session's at a time.
  USER: { command: "USER alice", reply: /^\+OK/, stranger: true },
  PASS: { command: "USER alice\r\nPASS secret", reply: /^\+OK[^]*-ERR \[IN-USE\]/, stranger: true },
  AUTH: { command: `AUTH PLAIN ${btoa("\0alice\0secret")}`, reply: /^-ERR \[IN-USE\]/, stranger: true },
  STAT: { command: "STAT", reply: /^\+OK 2 / },
  LIST: { command: "LIST", reply: /^\+OK 2 messages/, body: /^2 \d+\r\n3 \d+\r\n$/ },
  UIDL: { command: "UIDL", reply: /^\+OK 2 messages/, body: /^2 \S+\r\n3 \S+\r\n$/ },
  RETR: { command: "RETR 2", reply: /^\+OK/, body: /\r\ntwo\r\n$/ },
  TOP: { command: "TOP 3 0", reply: /^\+OK/, body: /^Subject: three\r\n\r\n$/ },
  DELE: { command: "DELE 2", reply: /^\+OK Message 2 is marked/ },
  RSET: { command: "RSET", reply: /^\+OK 3 messages/ },
  NOOP: { command: "NOOP", reply: /^\+OK/ },
  QUIT: { command: "QUIT", reply: /^\+OK/, tells: /^\* 1 EXPUNGE\r$/m },
};

/** An IMAP session on the INBOX of alice. */
async function imapOn(h: Pop3Harness): Promise<TestClient> {
  const server = new ImapServer({
    store: h.test.store,
    indexes: null,
    attached: null,
    deadlines: h.deadlines,
    login: ({ user }) => {
      const account = h.test.store.directory.account(`${user}@example.test`);
      return Promise.resolve(account === null ? { kind: "wrong" } : { kind: "ok", account });
    },
    mechanisms: () => new Map([["PLAIN", () => new PlainExchange()]]),
    hostName: "mx.example.test",
    now: () => Date.now(),
    newId: () => "imap",
  }, { ...DEFAULT_IMAP_OPTIONS, plainLoginAllowed: true, limits: DEFAULT_SESSION_LIMITS });
  const client = new TestClient((transport) => server.serve(transport));
  await client.until(/^\* OK [^\r]*\r\n/m);
  await client.ok("LOGIN alice secret");
  await client.ok("SELECT INBOX");
  return client;
}

pop3Test("every command, with a mailbox that others change, and what they are told", async (h) => {
  for (const [name, line] of Object.entries(LINES)) {
    await h.deliver(
      "Subject: one\r\n\r\none\r\n",
      "Subject: two\r\n\r\ntwo\r\n",
      "Subject: three\r\n\r\nthree\r\n",
    );
    const watcher = await imapOn(h), other = await imapOn(h);
    const drop = await h.login();
    assert.match(await drop.command("DELE 1"), /^\+OK/);
    await other.ok("STORE 3 +FLAGS.SILENT (\\Deleted)");
    await other.ok("STORE 2 +FLAGS.SILENT (\\Flagged)");
    await other.ok("EXPUNGE");
    await other.ok("APPEND INBOX {17+}\r\nSubject: four\r\n\r\n");
    assert.match(await watcher.ok("NOOP"), /^\* 3 EXPUNGE\r$/m, name);
    const client = line.stranger ? await h.connect() : drop;
    await client.send(`${line.command}\r\n`);
    let reply = "";
    for (let left = line.command.split("\r\n").length; left > 0; left--) {
      reply += `${await client.line()}\r\n`;
    }
    assert.match(reply, line.reply, name);
    if (line.body !== undefined) assert.match(await client.body(), line.body, name);
    const told = await watcher.ok("NOOP");
    if (line.tells === undefined) assert.equal(told, "OK Noop completed\r\n", name);
    else assert.match(told, line.tells, name);
    // Without QUIT nothing goes; what others did stays done.
    await client.hangUp();
    if (client !== drop) await drop.hangUp();
    const left = await other.ok("UID FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (Subject)])");
    const subjects = [...left.matchAll(/Subject: (\w+)/g)].map(([, subject]) => subject);
    assert.deepEqual(subjects, name === "QUIT" ? ["two", "four"] : ["one", "two", "four"], name);
    assert.match(left, /FLAGS \(\\Flagged[^]*Subject: two/);
    await other.ok("STORE 1:* +FLAGS.SILENT (\\Deleted)");
    await other.ok("EXPUNGE");
    for (const session of [watcher, other]) {
      await session.ok("LOGOUT");
      await session.done;
    }
  }
}, { pop3: timeouts({ lockMs: 100 }) });

/** What senders may do to the filters, through the whole server: taken in time, stored whole, and the trace says what was not looked at. */
import assert from "node:assert/strict";
import { NO_SENDER_CHECKS } from "../../server/config/defaults.ts";
import { parseConfig } from "../../server/config/load.ts";
import { openStore } from "../../storage/open_store.ts";
import { findTraces } from "../../storage/trace_log.ts";
import { until } from "../lib/program.ts";
import { inBothShapes, type RunningServer } from "../lib/running_server.ts";

/** Strangers from loopback are checked, without DNS. */
const CONFIG = {
  filter: parseConfig("hostname: mx.example.test\n", "/veredus.yaml").filter,
  senderChecks: { ...NO_SENDER_CHECKS, arc: true, skip: [] },
};
const ALICE = "alice@example.test";
const MB = 1024 * 1024;

interface Hostile {
  readonly name: string;
  readonly message: string;
  /** Of the trace. */
  readonly marks: readonly RegExp[];
}

const head = (name: string) => `From: <${name}@far.test>\r\nTo: <${ALICE}>\r\nSubject: ${name}\r\n`;

function hostile(): Hostile[] {
  const filler = `X-Filler: ${"x".repeat(900)}\r\n`;
  const lines = (text: string, octets: number) => `${text}\r\n`.repeat(Math.ceil(octets / (text.length + 2)));
  const text = lines("several words of a long text that never ends", 200_000);
  return [
    {
      name: "header",
      message: head("header") + filler.repeat(Math.ceil(40 * MB / filler.length)) + "\r\nbody\r\n",
      marks: [
        /"check":"content"[^}]*header/,
        /only the first 1048576 of \d+ octets/,
      ],
    },
    {
      name: "parts",
      message: head("parts") + "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" +
        "--b\r\n\r\nx\r\n".repeat(100_000) + "--b--\r\n",
      marks: [/"check":"content"[^}]*too many parts/, /only the first 1000 parts/],
    },
    {
      name: "html",
      message: `${head("html")}Content-Type: text/html\r\n\r\n${lines("<p>word <b>again</b></p>", 400_000)}`,
      marks: [/only the first 262144 characters of a part/],
    },
    {
      name: "text",
      message: `${head("text")}Content-Type: text/plain\r\n\r\n${lines("word again and again", 400_000)}`,
      marks: [/only the first 262144 characters of a part/],
    },
    {
      name: "tokens",
      message: head("tokens") + "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" +
        `--b\r\nContent-Type: text/plain\r\n\r\n${text}`.repeat(4) + "--b--\r\n",
      marks: [/only the first 524288 characters of text/],
    },
  ];
}

async function traceOf(server: RunningServer, about: string): Promise<string> {
  return await until("the trace is written", async () => {
    const [found] = await findTraces(server.server.folder.trace, { about, limit: 1 });
    return found === undefined ? null : JSON.stringify(found);
  });
}

inBothShapes(
  "a 40 MB header, 100,000 parts, HTML and text beyond 256 kB, tokens beyond 512 kB: stored whole, with a mark in the trace",
  async (start) => {
    await using server = await start({ config: CONFIG });
    const store = openStore({ folder: server.server.folder, writer: server.server.writer });
    const inbox = store.mailboxes.list(store.directory.account(ALICE)!.id).find(({ name }) =>
      name === "INBOX"
    )!;
    const stored = () =>
      store.messages.rows(inbox.id, [[1, 2 ** 31]], { limit: 100, withImap: false }).map(({ blob }) => blob);
    try {
      for (const { name, message, marks } of hostile()) {
        const before = stored().length;
        const client = await server.smtp();
        const began = performance.now();
        const { code, lines } = await client.send(`${name}@far.test`, [ALICE], message);
        assert.equal(code, 250, `${name}: ${lines.join()}`);
        // The time for a verdict, which ends with a mark, and as much again for a busy machine.
        assert.ok(performance.now() - began < 60_000, `${name} took ${performance.now() - began} ms`);
        await client.quit();
        const blobs = stored();
        assert.equal(blobs.length, before + 1, name);
        const blob = blobs.at(-1)!;
        const end = new TextDecoder().decode(
          store.blobs.readSync(blob, Math.max(0, blob.length - message.length), blob.length),
        );
        assert.ok(end === message, `${name} is stored as it came`);
        const trace = await traceOf(server, `${name}@far.test`);
        for (const mark of marks) assert.ok(mark.test(trace), `${name}: ${mark} in ${trace.slice(0, 3_000)}`);
      }
    } finally {
      await store.close();
    }
  },
);

inBothShapes(
  "a learner's knowledge that is broken: mail comes in, with a mark in the trace",
  async (start) => {
    await using server = await start({ config: CONFIG });
    const store = openStore({ folder: server.server.folder, writer: server.server.writer });
    try {
      const { id: accountId } = store.directory.account(ALICE)!;
      const client = await server.smtp();
      assert.equal((await client.send("w@far.test", [ALICE], `${head("w")}\r\nhello\r\n`)).code, 250);
      const reader = await server.imap();
      await reader.ok("SELECT INBOX");
      await reader.ok("STORE 1 +FLAGS ($NotJunk)");
      await reader.logout();
      const upTo = await until(
        "the lesson is learnt",
        () => store.spam.journal(accountId, { after: 0, limit: 9 }).at(-1)?.id ?? null,
      );
      const octets = new TextEncoder().encode("not what it was");
      assert.ok((await store.write({ kind: "put-knowledge", accountId, upTo, octets })).ok);
      const { code } = await client.send("x@far.test", [ALICE], `${head("x")}\r\nhello\r\n`);
      assert.equal(code, 250);
      await client.quit();
      assert.match(await traceOf(server, "x@far.test"), /what was learnt is damaged and was left aside/);
    } finally {
      await store.close();
    }
  },
);

/**
 * Hostile IMAP clients, all at once, against a server process: each meets a limit by its name, the memory of the process stays
 * bounded, and somebody else's session goes on meanwhile.
 */
import assert from "node:assert/strict";
import { ImapClient } from "../lib/imap_client.ts";
import { freeOffset } from "../lib/ports.ts";
import { SmtpClient } from "../lib/smtp_client.ts";
import { READY, Running, withFolder } from "./veredus.ts";

const ALICE = "alice@example.test";
const PASSWORD = "secret";
const MESSAGES = 200;
/** More than any limit on the number of something in a command. */
const TOO_MANY = 25_000;
/** A client that does not read would have this much to come, were it not held back. */
const BODY_OCTETS = 4_000;
const GROWTH_OCTETS = 128 * 1024 * 1024;
/** Of a short command beside all of them, the middle one; the processor is shared with the attackers. */
const BESIDE_MS = 500;

const many = (count: number, item: (at: number) => string) =>
  Array.from({ length: count }, (_, at) => item(at));

function resident(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(Deno.readTextFileSync(`/proc/${pid}/status`))![1]) * 1024;
}

async function fill(port: number): Promise<void> {
  const client = await SmtpClient.connect(port);
  const body = `Subject: filler\r\n\r\n${"x".repeat(78).concat("\r\n").repeat(BODY_OCTETS / 80)}`;
  for (let at = 0; at < MESSAGES; at++) {
    assert.equal((await client.send("x@far.test", [ALICE], body)).code, 250);
  }
  await client.quit();
}

const connect = (port: number) =>
  ImapClient.connect(port, { login: ALICE, password: PASSWORD, timeoutMs: 60_000 });

/** Runs `command` and returns the words of its tagged reply. */
async function words(client: ImapClient, command: string): Promise<string> {
  const { status, text } = await client.command(command);
  return `${status} ${text}`;
}

/** Refused with a limit, and taken when there is exactly as much as it allows. */
async function upTo(client: ImapClient, limit: RegExp, command: (count: number) => string): Promise<void> {
  const refusal = await words(client, command(TOO_MANY));
  const found = limit.exec(refusal);
  assert.ok(found !== null, refusal);
  assert.match(await words(client, command(Number(found[1]))), /^OK/, "exactly the limit");
  assert.match(await words(client, command(Number(found[1]) + 1)), limit, "one more");
}

/** What a client does that only sends; it ends with the connection. */
async function silently(port: number, text: Iterable<string>, { staysMs = 1_000 } = {}): Promise<void> {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const encoder = new TextEncoder();
  try {
    await connection.write(encoder.encode(`a LOGIN ${ALICE} ${PASSWORD}\r\nb SELECT INBOX\r\n`));
    let stopped = false;
    const ends = setTimeout(() => {
      stopped = true;
      connection.close();
    }, 6_000);
    for (const piece of text) {
      if (stopped) break;
      await connection.write(encoder.encode(piece));
    }
    if (!stopped) await new Promise((resolve) => setTimeout(resolve, staysMs));
    clearTimeout(ends);
    if (!stopped) connection.close();
  } catch (error) {
    if (!(error instanceof Error)) throw error; // cut by the server, or by the time
  }
}

type Attack = (port: number) => Promise<void>;

const ATTACKS: Readonly<Record<string, Attack>> = {
  "search keys nested to the limit": async (port) => {
    const client = await connect(port);
    await client.ok("SELECT INBOX");
    const limit = /at most (\d+) levels of search keys/;
    await upTo(client, limit, (count) => `SEARCH ${"NOT ".repeat(Math.min(count, 3_000))}ALL`);
    await client.logout();
  },
  "deep parentheses": async (port) => {
    const client = await connect(port);
    await client.ok("SELECT INBOX");
    assert.match(
      await words(client, `SEARCH ${"(".repeat(3_000)}ALL${")".repeat(3_000)}`),
      /^BAD Expected at most \d+ levels/,
    );
    assert.match(await words(client, `LIST "" ${"(".repeat(3_000)}`), /^BAD/);
    await client.logout();
  },
  "thousands of sections": async (port) => {
    const client = await connect(port);
    await client.ok("SELECT INBOX");
    await upTo(
      client,
      /at most (\d+) items/,
      (count) => `FETCH 1:20 (${many(Math.min(count, 3_000), (at) => `BODY.PEEK[${at + 1}]`).join(" ")})`,
    );
    await client.logout();
  },
  "giant sets": async (port) => {
    const client = await connect(port);
    await client.ok("SELECT INBOX");
    assert.match(await words(client, "UID FETCH 1:4294967295,4294967295:1,*:1 (UID)"), /^OK/);
    await upTo(client, /at most (\d+) ranges/, (count) => `UID FETCH 1${",9".repeat(count - 1)} (UID)`);
    await client.logout();
  },
  "many literals": async (port) => {
    const client = await connect(port);
    await client.ok("SELECT INBOX");
    const literal = `{100+}\r\n${"y".repeat(100)}`;
    assert.match(await words(client, `SEARCH ${many(100, () => `SUBJECT ${literal}`).join(" ")}`), /^OK/);
    assert.match(
      await words(client, `SEARCH ${many(20_000, () => `SUBJECT ${literal}`).join(" ")}`),
      /^BAD (?:The command is too long|The literal is too large|Expected at most \d+ search keys)/,
    );
    await client.logout();
  },
  "ten gigabytes announced": async (port) => {
    const client = await connect(port);
    assert.match(
      await words(client, "APPEND INBOX {10000000000}"),
      /^NO \[TOOBIG\] The message is larger than \d+/,
    );
    await client.logout();
    const chunk = "z".repeat(500_000);
    await silently(port, ["c APPEND INBOX {10000000000+}\r\n", ...many(2_000, () => chunk)]);
  },
  "pipelined, and nothing is read": async (port) => {
    await silently(port, many(10_000, (at) => `p${at} FETCH 1:* BODY.PEEK[]\r\n`));
  },
  "answers of eighty megabytes, and nothing is read": async (port) => {
    const items = many(100, (at) => `BODY.PEEK[]<${at}.${BODY_OCTETS}>`).join(" ");
    await Promise.all(
      many(4, () => "").map(() => silently(port, [`f FETCH 1:* (${items})\r\n`], { staysMs: 4_000 })),
    );
  },
  "ten thousand in a row": async (port) => {
    const client = await connect(port);
    await client.wire.write(many(10_000, (at) => `p${at} NOOP\r\n`).join(""));
    for (let at = 0; at < 10_000; at++) {
      assert.match((await client.response()).line, new RegExp(`^p${at} OK`));
    }
    await client.logout();
  },
  "octet by octet": async (port) => {
    const client = await connect(port);
    for (const octet of "o SELECT INBOX\r\n") {
      await client.wire.write(octet);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    for (let line = ""; !line.startsWith("o "); line = (await client.response()).line) {
      assert.doesNotMatch(line, /BAD/);
    }
    await client.wire.write("h SEARCH SUBJECT {5}\r\n"); // and leaves in the middle
    client.close();
  },
};

for (const threads of ["0", "1"]) {
  Deno.test(`hostile clients meet limits, cost bounded memory, and others go on (--threads ${threads})`, () =>
    withFolder(async (data) => {
      const offset = freeOffset();
      const args = ["start", "--data", data, "--port-offset", String(offset), "--password", PASSWORD];
      const server = new Running([...args, "--threads", threads]);
      await server.said(READY);
      await fill(25 + offset);
      const port = 143 + offset;
      const bystander = await connect(port);
      await bystander.ok("SELECT INBOX");
      await bystander.ok("FETCH 1:* (FLAGS BODY.PEEK[])");
      const before = resident(server.pid);
      let over = false;
      let peak = before;
      const attacks = Promise.all(
        Object.entries(ATTACKS).map(([name, attack]) =>
          attack(port).catch((error) => {
            throw new Error(`${name}: ${error instanceof Error ? error.message : error}`);
          })
        ),
      ).finally(() => over = true);
      attacks.catch(() => {}); // awaited below
      const took: number[] = [];
      while (!over) {
        const began = performance.now();
        await bystander.ok("FETCH 7 (UID FLAGS)");
        took.push(performance.now() - began);
        peak = Math.max(peak, resident(server.pid));
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      await attacks;
      const middle = took.toSorted((a, b) => a - b)[took.length >> 1]!;
      assert.ok(middle < BESIDE_MS, `${middle} ms for a short command beside them`);
      assert.ok(peak - before < GROWTH_OCTETS, `${(peak - before) / 1e6} MB more`);
      await bystander.logout();
      assert.equal((await server.stop()).code, 0);
    }));
}

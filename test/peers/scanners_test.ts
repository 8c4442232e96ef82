/** Debian's clamd, c-icap, spamd and rspamd through the whole server: refused, marked, delivered, put off. */
import assert from "node:assert/strict";
import { parseConfig } from "../../server/config/load.ts";
import { literalText } from "../lib/imap_client.ts";
import { RunningServer } from "../lib/running_server.ts";
import {
  CLAMD_FILE_OCTETS,
  CLAMD_STREAM_OCTETS,
  GTUBE,
  type Scanner,
  startClamd,
  startIcap,
  startRspamd,
  startSpamd,
  UNWANTED,
  VIRUS,
} from "../lib/scanners.ts";

const ALICE = "alice@example.test";
const lines = (octets: number) => "0123456789\r\n".repeat(Math.ceil(octets / 12));

function serve(check: string): Promise<RunningServer> {
  const { filter } = parseConfig(
    `hostname: mx.example.test\nfilter: { checks: [{ ${check}, timeout: 20s }] }`,
    "/veredus.yaml",
  );
  return RunningServer.start({ threads: 0, config: { filter } });
}

function letter(body: string, from = "x@elsewhere.test"): string {
  return `From: ${from}\r\nTo: ${ALICE}\r\nSubject: hello\r\nDate: Mon, 23 Nov 2026 20:09:29 +0000\r\n` +
    `Message-ID: <a@elsewhere.test>\r\n\r\n${body}\r\n`;
}

async function send(server: RunningServer, body: string): Promise<string> {
  const client = await server.smtp();
  const { code, lines: [text = ""] } = await client.send("x@elsewhere.test", [ALICE], letter(body));
  await client.quit();
  return `${code} ${text}`;
}

/** The marks of all messages in INBOX; "" where there is none. */
async function marks(server: RunningServer): Promise<string[]> {
  const reader = await server.imap("alice");
  await reader.ok("SELECT INBOX");
  const { untagged } = await reader.ok("UID FETCH 1:* (BODY.PEEK[HEADER])");
  await reader.logout();
  return untagged.filter(({ literals }) => literals.length > 0).map(literalText).map((text) =>
    /^X-Veredus-Verdict: [^;]+;\r\n\t(.*)\r$/m.exec(text)?.[1] ?? ""
  );
}

for (const way of ["TCP", "Unix socket"] as const) {
  Deno.test(`clamd by ${way}: hits are 550, unwanted programs and limits are marked, logins are scanned too`, async () => {
    const clamd = await startClamd();
    const at = way === "TCP" ? `127.0.0.1:${clamd.port}` : `unix:${clamd.socket}`;
    const server = await serve(`check: clamd, at: "${at}", on_failure: defer`);
    try {
      assert.match(await send(server, "plain"), /^250 /);
      assert.equal(
        await send(server, VIRUS),
        "550 5.7.1 The message is infected: Test.Virus-1.UNOFFICIAL",
      );
      assert.match(await send(server, UNWANTED), /^250 /);
      assert.match(await send(server, lines(CLAMD_FILE_OCTETS + 1_000)), /^250 /);
      assert.match(await send(server, lines(CLAMD_STREAM_OCTETS * 3)), /^250 /);
      assert.match(await send(server, "after a connection that was closed"), /^250 /);
      assert.deepEqual(await marks(server), [
        "",
        "clamd=tag (suspicious: PUA.Test.Tool.UNOFFICIAL)",
        "clamd=tag (not scanned: Heuristics.Limits.Exceeded.MaxFileSize)",
        "clamd=tag (not scanned: larger than the scanner takes)",
        "",
      ]);
      const login = await server.submission("alice");
      const refused = await login.send(ALICE, ["bob@example.test"], letter(VIRUS, ALICE));
      assert.deepEqual([refused.code, refused.lines[0]?.slice(0, 5)], [550, "5.7.1"]);
      await login.quit();
    } finally {
      await server.stop();
      await clamd.stop();
    }
  });
}

Deno.test("a clamd that has died puts mail off, or marks it", async () => {
  const clamd = await startClamd();
  const at = `127.0.0.1:${clamd.port}`;
  const defers = await serve(`check: clamd, at: "${at}", on_failure: defer`);
  const marking = await serve(`check: clamd, at: "${at}"`);
  try {
    for (const server of [defers, marking]) assert.match(await send(server, "plain"), /^250 /);
    await clamd.stop();
    assert.match(await send(defers, VIRUS), /^451 4\.7\.1 /);
    assert.match(await send(marking, VIRUS), /^250 /);
    assert.match((await marks(marking))[1]!, /^clamd=tag \(not scanned: /);
  } finally {
    await Promise.all([defers.stop(), marking.stop()]);
  }
});

for (const trickle of [false, true]) {
  Deno.test(`c-icap: what it finds is 550${trickle ? ", also where it sends back while it scans" : ""}`, async () => {
    const clamd = await startClamd();
    const icap = await startIcap(clamd, { trickle });
    const server = await serve(
      `check: icap, at: "icap://127.0.0.1:${icap.port}/virus_scan", on_failure: defer`,
    );
    try {
      for (const body of ["plain", lines(500), lines(5_000), lines(200_000)]) {
        assert.match(await send(server, body), /^250 /, `${body.length} octets`);
        assert.match(await send(server, body + VIRUS), /^550 5\.7\.1 /, `${body.length} octets and a virus`);
        assert.match(await send(server, VIRUS + "\r\n" + body), /^550 5\.7\.1 /);
      }
      assert.match(await send(server, UNWANTED), /^250 /);
      assert.deepEqual(await marks(server), [
        ...["", "", "", ""],
        "icap=tag (suspicious: PUA.Test.Tool.UNOFFICIAL)",
      ]);
    } finally {
      await server.stop();
      await icap.stop();
      await clamd.stop();
    }
  });
}

async function scored(scanner: Scanner, check: string, why: string): Promise<void> {
  const [, name] = /^check: ([a-z]+)/.exec(check)!;
  const server = await serve(check);
  const strict = await serve(`${check}, action: reject`);
  try {
    assert.match(await send(server, "Shall we meet for lunch on Thursday?"), /^250 /);
    assert.match(await send(server, GTUBE), /^250 /);
    const [plain, marked = ""] = await marks(server);
    assert.equal(plain, "");
    assert.match(marked, new RegExp(`^${name}=tag \\(.*${why}`));
    assert.match(await send(strict, GTUBE), /^550 5\.7\.1 /);
  } finally {
    await Promise.all([server.stop(), strict.stop()]);
    await scanner.stop();
  }
}

Deno.test("spamd: its score is the reason", async () => {
  const spamd = await startSpamd();
  await scored(spamd, `check: spamd, at: "127.0.0.1:${spamd.port}", on_failure: defer`, "TEST_GTUBE");
});

Deno.test("rspamd over HTTP: its action and score are the reason", async () => {
  const rspamd = await startRspamd();
  await scored(
    rspamd,
    `check: rspamd, at: "http://127.0.0.1:${rspamd.port}/", on_failure: defer`,
    "reject, score 15",
  );
});

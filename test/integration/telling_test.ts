/** What the running server tells of itself: lines that can be followed by their ids, and metrics of everything it does. */
import assert from "node:assert/strict";
import { parseConfig } from "../../server/config/load.ts";
import { configureLogs, flushLogs, logSettings } from "../../telemetry/log.ts";
import { FakeSmtpServer } from "../lib/fake_smtp_server.ts";
import { until } from "../lib/program.ts";
import { inBothShapes, PASSWORD, type RunningServer } from "../lib/running_server.ts";
import { Wire } from "../lib/wire.ts";

const ALICE = "alice@example.test", BOB = "bob@example.test";
const LOGS = { level: "debug", areas: {}, format: "json" } as const;

interface Line {
  readonly area: string;
  readonly message: string;
  readonly session?: string;
  readonly trace?: string;
  readonly traceId?: string;
}

const text = (from: string) => `From: ${from}\r\nSubject: x\r\n\r\nbody\r\n`;

function relayTo({ port }: FakeSmtpServer) {
  const { relay } = parseConfig(
    `hostname: mx.example.test\nrelay: [{ next_hop: "127.0.0.1:${port}" }]`,
    "/v.yaml",
  );
  return { relay, captureOutbound: "" };
}

/** Reads a mailbox once by POP3. */
async function popOnce(server: RunningServer): Promise<void> {
  const wire = await Wire.connect(server.port("pop3"));
  for (const line of ["", `USER ${ALICE}`, `PASS ${PASSWORD}`, "STAT", "QUIT"]) {
    if (line !== "") await wire.write(`${line}\r\n`);
    assert.match(await wire.line(), /^\+OK/, line);
  }
  wire.close();
}

inBothShapes(
  "a session's lines have one id; a message's lines have the id that its 250 and its Received show, to the last hop",
  async (start) => {
    const mine: string[] = [];
    const before = logSettings();
    configureLogs(LOGS, { write: (lines) => void mine.push(lines) });
    try {
      await using next = new FakeSmtpServer();
      await using server = await start({ logs: LOGS, config: relayTo(next) });
      const lines = (): Line[] => {
        flushLogs();
        return [...mine, ...server.logs].join("").split("\n").filter((line) => line !== "")
          .map((line) => JSON.parse(line));
      };
      const client = await server.submission();
      const sent = await client.send(ALICE, [BOB, "x@far.test"], text(ALICE));
      const refused = await client.send(ALICE, [BOB], text(BOB));
      assert.deepEqual([sent.code, refused.code], [250, 550]);
      await client.quit();
      const id = /[0-9a-z]{16}/.exec(sent.lines[0]!)![0];
      await until("its last line", () =>
        next.messages.length === 1 &&
        lines().some(({ area, traceId, trace }) => area === "queue" && (traceId ?? trace) === id));
      await until(
        "the end of the session",
        () => lines().some(({ area, message }) => area === "smtp" && message === "session closed"),
      );
      assert.match(next.messages[0]!.data, new RegExp(`^Received: [^\\r]*(\\r\\n[ \\t][^\\r]*)*${id}`));

      const of = lines().filter(({ area }) => area === "smtp" || area === "delivery");
      const sessions = new Set(of.map(({ session }) => session));
      assert.equal(sessions.size, 1, JSON.stringify(of, null, 1));
      assert.ok(!sessions.has(undefined));
      assert.deepEqual(of.filter(({ area }) => area === "smtp").map(({ message }) => message), [
        "session opened",
        "logged in",
        "session closed",
      ]);
      const accepted = of.filter(({ area }) => area === "delivery").map(({ trace, message }) => [
        trace === id,
        message,
      ]);
      assert.deepEqual(accepted, [[true, "message accepted"], [false, "message refused"]]);
      const mentioned = lines().filter((line) => JSON.stringify(line).includes("x@far.test"));
      assert.ok(mentioned.length > 0);
      for (const line of mentioned) {
        assert.ok([line.trace, line.traceId].includes(id), JSON.stringify(line));
      }
    } finally {
      configureLogs(before, { write() {} });
    }
  },
);

inBothShapes(
  "/metrics counts every listener, command, class of reply, delivery, the queue, commits and syncs",
  async (start) => {
    await using next = new FakeSmtpServer();
    await using server = await start({ config: relayTo(next) });
    const before = await server.server.metricsText(); // other tests of this process count too
    const stranger = await server.smtp();
    assert.equal((await stranger.send("x@far.test", [ALICE], text("x@far.test"))).code, 250);
    assert.equal((await stranger.command("RCPT TO:<nobody@example.test>")).code, 503);
    await stranger.quit();
    const login = await server.submission();
    await login.send(ALICE, ["x@far.test"], text(ALICE));
    await login.quit();
    const imap = await server.imap();
    await imap.ok("SELECT INBOX");
    await imap.logout();
    await popOnce(server);
    await until("the mail to go out", () => next.messages.length === 1);
    const counted = (metrics: string, pattern: string) =>
      [...metrics.matchAll(new RegExp(`^${pattern}(?:\\{[^}]*\\})? ([\\d.e+-]+)$`, "gm"))]
        .reduce((sum, [, value]) => sum + Number(value), 0);
    const labelled = (name: string, ...labels: string[]) =>
      `${name}\\{${labels.map((label) => `(?=[^}]*${label})`).join("")}[^}]*\\}`;
    const wanted: [what: string, series: string][] = [
      ...["smtp", "submission", "imap", "pop3"].map((name): [string, string] => [
        `connections of ${name}`,
        labelled("veredus_connections_total", `"${name}"`),
      ]),
      ["commands of SMTP", labelled("veredus_smtp_commands_total", 'verb="RCPT"', 'reply="2xx"')],
      ["... refused", labelled("veredus_smtp_commands_total", 'verb="RCPT"', 'reply="5xx"')],
      ["commands of IMAP", labelled("veredus_imap_commands_total", 'command="SELECT"', 'reply="OK"')],
      ["commands of POP3", labelled("veredus_pop3_commands_total", 'command="STAT"')],
      ["deliveries", "veredus_messages_received_total"],
      ["their time", "veredus_reception_seconds_count"],
      ["attempts of the queue", labelled("veredus_queue_attempts_total", 'outcome="delivered"')],
      ["their time", "veredus_queue_attempt_seconds_count"],
      ["commits", "veredus_commit_seconds_count"],
      ["groups", "veredus_commit_group_size_count"],
      ["syncs", "veredus_segment_sync_seconds_count"],
    ];
    const metrics = await until("everything to be counted", async () => {
      const after = await server.server.metricsText();
      return wanted.every(([, series]) => counted(after, series) > counted(before, series)) && after;
    });
    for (const name of ["veredus_wal_octets", "veredus_checkpoint_seconds", "veredus_queue_recipients"]) {
      assert.match(metrics, new RegExp(`^# TYPE ${name} `, "m"));
    }
  },
);

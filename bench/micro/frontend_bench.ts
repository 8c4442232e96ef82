/**
 * What a front end's own code costs for a delivered message: SMTP, policy, MIME, segment, trace and log of 4 kB for one
 * recipient, without sockets and without the writer, who answers at once.
 *
 * `deno run -A bench/micro/frontend_bench.ts [rounds]`: microseconds of processor time of the best round, a connection each
 * and kept alive. With `--cpu-prof` where they go; with `--v8-flags=--trace-gc` what is thrown away.
 */
import { encode } from "../../bytes/decode.ts";
import { InboundReception } from "../../delivery/inbound.ts";
import { Deadlines } from "../../server/deadline.ts";
import { IdSource } from "../../server/ids.ts";
import { SmtpServer } from "../../server/smtp.ts";
import { DEFAULT_SMTP_OPTIONS } from "../../server/smtp/options.ts";
import type { Transport } from "../../server/transport.ts";
import { DataFolder } from "../../storage/data_folder.ts";
import { openStore } from "../../storage/open_store.ts";
import { TraceLog } from "../../storage/trace_log.ts";
import { Writer, type WriterPort } from "../../storage/writer.ts";
import { configureLogs } from "../../telemetry/log.ts";

const MESSAGES = 2_000;
const KEPT = 20;
const DONE = Promise.resolve();
const PEER = { address: "192.0.2.1", port: 4711, localAddress: "192.0.2.2", localPort: 25 };

const mail = encode("MAIL FROM:<s@remote.example>\r\n");
const rcpt = encode("RCPT TO:<user@example.test>\r\n");
const data = encode("DATA\r\n");
const ehlo = encode("EHLO client.example\r\n");
const quit = encode("QUIT\r\n");
const message = encode(
  "Message-ID: <1@remote.example>\r\nFrom: Some Sender <s@remote.example>\r\nTo: You <user@example.test>\r\n" +
    "Subject: quarterly figures\r\nDate: Sun, 22 Nov 2026 05:00:00 +0000\r\nMIME-Version: 1.0\r\n" +
    "Content-Type: text/plain; charset=utf-8\r\n\r\n" +
    "The quick brown fox jumps over the lazy dog, again and again.\r\n".repeat(60) + ".\r\n",
);
const pipelined = encode("MAIL FROM:<s@remote.example>\r\nRCPT TO:<user@example.test>\r\nDATA\r\n");

const SHAPES = {
  new: { reads: [ehlo, mail, rcpt, data, message, quit], messages: 1 },
  keep: {
    reads: [ehlo, ...Array.from({ length: KEPT }, () => [pipelined, message]).flat(), quit],
    messages: KEPT,
  },
};

/** A client that has always sent its next words already. */
function clientOf(reads: readonly Uint8Array[]): Transport {
  let at = 0;
  return {
    peer: PEER,
    tls: null,
    canStartTls: false,
    read(into) {
      const octets = reads[at++];
      if (octets === undefined) return Promise.resolve(null);
      into.set(octets);
      return Promise.resolve(octets.length);
    },
    write: () => DONE,
    startTls: () => Promise.reject(new Error("no TLS here")),
    close() {},
  };
}

/** Microseconds of processor time that this thread has used; Linux. */
function usedUs(): number {
  return Number(Deno.readTextFileSync("/proc/thread-self/schedstat").split(" ")[0]) / 1_000;
}

configureLogs({ level: "info", areas: {}, format: "json" }, { write() {} });
const path = Deno.makeTempDirSync({ prefix: "veredus-bench-" });
const folder = new DataFolder(path);
folder.create();
const writer = new Writer({
  databasePath: folder.database,
  segments: folder.segments,
  clock: Date.now,
  onFatal: (reason) => {
    throw reason;
  },
});
const port: WriterPort = {
  submit: (op, segments) =>
    op.kind === "deliver"
      ? Promise.resolve({ ok: true, kind: "delivered", uids: [], queueId: null })
      : writer.submit(op, segments),
  onChanges: (listener) => writer.onChanges(listener),
  close: () => writer.close(),
};
const store = openStore({ folder, writer: port, openSegment: true });
await store.write({
  kind: "put-domain",
  domain: { name: "example.test", kind: "local", nextHop: "", catchAll: "", subaddressSeparators: "+" },
});
await store.write({ kind: "put-account", account: { address: "user@example.test" } });
const ids = new IdSource();
const tracer = new TraceLog({
  folder: `${path}/traces`,
  name: "bench",
  keepMs: 60_000,
  clock: Date.now,
  onFault: console.error,
});
const deadlines = new Deadlines();
const server = new SmtpServer({
  reception: new InboundReception({
    ...{ store, tracer, hostname: "mx.example.test", clock: Date.now, newId: () => ids.next() },
    config: {
      ...{
        messageOctets: 50_000_000,
        recipients: 1_000,
        captureOutbound: "",
        vrfy: "nobody",
        expn: "nobody",
      },
      ...{ ownAddresses: [], queueLifetimeMs: 1, bounceLifetimeMs: 1, quarantineMs: 1 },
    },
  }),
  ...{ deadlines, hostName: "mx.example.test", now: Date.now, newId: () => ids.next() },
  login: () => Promise.resolve({ kind: "unavailable" }),
  mechanisms: () => new Map(),
});

const best = new Map<string, number>();
for (let round = 0; round < Number(Deno.args[0] ?? 12); round++) {
  for (const [name, { reads, messages }] of Object.entries(SHAPES)) {
    const before = usedUs();
    for (let done = 0; done < MESSAGES; done += messages) {
      await server.serve(clientOf(reads), DEFAULT_SMTP_OPTIONS);
    }
    best.set(name, Math.min(best.get(name) ?? Infinity, (usedUs() - before) / MESSAGES));
  }
}
for (const [name, us] of best) console.log(`${name}: ${us.toFixed(1)} us`);
await tracer.close();
await store.close();
await writer.close();
deadlines.close();
Deno.removeSync(path, { recursive: true });

/**
 * What a front end's own code costs for a delivered message: SMTP, policy, MIME, segment, trace and log of 4 kB for one
 * recipient, without sockets and without the writer, who answers at once.
 *
 * `deno run -A bench/micro/frontend_bench.ts [rounds] [policy|all]`: microseconds of processor time of the best round, a connection
 * each and kept alive; `policy`, `all`: with these checks of `deliver-checked` on, names in the cache. With `--cpu-prof` where
 * they go; with `--v8-flags=--trace-gc` what is thrown away.
 */
import { encode } from "../../bytes/decode.ts";
import { InboundReception } from "../../delivery/inbound.ts";
import { Deadlines } from "../../server/deadline.ts";
import { patternsOf } from "../../server/filter_chains.ts";
import { Intake } from "../../server/frontend/intake.ts";
import { IdSource } from "../../server/ids.ts";
import { answersBuffer } from "../../server/shared_answers.ts";
import { SharedBuckets } from "../../server/shared_buckets.ts";
import { SmtpServer } from "../../server/smtp.ts";
import { DEFAULT_SMTP_OPTIONS } from "../../server/smtp/options.ts";
import type { Transport } from "../../server/transport.ts";
import { DataFolder } from "../../storage/data_folder.ts";
import { openStore } from "../../storage/open_store.ts";
import { TraceLog } from "../../storage/trace_log.ts";
import { Writer, type WriterPort } from "../../storage/writer.ts";
import { configureLogs } from "../../telemetry/log.ts";
import { checkedConfig, type Checks } from "../checked_config.ts";
import { freeBase } from "../free_ports.ts";
import { LoadGenerator } from "../load.ts";

const MESSAGES = 2_000;
const KEPT = 20;
/** Messages in one turn of the event loop. */
const TURN = 100;
const DONE = Promise.resolve();
const PEER = { address: "127.0.1.1", port: 4711, localAddress: "127.0.0.1", localPort: 25 };

const mail = encode("MAIL FROM:<s@remote.test>\r\n");
const rcpt = encode("RCPT TO:<user@example.test>\r\n");
const data = encode("DATA\r\n");
const ehlo = encode("EHLO client.test\r\n");
const quit = encode("QUIT\r\n");
const message = encode(
  "Message-ID: <1@remote.test>\r\nFrom: Some Sender <s@remote.test>\r\nTo: You <user@example.test>\r\n" +
    "Subject: quarterly figures\r\nDate: Sun, 22 Nov 2026 05:00:00 +0000\r\nMIME-Version: 1.0\r\n" +
    "Content-Type: text/plain; charset=utf-8\r\n\r\n" +
    "The quick brown fox jumps over the lazy dog, again and again.\r\n".repeat(60) + ".\r\n",
);
const pipelined = encode("MAIL FROM:<s@remote.test>\r\nRCPT TO:<user@example.test>\r\nDATA\r\n");

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
const parts = { store, tracer, hostname: "mx.example.test", clock: Date.now, newId: () => ids.next() };
const plain = () =>
  new InboundReception({
    ...parts,
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
  });

/** As a front end has it, with checks on. */
async function checked(checks: Checks) {
  const base = freeBase(12_000);
  const names = await LoadGenerator.compile(path).start("dns", base, {});
  const config = checkedConfig({ data: path, base, dns: base, checks });
  const intake = new Intake(config, {
    ...{ store, trace: tracer, newId: parts.newId, learns: true },
    buckets: new SharedBuckets(SharedBuckets.buffer(), 0),
    answers: answersBuffer(config.resolver),
    patterns: await patternsOf(config.filter),
  });
  const close = async () => {
    await intake.close();
    await names.end();
  };
  return { reception: intake.reception, close };
}

const [rounds = 12, mode = "plain"] = Deno.args;
if (mode !== "plain" && mode !== "policy" && mode !== "all") {
  throw new Error(`${mode}: policy or all is needed`);
}
const intake = mode !== "plain" ? await checked(mode) : { reception: plain(), close: () => DONE };
const server = new SmtpServer({
  reception: intake.reception,
  ...{ deadlines, hostName: "mx.example.test", now: Date.now, newId: parts.newId },
  login: () => Promise.resolve({ kind: "unavailable" }),
  mechanisms: () => new Map(),
});

const best = new Map<string, number>();
for (let round = 0; round < Number(rounds); round++) {
  for (const [name, { reads, messages }] of Object.entries(SHAPES)) {
    const before = usedUs();
    for (let done = 0; done < MESSAGES; done += messages) {
      await server.serve(clientOf(reads), DEFAULT_SMTP_OPTIONS);
      if (done % TURN === 0) await new Promise((resolve) => setTimeout(resolve)); // what checks remember is written
    }
    best.set(name, Math.min(best.get(name) ?? Infinity, (usedUs() - before) / MESSAGES));
  }
}
for (const [name, us] of best) console.log(`${name}: ${us.toFixed(1)} us`);
await intake.close();
await tracer.close();
await store.close();
await writer.close();
deadlines.close();
Deno.removeSync(path, { recursive: true });

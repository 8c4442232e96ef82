/**
 * Deliveries through InboundReception into a real store: 4 kB, one recipient, 20 at a time, each durable.
 *
 * `deno run -A bench/micro/inbound_bench.ts [seconds]`. Two shapes: writer in this thread, and in a Worker as the server
 * runs it; each without and with all checks of the sender, over DNS that answers from memory (a warm cache), for a message
 * with an RSA-2048 signature. Logs are formatted and thrown away. The CPU time of this thread is what a front end pays besides SMTP.
 */
import { NO_MAIL_PARAMETERS, NO_RCPT_PARAMETERS } from "../../protocols/smtp/parameters.ts";
import { generateKeyPairSync } from "node:crypto";
import { encodeLatin1, latin1 } from "../../bytes/decode.ts";
import type { AuthenticationConfig } from "../../delivery/authentication.ts";
import type { DataOf, RecordData, RecordType } from "../../dns/rdata.ts";
import type { Answer, Resolver } from "../../dns/resolver.ts";
import { Blocks } from "../../filter/address_block.ts";
import { BodyHash } from "../../mailauth/dkim_canonical.ts";
import { signHeader } from "../../mailauth/dkim_sign.ts";
import { InboundReception } from "../../delivery/inbound.ts";
import { type ClientFacts, isReply } from "../../delivery/reception.ts";
import { IdSource } from "../../server/ids.ts";
import { DataFolder } from "../../storage/data_folder.ts";
import { openStore } from "../../storage/open_store.ts";
import { Writer, type WriterPort } from "../../storage/writer.ts";
import { connectWriter, serveWriter } from "../../storage/writer_port.ts";
import { configureLogs } from "../../telemetry/log.ts";

const SENDERS = 20;
const ACCOUNTS = 20;
const client: ClientFacts = {
  sessionId: "session",
  address: "192.0.2.1",
  port: 4711,
  heloName: "client.example",
  esmtp: true,
  tls: null,
  service: "mx",
  account: null,
  trusted: false,
};
const mail = {
  reversePath: { localPart: "sender", domain: "remote.example", international: false },
  parameters: { ...NO_MAIL_PARAMETERS, size: 4_096, body: "8BITMIME" },
} as const;

const message = new TextEncoder().encode(
  "Date: Mon, 23 Nov 2026 20:09:29 +0000\r\nFrom: Sender <sender@remote.example>\r\n" +
    "To: <user@example.test>\r\nSubject: benchmark\r\nMessage-ID: <1@remote.example>\r\n\r\n" +
    "The quick brown fox jumps over the lazy dog, again and again.\r\n".repeat(61),
);

function openWriter(path: string): Writer {
  return new Writer({
    databasePath: new DataFolder(path).database,
    segments: new DataFolder(path).segments,
    clock: Date.now,
    onFatal: (reason) => {
      throw reason;
    },
  });
}

/** Nanoseconds of CPU this thread has used; Linux. */
function cpuNs(): number {
  return Number(Deno.readTextFileSync("/proc/thread-self/schedstat").split(" ")[0]);
}

/** DKIM-signed by its author, SPF and reverse DNS in order, p=reject. */
async function signedMessage(): Promise<{ octets: Uint8Array; resolver: Resolver }> {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const bodyAt = latin1(message).indexOf("\r\n\r\n") + 4;
  const hash = new BodyHash("relaxed", { algorithm: "sha256", limit: null });
  hash.write(message, bodyAt, message.length);
  const field = await signHeader(message.subarray(0, bodyAt - 2), {
    bodyHash: hash.digest(),
    key: { domain: "remote.example", selector: "s", kind: "rsa", key: privateKey },
    now: Date.now(),
  });
  const text = (value: string): RecordData[] => [{ type: "TXT", strings: [new TextEncoder().encode(value)] }];
  const records: Record<string, readonly RecordData[]> = {
    "s._domainkey.remote.example TXT": text(
      `v=DKIM1; p=${publicKey.export({ format: "der", type: "spki" }).toString("base64")}`,
    ),
    "remote.example TXT": text("v=spf1 include:spf.remote.example -all"),
    "spf.remote.example TXT": text("v=spf1 ip4:198.51.100.0/24 ip4:192.0.2.0/24 -all"),
    "_dmarc.remote.example TXT": text("v=DMARC1; p=reject"),
    "1.2.0.192.in-addr.arpa PTR": [{ type: "PTR", target: "client.example" }],
    "client.example A": [{ type: "A", address: "192.0.2.1" }],
  };
  const resolver: Resolver = {
    async resolve<T extends RecordType>(name: string, type: T): Promise<Answer<T>> {
      const found = (records[`${name} ${type}`] ?? []) as readonly DataOf<T>[];
      return {
        ...{ name, type, canonicalName: name, ttlSeconds: 300, security: "insecure", reason: null },
        ...{ status: found.length > 0 ? "found" : "no-such-domain", records: found },
      };
    },
  };
  return { octets: concat(encodeLatin1(field), message), resolver };
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const whole = new Uint8Array(a.length + b.length);
  whole.set(a);
  whole.set(b, a.length);
  return whole;
}

const AUTHENTICATION: AuthenticationConfig = {
  ...{ iprev: true, spf: true, dkim: true, arc: true, dmarc: "rfc9989", refuse: "agreed" },
  ...{ trustedSealers: [], knownLists: [], relays: new Blocks([]), skip: new Blocks([]) },
  ...{ onDnsTrouble: "deliver", timeoutMs: 30_000 },
};

async function run(
  { path, writer, seconds, checks }: { path: string; writer: WriterPort; seconds: number; checks: boolean },
): Promise<string> {
  const { octets, resolver } = await signedMessage();
  const store = openStore({ folder: new DataFolder(path), writer, openSegment: true });
  await store.write({
    kind: "put-domain",
    domain: { name: "example.test", kind: "local", nextHop: "", catchAll: "", subaddressSeparators: "+" },
  });
  for (let at = 0; at < ACCOUNTS; at++) {
    await store.write({ kind: "put-account", account: { address: `user${at}@example.test` } });
  }
  const ids = new IdSource();
  const reception = new InboundReception({
    store,
    hostname: "mx.example.test",
    clock: Date.now,
    newId: () => ids.next(),
    ...(checks && { resolver }),
    config: {
      authentication: AUTHENTICATION,
      messageOctets: 50_000_000,
      recipients: 1_000,
      captureOutbound: "",
      vrfy: "nobody",
      expn: "nobody",
      ownAddresses: [],
      queueLifetimeMs: 1,
      bounceLifetimeMs: 1,
      quarantineMs: 1,
    },
  });
  const end = performance.now() + seconds * 1000;
  const cpuBefore = cpuNs();
  const took: number[] = [];
  await Promise.all(Array.from({ length: SENDERS }, async (_, sender) => {
    while (performance.now() < end) {
      const began = performance.now();
      const transaction = reception.mail(client, mail);
      if (isReply(transaction)) throw new Error(transaction.text);
      transaction.rcpt({
        localPart: `user${sender % ACCOUNTS}`,
        domain: "example.test",
        international: false,
      }, NO_RCPT_PARAMETERS);
      transaction.begin();
      await transaction.write(octets, 0, octets.length);
      const answer = await transaction.finish();
      if (answer.code !== 250) throw new Error(answer.text);
      took.push(performance.now() - began);
    }
  }));
  const cpuUs = (cpuNs() - cpuBefore) / 1000 / took.length;
  await store.close();
  took.sort((a, b) => a - b);
  const p99 = took[Math.floor(took.length * 0.99)]!;
  return `${Math.round(took.length / seconds)} messages/s, p99 ${p99.toFixed(1)} ms, ${
    cpuUs.toFixed(0)
  } us CPU each`;
}

if (self.name === "writer") {
  self.onmessage = ({ data }: MessageEvent<{ path: string; port: MessagePort }>) => {
    serveWriter(openWriter(data.path), data.port);
    self.postMessage("ready");
  };
} else if (import.meta.main) {
  configureLogs({ level: "info", areas: {}, format: "json" }, { write() {} });
  const seconds = Number(Deno.args[0] ?? 5);
  for (
    const [shape, checks] of [
      ["writer in this thread", false],
      ["writer in this thread", true],
      ["writer in a Worker", false],
      ["writer in a Worker", true],
    ] as const
  ) {
    const name = `${shape}${checks ? ", sender checked" : ""}`;
    const path = Deno.makeTempDirSync({ prefix: "veredus-bench-" });
    new DataFolder(path).create();
    if (shape === "writer in this thread") {
      const writer = openWriter(path);
      console.log(`${name}: ${await run({ path, writer, seconds, checks })}`);
      await writer.close();
    } else {
      const worker = new Worker(import.meta.url, { type: "module", name: "writer" });
      const { port1, port2 } = new MessageChannel();
      worker.postMessage({ path, port: port1 }, [port1]);
      await new Promise((resolve) => worker.onmessage = resolve);
      console.log(`${name}: ${await run({ path, writer: connectWriter(port2), seconds, checks })}`);
      worker.terminate();
      port2.close();
    }
    Deno.removeSync(path, { recursive: true });
  }
}

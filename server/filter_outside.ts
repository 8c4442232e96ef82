/** How checks reach what is outside: HTTP hooks, milters, and the Worker of the operator's policy file. */
import { getLogger } from "@logtape/logtape";
import type { Check, CheckFacts } from "../filter/check.ts";
import { milter } from "../filter/checks/milter.ts";
import { outsideCheck } from "../filter/checks/outside_check.ts";
import type { ByteStream } from "../filter/stream.ts";
import { scanner, type ScannerOptions } from "../filter/checks/scanner.ts";
import { Clamd } from "../filter/scan/clamd.ts";
import { Icap } from "../filter/scan/icap.ts";
import { parseRspamdReply, rspamdHeaders } from "../filter/scan/rspamd.ts";
import { scanBySpamd } from "../filter/scan/spamd.ts";
import type { MessageSource } from "../filter/message_source.ts";
import type { CheckConfig } from "./config/config.ts";
import { icapAddress, parseHostPort } from "./config/host_port.ts";

const log = getLogger(["veredus", "filter"]);
const MAX_ANSWER_OCTETS = 64 * 1024;
const READ_OCTETS = 16 * 1024;
/** Wait before a policy Worker that died or hung is started again. */
const RESTART_MS = 1_000;

/** POST of JSON; redirects are not followed. */
export function httpHook({ name, stages, at, timeoutMs, onFailure }: CheckConfig): Check {
  return outsideCheck({
    name,
    stages,
    onFailure,
    ask: async (facts) => {
      const response = await fetch(at, {
        method: "POST",
        redirect: "manual",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(facts),
        signal: AbortSignal.timeout(timeoutMs),
      });
      const text = await limited(response);
      if (!response.ok) throw new Error(`status ${response.status}`);
      return JSON.parse(text);
    },
  });
}

async function limited(response: Response): Promise<string> {
  let text = "";
  if (response.body === null) return text;
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    if (text.length > MAX_ANSWER_OCTETS) {
      throw new Error(`an answer of more than ${MAX_ANSWER_OCTETS} octets`);
    }
  }
  return text;
}

export function milterCheck(
  { name, at, timeoutMs, onFailure }: CheckConfig,
  { hostname, clock }: { hostname: string; clock: () => number },
): Check {
  return milter({
    name,
    hostname,
    timeoutMs,
    onFailure,
    now: clock,
    connect: () => connectTo(at, timeoutMs),
  });
}

/** `at` is `HOST:PORT` or `unix:PATH`. */
async function connectTo(at: string, timeoutMs: number): Promise<ByteStream> {
  const address = parseHostPort(at) ?? icapAddress(at);
  const connection = address === null
    ? await Deno.connect({ transport: "unix", path: at.slice("unix:".length) })
    : await Deno.connect({
      hostname: address.host,
      port: address.port,
      signal: AbortSignal.timeout(timeoutMs),
    });
  return {
    async read() {
      const buffer = new Uint8Array(READ_OCTETS);
      const count = await connection.read(buffer);
      return count === null ? null : buffer.subarray(0, count);
    },
    async write(bytes) {
      for (let done = 0; done < bytes.length;) done += await connection.write(bytes.subarray(done));
    },
    close() {
      try {
        connection.close();
      } catch (error) {
        if (!(error instanceof Deno.errors.BadResource)) throw error; // closed already
      }
    },
  };
}

/** What scanners need of this thread beside their configuration. */
export type ScannerParts = Pick<ScannerOptions, "mayDefer" | "isRelay" | "now">;

export function clamdCheck(config: CheckConfig, parts: ScannerParts): Check {
  const { at, connections, timeoutMs, markOnly } = config;
  const connect = () => connectTo(at, timeoutMs);
  const clamd = new Clamd({ connect, connections, timeoutMs, markOnly, now: parts.now });
  return scanner({ ...config, ...parts, scan: (message) => clamd.scan(message), close: () => clamd.close() });
}

export function icapCheck(config: CheckConfig, parts: ScannerParts): Check {
  const { at: url, connections, timeoutMs, markOnly } = config;
  const connect = () => connectTo(url, timeoutMs);
  const icap = new Icap({ connect, url, connections, timeoutMs, markOnly, now: parts.now });
  return scanner({ ...config, ...parts, scan: (message) => icap.scan(message), close: () => icap.close() });
}

export function spamdCheck(config: CheckConfig, parts: ScannerParts): Check {
  const { at, timeoutMs } = config;
  const options = { connect: () => connectTo(at, timeoutMs), timeoutMs };
  return scanner({ ...config, ...parts, scan: (message) => scanBySpamd(message, options) });
}

export function rspamdCheck(config: CheckConfig, parts: ScannerParts): Check {
  const { at, timeoutMs } = config;
  const url = new URL("/checkv2", at);
  const scan = async (message: MessageSource, facts: CheckFacts) => {
    const response = await fetch(url, {
      method: "POST",
      redirect: "manual",
      headers: rspamdHeaders(facts),
      body: bodyOf(message),
      signal: AbortSignal.timeout(timeoutMs),
    });
    const text = await limited(response);
    if (!response.ok) throw new Error(`status ${response.status}`);
    return parseRspamdReply(text);
  };
  return scanner({ ...config, ...parts, scan });
}

function bodyOf(message: MessageSource): ReadableStream<Uint8Array<ArrayBuffer>> {
  let at = 0;
  return new ReadableStream({
    async pull(controller) {
      const octets = at < message.octets ? await message.read(at, 4 * READ_OCTETS) : null;
      if (octets === null || octets.length === 0) return controller.close();
      at += octets.length;
      controller.enqueue(octets.slice());
    },
  });
}

interface Question {
  readonly resolve: (verdict: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** The policy file in a Worker without permissions: it cannot read, write, connect or run anything. */
export function scriptCheck({ name, stages, at, timeoutMs, onFailure }: CheckConfig): Check {
  const policy = new PolicyWorker(name, at);
  return outsideCheck({
    name,
    stages,
    onFailure,
    ask: (facts) => policy.ask(facts, timeoutMs),
    close: () => policy.close(),
  });
}

class PolicyWorker {
  #name: string;
  #path: string;
  #worker: Worker | null;
  #questions: Map<number, Question>;
  #next: number;
  #retryAt: number;

  constructor(name: string, path: string) {
    this.#name = name;
    this.#path = path;
    this.#worker = null;
    this.#questions = new Map();
    this.#next = 0;
    this.#retryAt = 0;
  }

  async ask(facts: unknown, timeoutMs: number): Promise<unknown> {
    const worker = this.#worker ??= this.#start();
    const id = this.#next++;
    const answer = new Promise<unknown>((resolve, reject) => this.#questions.set(id, { resolve, reject }));
    worker.postMessage({ id, facts });
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        // It may hang in a loop: only its end helps those that come after.
        this.#ended(`no verdict within ${timeoutMs} ms`);
        reject(new Error(`no verdict within ${timeoutMs} ms`));
      }, timeoutMs);
    });
    try {
      return await Promise.race([answer, late]);
    } finally {
      clearTimeout(timer);
      this.#questions.delete(id);
    }
  }

  close(): void {
    this.#worker?.terminate();
    this.#worker = null;
  }

  #start(): Worker {
    if (performance.now() < this.#retryAt) throw new Error("it is started again in a moment");
    const source = Deno.readTextFileSync(this.#path);
    const type = this.#path.endsWith(".ts") ? "application/typescript" : "text/javascript";
    const worker = new Worker(new URL("./policy_worker.ts", import.meta.url), {
      type: "module",
      name: this.#name,
      deno: { permissions: "none" },
    } as WorkerOptions);
    worker.addEventListener("message", ({ data }) => {
      if (data.kind === "loaded") {
        if (data.fault !== null) {
          log.error("the policy file of {name}: {fault}", { name: this.#name, fault: data.fault });
        }
        return;
      }
      const question = this.#questions.get(data.id);
      if (data.fault === undefined) question?.resolve(data.verdict);
      else question?.reject(new Error(data.fault));
    });
    worker.addEventListener("error", (event) => {
      event.preventDefault();
      if (this.#worker === worker) this.#ended(event.message);
    });
    worker.postMessage({ kind: "load", source: `data:${type};charset=utf-8,${encodeURIComponent(source)}` });
    return worker;
  }

  #ended(reason: string): void {
    log.error("the policy file of {name} is started again: {reason}", { name: this.#name, reason });
    this.close();
    this.#retryAt = performance.now() + RESTART_MS;
    for (const { reject } of this.#questions.values()) reject(new Error(reason));
    this.#questions.clear();
  }
}

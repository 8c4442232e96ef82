/** How checks reach what is outside: HTTP hooks, milters, and the operator's policy file. */
import type { Check, CheckFacts } from "../filter/check.ts";
import { milter } from "../filter/checks/milter.ts";
import { outsideCheck } from "../filter/checks/outside_check.ts";
import { OutsideFault } from "../filter/outside.ts";
import type { ByteStream } from "../filter/stream.ts";
import { scanner, type ScannerOptions } from "../filter/checks/scanner.ts";
import { Clamd } from "../filter/scan/clamd.ts";
import { Icap } from "../filter/scan/icap.ts";
import { ScanFault } from "../filter/scan/result.ts";
import { parseRspamdReply, rspamdHeaders } from "../filter/scan/rspamd.ts";
import { scanBySpamd } from "../filter/scan/spamd.ts";
import type { MessageSource } from "../filter/message_source.ts";
import type { CheckConfig } from "./config/config.ts";
import { icapAddress, parseHostPort } from "./config/host_port.ts";
import { hasRoom } from "./descriptors.ts";
import { PolicyFile } from "./policy_file.ts";

const MAX_ANSWER_OCTETS = 64 * 1024;
const READ_OCTETS = 16 * 1024;

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
      if (!response.ok) throw new OutsideFault(`status ${response.status}`);
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
      throw new OutsideFault(`an answer of more than ${MAX_ANSWER_OCTETS} octets`);
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
  if (!hasRoom()) throw new Error("no file descriptors are left");
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
    if (!response.ok) throw new ScanFault(`status ${response.status}`);
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

/** The policy file, without permissions: it cannot read, write, connect or run anything. */
export function scriptCheck({ name, stages, at, timeoutMs, onFailure }: CheckConfig): Check {
  const policy = new PolicyFile(name, at);
  return outsideCheck({
    name,
    stages,
    onFailure,
    ask: (facts) => policy.ask(facts, timeoutMs),
    close: () => policy.close(),
  });
}

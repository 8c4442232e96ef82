/**
 * One question to one server, until it has answered or its time is over.
 *
 * UDP first; TCP when the answer is truncated (RFC 7766 5), garbled, in other case than asked, FORMERR to a plain question, or
 * drowned in foreign datagrams. What a server cannot do (EDNS, keeping the case) is remembered in its {@linkcode ServerTraits}, each
 * for {@linkcode TRAIT_MS}. A datagram counts only from the address and port that were asked, with the right id and
 * question; everything else is counted and ignored.
 */
import { type Message, RCODES } from "./message.ts";
import type { Network, ServerAddress, TcpStream, Timing, UdpSocket } from "./network.ts";
import {
  buildQuery,
  CLIENT_COOKIE_OCTETS,
  cookieOf,
  judge,
  type Query,
  type RandomBelow,
  type Verdict,
} from "./query.ts";
import type { ResolveFault } from "./resolver.ts";
import type { StreamPool } from "./stream_pool.ts";

/** After this long a server may have been replaced by one that can. */
export const TRAIT_MS = 3_600_000;
/** Foreign datagrams on one socket before TCP is used: somebody is guessing. */
const MAX_FOREIGN = 16;
/** Queries in one exchange: EDNS, without cookie, without EDNS, TCP, lower case and two to spare. */
const MAX_STEPS = 7;
/** More than we announce, for servers that do not read it. */
const BUFFER_OCTETS = 4_096;

/** What is known about a server; clock milliseconds until which it holds. */
export interface ServerTraits {
  noEdnsUntil: number;
  noMixedCaseUntil: number;
  noCookieUntil: number;
  /** Ours, or the server's behind ours; null before the first question. */
  cookie: Uint8Array | null;
}

export function newTraits(): ServerTraits {
  return { noEdnsUntil: -Infinity, noMixedCaseUntil: -Infinity, noCookieUntil: -Infinity, cookie: null };
}

export interface ExchangeParts {
  readonly network: Network;
  readonly timing: Timing;
  readonly random: RandomBelow;
  /** Streams kept open for the next question (RFC 7766 6.2.1); left out: each has its own. */
  readonly streams?: StreamPool;
}

export interface ExchangeSpec {
  readonly server: ServerAddress;
  readonly traits: ServerTraits;
  /** Canonical name. */
  readonly name: string;
  /** TYPE code. */
  readonly type: number;
  /** Ask a recursive server (the default), or the server of a zone. */
  readonly recursion?: boolean;
  readonly dnssec?: boolean;
  /** Send cookies (RFC 7873). */
  readonly cookies?: boolean;
  /** For all steps together. */
  readonly timeoutMs: number;
  /** Ends it early, when another server was faster. */
  readonly signal: AbortSignal;
}

export type Outcome =
  | { readonly kind: "answer"; readonly message: Message; readonly tcp: boolean }
  | { readonly kind: "failed"; readonly fault: ResolveFault; readonly detail: string };

type Step = Verdict | { readonly kind: "timeout" } | {
  readonly kind: "unreachable";
  readonly detail: string;
};

/** Never rejects for a reason outside of us. */
export async function exchange(parts: ExchangeParts, spec: ExchangeSpec): Promise<Outcome> {
  const abort = new AbortController();
  const stop = () => abort.abort();
  const disarm = parts.timing.after(spec.timeoutMs, stop);
  spec.signal.addEventListener("abort", stop);
  if (spec.signal.aborted) stop();
  try {
    return await steps(parts, spec, abort.signal);
  } finally {
    disarm();
    spec.signal.removeEventListener("abort", stop);
    abort.abort();
  }
}

async function steps(parts: ExchangeParts, spec: ExchangeSpec, signal: AbortSignal): Promise<Outcome> {
  const { traits } = spec;
  let tcp = false;
  /** The case came back changed over UDP: TCP tells whether the server does it or someone guesses. */
  let caseInDoubt = false;
  let badCookie = false;
  for (let count = 0; count < MAX_STEPS; count++) {
    const now = parts.timing.now();
    const query = buildQuery({
      name: spec.name,
      type: spec.type,
      mixedCase: traits.noMixedCaseUntil <= now,
      edns: traits.noEdnsUntil <= now,
      recursion: spec.recursion ?? true,
      dnssec: spec.dnssec ?? false,
      cookie: spec.cookies && traits.noCookieUntil <= now ? cookieFor(traits, parts.random) : null,
    }, parts.random);
    const step = tcp ? await overTcp(parts, spec, query, signal) : await overUdp(parts, spec, query, signal);
    switch (step.kind) {
      case "answer": {
        // Nothing is left to be done without: something on the way may have spoilt the datagram.
        if (!tcp && step.message.rcode === RCODES.FORMERR && !query.edns) {
          tcp = true;
          break;
        }
        const cookie = query.cookie === null ? null : cookieOf(step.message);
        if (cookie !== null) traits.cookie = cookie;
        // RFC 7873 5.3: who has given a cookie gives one again; over UDP its absence is in doubt.
        else if (query.cookie !== null && query.cookie.length > CLIENT_COOKIE_OCTETS) {
          if (tcp) traits.noCookieUntil = now + TRAIT_MS;
          else {
            tcp = true;
            break;
          }
        }
        return { kind: "answer", message: step.message, tcp };
      }
      case "bad-cookie":
        traits.cookie = step.cookie;
        if (badCookie) tcp = true;
        badCookie = true;
        break;
      case "other-case":
        if (tcp && !step.message.truncated) {
          traits.noMixedCaseUntil = now + TRAIT_MS;
          return { kind: "answer", message: step.message, tcp };
        }
        if (tcp) return { kind: "failed", fault: "malformed", detail: "truncated over TCP" };
        tcp = caseInDoubt = true;
        break;
      case "no-edns":
        // The option may be what it dislikes: that is the lesser loss.
        if (query.cookie !== null) traits.noCookieUntil = now + TRAIT_MS;
        else traits.noEdnsUntil = now + TRAIT_MS;
        break;
      case "truncated":
      case "malformed":
      case "foreign":
        if (tcp) return { kind: "failed", fault: "malformed", detail: `${step.kind} over TCP` };
        tcp = true;
        break;
      case "unreachable":
        // No TCP to be had from a server that changes the case: then its answers over UDP must do. Whoever wants
        // to use this still has to guess id and port.
        if (tcp && caseInDoubt) {
          traits.noMixedCaseUntil = now + TRAIT_MS;
          tcp = caseInDoubt = false;
          break;
        }
        return { kind: "failed", fault: "server-failure", detail: step.detail };
      case "timeout":
        return { kind: "failed", fault: "timeout", detail: "no answer in time" };
      default:
        return step satisfies never;
    }
  }
  return { kind: "failed", fault: "malformed", detail: "answers that contradict each other" };
}

function cookieFor(traits: ServerTraits, random: RandomBelow): Uint8Array {
  return traits.cookie ??= Uint8Array.from({ length: CLIENT_COOKIE_OCTETS }, () => random(256));
}

async function overUdp(
  parts: ExchangeParts,
  spec: ExchangeSpec,
  query: Query,
  signal: AbortSignal,
): Promise<Step> {
  let socket: UdpSocket | null = null;
  const close = () => socket?.close();
  signal.addEventListener("abort", close);
  try {
    if (signal.aborted) return { kind: "timeout" };
    socket = parts.network.udp(spec.server);
    await socket.send(query.octets, spec.server);
    const buffer = new Uint8Array(BUFFER_OCTETS);
    for (let foreign = 0; foreign < MAX_FOREIGN; foreign++) {
      const datagram = await socket.receive(buffer);
      if (datagram === null) return { kind: "timeout" };
      if (!sameServer(datagram.from, spec.server)) continue;
      const verdict = judge(query, datagram.octets);
      if (verdict.kind !== "foreign") return verdict;
    }
    return { kind: "foreign" };
  } catch (error) {
    return trouble(error, signal);
  } finally {
    signal.removeEventListener("abort", close);
    close();
  }
}

async function overTcp(
  parts: ExchangeParts,
  spec: ExchangeSpec,
  query: Query,
  signal: AbortSignal,
): Promise<Step> {
  const kept = parts.streams?.take(spec.server);
  if (kept !== undefined) {
    const step = await overStream(parts, spec, { query, signal, stream: kept });
    // The server may have closed it meanwhile: that says nothing.
    if (step.kind !== "unreachable") return step;
  }
  if (signal.aborted) return { kind: "timeout" };
  try {
    const stream = await parts.network.tcp(spec.server, signal);
    return await overStream(parts, spec, { query, signal, stream });
  } catch (error) {
    return trouble(error, signal);
  }
}

async function overStream(
  parts: ExchangeParts,
  spec: ExchangeSpec,
  about: { readonly query: Query; readonly signal: AbortSignal; readonly stream: TcpStream },
): Promise<Step> {
  const { query, signal, stream } = about;
  const close = () => stream.close();
  signal.addEventListener("abort", close);
  let reusable = false;
  try {
    if (signal.aborted) return { kind: "timeout" };
    // Length and message in one write: some servers want them in one segment (RFC 7766 8).
    const framed = new Uint8Array(query.octets.length + 2);
    framed[0] = query.octets.length >> 8;
    framed[1] = query.octets.length;
    framed.set(query.octets, 2);
    await stream.write(framed);
    const length = await readFully(stream, new Uint8Array(2));
    const octets = length && await readFully(stream, new Uint8Array(length[0]! << 8 | length[1]!));
    if (octets !== null) {
      const verdict = judge(query, octets);
      reusable = verdict.kind !== "foreign" && verdict.kind !== "malformed";
      return verdict;
    }
    return signal.aborted
      ? { kind: "timeout" }
      : { kind: "unreachable", detail: "connection closed without an answer" };
  } catch (error) {
    return trouble(error, signal);
  } finally {
    signal.removeEventListener("abort", close);
    if (!reusable || signal.aborted || parts.streams?.keep(spec.server, stream) !== true) close();
  }
}

async function readFully(stream: TcpStream, into: Uint8Array): Promise<Uint8Array | null> {
  for (let at = 0; at < into.length;) {
    const count = await stream.read(into.subarray(at));
    if (count === 0) return null;
    at += count;
  }
  return into;
}

/** A socket closed by our own time-out fails in the call that waits on it. */
function trouble(error: unknown, signal: AbortSignal): Step {
  if (signal.aborted) return { kind: "timeout" };
  if (error instanceof TypeError || error instanceof RangeError || !(error instanceof Error)) throw error;
  return { kind: "unreachable", detail: error.message };
}

function sameServer(a: ServerAddress, b: ServerAddress): boolean {
  return a.port === b.port && a.address === b.address;
}

/**
 * COMPRESS=DEFLATE (RFC 4978) as a transport around another: raw deflate both ways.
 *
 * Memory is bounded: the window of the peer (32 kB, zlib's choice), a window of {@linkcode WINDOW_BITS} bits our way, and
 * what one read of {@linkcode READ_OCTETS} inflates to, which is drawn only as far as it is asked for. Every write is
 * followed by a sync flush, so that no answer waits in the compressor. A peer whose octets inflate to more than
 * {@linkcode FREE_OCTETS} and {@linkcode MAX_RATIO} times what it sent is cut. What comes behind a sync flush of the peer is
 * inflated only when all before it was read, so that it is still there where compression ends.
 */
import zlib from "node:zlib";
import { counter } from "../telemetry/metrics.ts";
import type { PeerFacts, TlsFacts, Transport } from "./transport.ts";

const READ_OCTETS = 2_048;
const WINDOW_BITS = 13;
const MEMORY_LEVEL = 5;
/** What may come out however little came in: a whole message of the usual limit. */
const FREE_OCTETS = 64 * 1024 * 1024;
const MAX_RATIO = 100;

const started = counter(
  "veredus_compressed_connections_total",
  "Connections that switched to COMPRESS=DEFLATE",
);
const bombs = counter(
  "veredus_compression_bombs_total",
  "Connections cut because their input inflated too much",
);

export class CompressedTransport implements Transport {
  readonly peer: PeerFacts;
  readonly tls: TlsFacts | null;
  readonly canStartTls = false;
  /** What carries the compressed octets. */
  readonly inner: Transport;
  readonly #freeOctets: number;
  #inflate = zlib.createInflateRaw({ chunkSize: 4_096 });
  #deflate = zlib.createDeflateRaw({ windowBits: WINDOW_BITS, memLevel: MEMORY_LEVEL, chunkSize: 4_096 });
  #input = new Uint8Array(READ_OCTETS);
  #output: Uint8Array[] = [];
  /** What came behind a sync flush, as it came. */
  #behind: Uint8Array | null = null;
  /** Octets of such a flush that the last ones are, 0 to 3. */
  #flushed = 0;
  /** What a read handed out only in part. */
  #rest: Uint8Array | null = null;
  #consuming = false;
  #ended = false;
  #closed = false;
  #error: Error | null = null;
  #wake: (() => void) | null = null;
  #octetsIn = 0;
  #octetsOut = 0;

  constructor(inner: Transport, options: { readonly freeOctets?: number } = {}) {
    this.inner = inner;
    this.peer = inner.peer;
    this.tls = inner.tls;
    this.#freeOctets = options.freeOctets ?? FREE_OCTETS;
    this.#inflate.on("readable", () => this.#signal());
    this.#inflate.on("end", () => {
      this.#ended = true;
      this.#signal();
    });
    this.#inflate.on("error", (error: Error) => this.#fail(error));
    this.#deflate.on("data", (piece: Uint8Array) => this.#output.push(piece));
    this.#deflate.on("error", (error: Error) => this.#fail(error));
    started.inc();
  }

  async read(into: Uint8Array): Promise<number | null> {
    for (;;) {
      if (this.#closed) return null;
      const chunk = this.#rest ?? this.#inflate.read() as Uint8Array | null;
      if (chunk !== null && chunk.length > 0) return this.#handOut(chunk, into);
      if (this.#error !== null) throw this.#error;
      if (this.#ended) return null;
      if (this.#consuming) {
        await new Promise<void>((resolve) => this.#wake = resolve);
        continue;
      }
      const octets = this.#behind ?? await this.#more();
      if (octets === null) return null;
      const end = this.#endOfFlush(octets);
      this.#behind = end === octets.length ? null : octets.subarray(end);
      this.#consuming = true;
      this.#inflate.write(octets.subarray(0, end), () => {
        this.#consuming = false;
        this.#signal();
      });
    }
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (this.#closed) throw new Error("the compressed connection is closed");
    await new Promise<void>((resolve, reject) => {
      if (this.#error !== null) return reject(this.#error);
      this.#deflate.write(bytes);
      this.#deflate.flush(zlib.constants.Z_SYNC_FLUSH, resolve);
    });
    const pieces = this.#output;
    this.#output = [];
    for (const piece of pieces) await this.inner.write(piece);
  }

  startTls(): Promise<Transport> {
    return Promise.reject(new Error("TLS cannot begin inside compression"));
  }

  /** Ends compression both ways (RFC 8437 4.1); returns what came in clear already, null for nothing. */
  stop(): Uint8Array | null {
    this.#release();
    return this.#behind;
  }

  close(): void {
    if (this.#closed) return;
    this.#release();
    this.inner.close();
  }

  /** A copy: the decompressor keeps what it has not looked at yet. */
  async #more(): Promise<Uint8Array | null> {
    const count = await this.inner.read(this.#input);
    if (count === null) return null;
    this.#octetsIn += count;
    return this.#input.slice(0, count);
  }

  /** Where the next `00 00 FF FF` ends (RFC 1951 3.2.4: an empty stored block); the length without one. */
  #endOfFlush(octets: Uint8Array): number {
    for (let at = 0; at < octets.length; at++) {
      const octet = octets[at]!;
      if (octet === 0xff && this.#flushed >= 2) this.#flushed++;
      else this.#flushed = octet === 0 ? Math.min(2, this.#flushed % 3 + 1) : 0;
      if (this.#flushed < 4) continue;
      this.#flushed = 0;
      return at + 1;
    }
    return octets.length;
  }

  #handOut(chunk: Uint8Array, into: Uint8Array): number {
    const octets = Math.min(chunk.length, into.length);
    into.set(octets === chunk.length ? chunk : chunk.subarray(0, octets));
    this.#rest = octets === chunk.length ? null : chunk.subarray(octets);
    this.#octetsOut += octets;
    if (this.#octetsOut > this.#freeOctets && this.#octetsOut > MAX_RATIO * this.#octetsIn) {
      bombs.inc();
      throw new Error(`the input inflates to more than ${MAX_RATIO} times its size`);
    }
    return octets;
  }

  #release(): void {
    this.#closed = true;
    this.#inflate.destroy();
    this.#deflate.destroy();
    this.#signal();
  }

  #fail(error: Error): void {
    this.#error ??= error;
    this.#signal();
  }

  #signal(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }
}

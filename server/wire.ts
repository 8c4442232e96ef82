/**
 * The octets below a session of lines (SMTP, IMAP, POP3, ManageSieve): what it wrote is sent, one write at a time; TLS begins; the
 * last words are said.
 *
 * When the other side is gone every call rejects with {@linkcode PeerGone}. When to flush, and how to read and to wait, is for
 * the driver of the protocol to say.
 */
import type { Logger } from "@logtape/logtape";
import type { Out } from "../bytes/out.ts";
import type { Transport } from "./transport.ts";

/** The other side is gone: nothing to answer, nothing to report. */
export class PeerGone extends Error {
  override readonly name = "PeerGone";
}

export interface WireParts {
  readonly out: Out;
  readonly log: Logger;
  /** Told of each write and its octets. */
  readonly writes?: (octets: number) => void;
}

export class Wire {
  readonly #parts: WireParts;
  #transport: Transport;
  #writing: Promise<void> | null;

  constructor(transport: Transport, parts: WireParts) {
    this.#transport = transport;
    this.#parts = parts;
    this.#writing = null;
  }

  get transport(): Transport {
    return this.#transport;
  }

  /** The octets go another way from here on (compression). */
  set transport(transport: Transport) {
    this.#transport = transport;
  }

  /** The other side has not taken all yet. */
  get writing(): boolean {
    return this.#writing !== null;
  }

  /** Sends what the session wrote; undefined when it was taken at once. `last`: {@linkcode close} follows at once. */
  flush(options?: { readonly last: boolean }): Promise<void> | undefined {
    if (this.#writing !== null) return this.#flushBehind(this.#writing);
    const { out, writes } = this.#parts;
    if (out.pending === 0) return undefined;
    const bytes = out.take();
    writes?.(bytes.length);
    const written = this.#transport.write(bytes, options);
    if (written !== undefined) return this.#writing = this.#written(bytes, written);
    out.give(bytes);
    return undefined;
  }

  async #flushBehind(writing: Promise<void>): Promise<void> {
    await writing;
    await this.flush();
  }

  async #written(bytes: Uint8Array<ArrayBuffer>, written: Promise<void>): Promise<void> {
    try {
      await written;
      this.#parts.out.give(bytes);
    } catch (error) {
      throw new PeerGone("writing failed", { cause: error });
    } finally {
      this.#writing = null;
    }
  }

  /** What came in clear is void (RFC 3207 4.2, and its like for the other protocols). */
  async startTls(session: { dropInput(): void }): Promise<void> {
    await this.flush();
    session.dropInput();
    try {
      this.#transport = await this.#transport.startTls();
    } catch (error) {
      throw new PeerGone("the TLS handshake failed", { cause: error });
    }
  }

  /** Sends the last words of a session that waits for its client; closing ends the read. */
  leave(): void {
    this.#sendLast().finally(() => this.close());
  }

  /** The session failed: of a peer that is gone nothing is said; else `fault` counts it, and writes the last words. */
  async failed(error: unknown, fault: () => void): Promise<void> {
    if (error instanceof PeerGone) return this.#parts.log.debug("connection lost", { error });
    fault();
    await this.#sendLast();
  }

  async #sendLast(): Promise<void> {
    try {
      await this.flush();
    } catch (error) {
      this.#parts.log.debug("the end was not heard", { error });
    }
  }

  close(): void {
    this.#transport.close();
  }
}

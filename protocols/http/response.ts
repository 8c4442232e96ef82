/**
 * One HTTP/1.1 response read to its end (RFC 9112): for the few requests the mail server makes itself.
 *
 * Octets go in as they come; `finish` says that the peer closed. Content-Length, chunked, and until-close bodies; interim
 * responses (1xx) are skipped. What breaks the grammar or a limit is a fault, never an exception. Pure.
 */
import { joined } from "../../bytes/joined.ts";
import { latin1 } from "../../bytes/decode.ts";

export interface HttpResponse {
  readonly status: number;
  /** Lower-case names; the last of several counts. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Uint8Array;
}

export interface HttpLimits {
  readonly headerOctets: number;
  readonly bodyOctets: number;
}

type Step =
  | { readonly kind: "need-input" }
  | { readonly kind: "done"; readonly response: HttpResponse }
  | { readonly kind: "fault"; readonly text: string };

const NEED_INPUT: Step = { kind: "need-input" };
const MAX_CHUNK_LINE = 1_024;

interface Head {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
}

export class HttpResponseReader {
  readonly #limits: HttpLimits;
  #octets: Uint8Array;
  #head: Head | null;
  #body: Uint8Array[];
  #bodyOctets: number;
  #ended: boolean;

  constructor(limits: HttpLimits) {
    this.#limits = limits;
    this.#octets = new Uint8Array();
    this.#head = null;
    this.#body = [];
    this.#bodyOctets = 0;
    this.#ended = false;
  }

  /** Copies the octets. */
  push(octets: Uint8Array): Step {
    const joined = new Uint8Array(this.#octets.length + octets.length);
    joined.set(this.#octets);
    joined.set(octets, this.#octets.length);
    this.#octets = joined;
    return this.#step();
  }

  /** The peer has closed. */
  finish(): Step {
    this.#ended = true;
    const step = this.#step();
    return step.kind === "need-input" ? fault("the response ends too early") : step;
  }

  #step(): Step {
    while (this.#head === null) {
      const end = latin1(this.#octets).indexOf("\r\n\r\n");
      if (end < 0 || end > this.#limits.headerOctets) {
        return this.#octets.length > this.#limits.headerOctets
          ? fault(`the header is longer than ${this.#limits.headerOctets} octets`)
          : NEED_INPUT;
      }
      const head = parseHead(latin1(this.#octets.subarray(0, end)));
      if (head === null) return fault("this is no HTTP response");
      this.#octets = this.#octets.subarray(end + 4);
      if (head.status >= 200) this.#head = head;
    }
    const { headers, status } = this.#head;
    if (status === 204 || status === 304) return this.#done();
    const coding = headers.get("transfer-encoding");
    if (coding !== undefined) {
      return coding.toLowerCase() === "chunked"
        ? this.#chunks()
        : fault(`the transfer coding ${coding} is unknown`);
    }
    const length = headers.get("content-length");
    if (length !== undefined && !/^\d{1,15}$/.test(length)) return fault(`Content-Length is ${length}`);
    const wanted = length === undefined ? Infinity : Number(length);
    const taken = Math.min(this.#octets.length, wanted - this.#bodyOctets);
    if (length !== undefined && wanted > this.#limits.bodyOctets) return this.#tooLong();
    if (!this.#take(taken)) return this.#tooLong();
    if (this.#bodyOctets === wanted || (length === undefined && this.#ended)) return this.#done();
    return NEED_INPUT;
  }

  /** RFC 9112 7.1; trailers are not read. */
  #chunks(): Step {
    for (;;) {
      const text = latin1(this.#octets.subarray(0, MAX_CHUNK_LINE));
      const line = text.indexOf("\r\n");
      if (line < 0) return text.length === MAX_CHUNK_LINE ? fault("a chunk has no size") : NEED_INPUT;
      const size = /^([0-9a-f]{1,8})[ \t]*(?:;.*)?$/i.exec(text.slice(0, line))?.[1];
      if (size === undefined) return fault("a chunk has no size");
      const octets = parseInt(size, 16);
      if (octets === 0) return this.#done();
      if (this.#bodyOctets + octets > this.#limits.bodyOctets) return this.#tooLong();
      if (this.#octets.length < line + 2 + octets + 2) return NEED_INPUT;
      if (latin1(this.#octets.subarray(line + 2 + octets, line + 4 + octets)) !== "\r\n") {
        return fault("a chunk has no end");
      }
      this.#octets = this.#octets.subarray(line + 2);
      this.#take(octets);
      this.#octets = this.#octets.subarray(2);
    }
  }

  #take(octets: number): boolean {
    if (this.#bodyOctets + octets > this.#limits.bodyOctets) return false;
    this.#body.push(this.#octets.subarray(0, octets));
    this.#bodyOctets += octets;
    this.#octets = this.#octets.subarray(octets);
    return true;
  }

  #tooLong(): Step {
    return fault(`the body is longer than ${this.#limits.bodyOctets} octets`);
  }

  #done(): Step {
    return { kind: "done", response: { ...this.#head!, body: joined(this.#body) } };
  }
}

function parseHead(text: string): Head | null {
  const [first = "", ...lines] = text.split("\r\n");
  const status = /^HTTP\/1\.[01] ([1-5]\d\d)(?: |$)/.exec(first)?.[1];
  if (status === undefined) return null;
  const headers = new Map<string, string>();
  for (const line of lines) {
    const match = /^([!#$%&'*+.^_`|~0-9a-z-]+):[ \t]*(.*?)[ \t]*$/i.exec(line);
    if (match === null) return null;
    headers.set(match[1]!.toLowerCase(), match[2]!);
  }
  return { status: Number(status), headers };
}

function fault(text: string): Step {
  return { kind: "fault", text };
}

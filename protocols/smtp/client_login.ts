/**
 * Our login at a next hop: SCRAM-SHA-256 (RFC 7677), PLAIN (RFC 4616) or LOGIN, whichever is offered first in this order.
 *
 * RFC 4954 4. The password leaves us only under TLS, or where the operator says so; SCRAM never sends it. Hashing it takes
 * time and is the driver's: `derive` asks for it (RFC 5802 3, SaltedPassword). A server that cannot show that it knows
 * the password too is not logged in to. A mechanism that is refused as such (504, 534) gives way to the next one. Pure.
 * Limit: {@linkcode MAX_ITERATIONS}.
 */
import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import { decodeBase64Strict, encodeBase64 } from "../../bytes/base64.ts";
import { encode, utf8OrNull } from "../../bytes/decode.ts";
import { ours, type RecipientResult, theirs } from "./client_result.ts";
import type { RemoteReply } from "./reply_parser.ts";

export interface Credentials {
  readonly user: string;
  readonly password: string;
  /** For SCRAM: printable, without comma, new for each connection. Left out: SCRAM is not used. */
  readonly nonce?: string;
}

export type LoginStep =
  | { readonly kind: "line"; readonly text: string }
  /** Hash the password by PBKDF2 with SHA-256 to 32 octets, then `derived`. */
  | { readonly kind: "derive"; readonly salt: Uint8Array; readonly iterations: number }
  | { readonly kind: "done" }
  | { readonly kind: "failed"; readonly failure: RecipientResult };

type Mechanism = "SCRAM-SHA-256" | "PLAIN" | "LOGIN";

/** A next hop that asks for more work than this is not served. */
export const MAX_ITERATIONS = 2_000_000;
/** RFC 5802 7: no channel binding. */
const GS2 = "n,,";
const SERVER_FIRST = /^r=([\x21-\x2b\x2d-\x7e]+),s=([A-Za-z0-9+/=]+),i=([1-9]\d{0,8})(?:,|$)/;

export class ClientLogin {
  readonly #credentials: Credentials;
  #left: Mechanism[];
  /** Lines still to send of the mechanism that runs. */
  #lines: string[];
  #scram:
    | { state: "first" | "derive" | "final" | "proven"; serverFirst: string; signature: Uint8Array }
    | null;

  /** `secret`: the connection is one that a password may go over. */
  constructor(credentials: Credentials, offered: ReadonlySet<string>, secret: boolean) {
    this.#credentials = credentials;
    this.#left = [
      ...(credentials.nonce !== undefined && offered.has("SCRAM-SHA-256") ? ["SCRAM-SHA-256" as const] : []),
      ...(secret && offered.has("PLAIN") ? ["PLAIN" as const] : []),
      ...(secret && offered.has("LOGIN") ? ["LOGIN" as const] : []),
    ];
    this.#lines = [];
    this.#scram = null;
  }

  /** The AUTH command of the next mechanism; null when none is left. */
  start(): string | null {
    const mechanism = this.#left.shift();
    const { user, password } = this.#credentials;
    this.#lines = [];
    this.#scram = null;
    switch (mechanism) {
      case undefined:
        return null;
      case "PLAIN":
        return `AUTH PLAIN ${encodeBase64(encode(`\0${user}\0${password}`))}`;
      case "LOGIN":
        this.#lines = [encodeBase64(encode(user)), encodeBase64(encode(password))];
        return "AUTH LOGIN";
      case "SCRAM-SHA-256":
        this.#scram = { state: "first", serverFirst: "", signature: new Uint8Array(0) };
        return `AUTH SCRAM-SHA-256 ${encodeBase64(encode(GS2 + this.#clientFirst))}`;
      default:
        return mechanism satisfies never;
    }
  }

  reply(reply: RemoteReply): LoginStep {
    if (reply.code === 334) {
      if (this.#scram !== null) return this.#challenge(reply.lines.join(""));
      const line = this.#lines.shift();
      if (line !== undefined) return { kind: "line", text: line };
    }
    if (reply.code === 235) {
      return this.#scram === null || this.#scram.state === "proven"
        ? { kind: "done" }
        : failed("the peer took the login without showing that it knows the password");
    }
    const next = reply.code === 504 || reply.code === 534 ? this.start() : null;
    return next === null ? { kind: "failed", failure: theirs(reply, "auth") } : { kind: "line", text: next };
  }

  /** The password's hash: our proof, as a line. */
  derived(salted: Uint8Array): string {
    const scram = this.#scram!;
    const nonce = SERVER_FIRST.exec(scram.serverFirst)![1]!;
    const bare = `c=${encodeBase64(encode(GS2))},r=${nonce}`;
    const message = `${this.#clientFirst},${scram.serverFirst},${bare}`;
    const clientKey = hmac(salted, "Client Key");
    const signature = hmac(new Uint8Array(createHash("sha256").update(clientKey).digest()), message);
    scram.signature = hmac(hmac(salted, "Server Key"), message);
    scram.state = "final";
    const proof = clientKey.map((octet, at) => octet ^ signature[at]!);
    return encodeBase64(encode(`${bare},p=${encodeBase64(proof)}`));
  }

  get #clientFirst(): string {
    const { user, nonce } = this.#credentials;
    return `n=${user.replaceAll("=", "=3D").replaceAll(",", "=2C")},r=${nonce}`;
  }

  #challenge(text: string): LoginStep {
    const scram = this.#scram!;
    const octets = decodeBase64Strict(text.trim());
    const message = octets === null ? null : utf8OrNull(octets);
    if (message === null) return failed("the peer's SCRAM message is not understood");
    if (scram.state === "first") {
      const match = SERVER_FIRST.exec(message);
      const salt = decodeBase64Strict(match?.[2] ?? "");
      const iterations = Number(match?.[3]);
      if (match === null || salt === null || !match[1]!.startsWith(this.#credentials.nonce!)) {
        return failed("the peer's SCRAM message is not understood");
      }
      if (iterations > MAX_ITERATIONS) return failed(`the peer asks for ${iterations} iterations of SCRAM`);
      scram.serverFirst = message;
      scram.state = "derive";
      return { kind: "derive", salt, iterations };
    }
    const proof = decodeBase64Strict(/^v=([A-Za-z0-9+/=]+)/.exec(message)?.[1] ?? "");
    if (
      scram.state !== "final" || proof?.length !== scram.signature.length ||
      !timingSafeEqual(proof, scram.signature)
    ) return failed("the peer does not know the password");
    scram.state = "proven";
    return { kind: "line", text: "" };
  }
}

function failed(text: string): LoginStep {
  return { kind: "failed", failure: ours("4.7.8", text, "auth") };
}

function hmac(key: Uint8Array, text: string): Uint8Array {
  return new Uint8Array(createHmac("sha256", key).update(text).digest());
}

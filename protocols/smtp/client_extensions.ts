/** What another server offers in its reply to EHLO or LHLO (RFC 5321 4.1.1.1), as far as sending makes use of it. Pure. */
import type { RemoteReply } from "./reply_parser.ts";

export interface Extensions {
  readonly pipelining: boolean;
  readonly size: boolean;
  /** Largest message; 0 is unknown. */
  readonly maxSize: number;
  readonly eightBitMime: boolean;
  readonly smtputf8: boolean;
  readonly starttls: boolean;
  readonly dsn: boolean;
  readonly requireTls: boolean;
  readonly chunking: boolean;
  readonly mtPriority: boolean;
  readonly auth: ReadonlySet<string>;
}

export const NO_EXTENSIONS: Extensions = {
  pipelining: false,
  size: false,
  maxSize: 0,
  eightBitMime: false,
  smtputf8: false,
  starttls: false,
  dsn: false,
  requireTls: false,
  chunking: false,
  mtPriority: false,
  auth: new Set(),
};

const NUMBER = /^\d{1,15}$/;

export function extensionsOf(reply: RemoteReply): Extensions {
  let found: Extensions = NO_EXTENSIONS;
  // The first line is the peer's name.
  for (const line of reply.lines.slice(1)) {
    const [word = "", ...values] = line.trim().split(/[ =]+/);
    switch (word.toUpperCase()) {
      case "PIPELINING":
        found = { ...found, pipelining: true };
        break;
      case "SIZE":
        found = { ...found, size: true, maxSize: NUMBER.test(values[0] ?? "") ? Number(values[0]) : 0 };
        break;
      case "8BITMIME":
        found = { ...found, eightBitMime: true };
        break;
      case "SMTPUTF8":
        found = { ...found, smtputf8: true };
        break;
      case "STARTTLS":
        found = { ...found, starttls: true };
        break;
      case "REQUIRETLS":
        found = { ...found, requireTls: true };
        break;
      case "DSN":
        found = { ...found, dsn: true };
        break;
      case "CHUNKING":
        found = { ...found, chunking: true };
        break;
      case "MT-PRIORITY":
        found = { ...found, mtPriority: true };
        break;
      case "AUTH":
        found = { ...found, auth: new Set([...found.auth, ...values.map((value) => value.toUpperCase())]) };
        break;
    }
  }
  return found;
}

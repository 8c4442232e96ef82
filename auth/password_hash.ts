/**
 * Password hashes: made with scrypt, and verified in every scheme an operator may bring along.
 *
 * Ours are `$scrypt$ln=15,r=8,p=1$salt$hash` (PHC string format, RFC 7914), computed by node:crypto off the event
 * loop. bcrypt (`$2a$ $2b$ $2y$`) and argon2id (`$argon2id$`) are verified in a Worker (foreign_hash.ts). The password
 * of our own scheme is prepared as an OpaqueString (RFC 8265 4.2.2), so that it does not depend on how a keyboard
 * composes letters; imported hashes see the octets as they came. A stored hash that cannot be read is our fault and
 * throws {@linkcode UnusableHash}; it is never a wrong password. Limits of parameters: {@linkcode MAX_SCRYPT_OCTETS},
 * {@linkcode MAX_ARGON2_KIB}, {@linkcode MAX_ARGON2_PASSES}, {@linkcode MAX_BCRYPT_COST}.
 */
import { Buffer } from "node:buffer";
import { randomBytes, scrypt, timingSafeEqual } from "node:crypto";

/** Cost of scrypt: N is 2 to the power of `ln`; memory is 128 * N * r octets. */
export interface ScryptParameters {
  readonly ln: number;
  readonly r: number;
  readonly p: number;
}

/** 32 MiB and about 100 ms of one core. */
export const DEFAULT_SCRYPT: ScryptParameters = { ln: 15, r: 8, p: 1 };
const MAX_SCRYPT_OCTETS = 256 * 1024 * 1024;
const MAX_ARGON2_KIB = 256 * 1024;
const MAX_ARGON2_PASSES = 32;
const MAX_BCRYPT_COST = 16;
const SALT_OCTETS = 16;
const KEY_OCTETS = 32;

/** A stored hash nobody can verify: malformed, of an unknown scheme, or too costly. */
export class UnusableHash extends Error {
  override readonly name = "UnusableHash";
}

export type PasswordHash =
  | {
    readonly scheme: "scrypt";
    readonly parameters: ScryptParameters;
    readonly salt: Uint8Array;
    readonly key: Uint8Array;
  }
  | { readonly scheme: "bcrypt" | "argon2id"; readonly text: string };

/** Verifies the schemes that are not ours, off the event loop. */
export interface ForeignVerifier {
  verify(hash: string, password: string): Promise<boolean>;
}

/** A new hash in our own scheme. */
export async function hashPassword(
  password: string,
  options: { parameters?: ScryptParameters; salt?: Uint8Array } = {},
): Promise<string> {
  const { parameters = DEFAULT_SCRYPT, salt = randomBytes(SALT_OCTETS) } = options;
  const key = await derive(password, { parameters, salt, octets: KEY_OCTETS });
  const { ln, r, p } = parameters;
  return `$scrypt$ln=${ln},r=${r},p=${p}$${toBase64(salt)}$${toBase64(key)}`;
}

/** Whether the password belongs to the stored hash. Throws UnusableHash and whatever the verifier throws. */
export async function verifyPassword(
  stored: string,
  password: string,
  foreign: ForeignVerifier,
): Promise<boolean> {
  const hash = parsePasswordHash(stored);
  if (hash.scheme !== "scrypt") return await foreign.verify(hash.text, password);
  const key = await derive(password, { ...hash, octets: hash.key.length });
  return timingSafeEqual(key, hash.key);
}

/** Reads a stored hash and checks that verifying it stays within the limits. Throws UnusableHash. */
export function parsePasswordHash(stored: string): PasswordHash {
  if (stored.startsWith("$scrypt$")) return parseScrypt(stored);
  if (stored.startsWith("$argon2id$")) return parseArgon2id(stored);
  if (stored.startsWith("$2")) return parseBcrypt(stored);
  throw new UnusableHash("unknown scheme; known are $scrypt$, $argon2id$, $2a$, $2b$ and $2y$");
}

/** RFC 8265 4.2.2: other spaces become U+0020, then NFC. ASCII passwords stay as they are. */
export function opaqueString(password: string): string {
  // deno-lint-ignore no-control-regex
  if (/^[\x00-\x7f]*$/.test(password)) return password;
  return password.replace(/\p{Zs}/gu, " ").normalize("NFC");
}

function parseScrypt(stored: string): PasswordHash {
  const match =
    /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,3}),p=(\d{1,3})\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{22,86})$/
      .exec(stored);
  if (match === null) throw new UnusableHash("not of the form $scrypt$ln=15,r=8,p=1$salt$hash");
  const [ln, r, p] = [Number(match[1]), Number(match[2]), Number(match[3])];
  const octets = 128 * 2 ** ln * r;
  if (ln < 1 || r < 1 || p < 1 || p > 16 || octets > MAX_SCRYPT_OCTETS) {
    throw new UnusableHash(
      `scrypt with ln=${ln},r=${r},p=${p} is outside the limits (memory ${MAX_SCRYPT_OCTETS} octets, p 16)`,
    );
  }
  return {
    scheme: "scrypt",
    parameters: { ln, r, p },
    salt: Buffer.from(match[4]!, "base64"),
    key: Buffer.from(match[5]!, "base64"),
  };
}

function parseArgon2id(stored: string): PasswordHash {
  const match =
    /^\$argon2id\$v=19\$m=(\d{1,8}),t=(\d{1,4}),p=(\d{1,3})\$[A-Za-z0-9+/]{11,}\$[A-Za-z0-9+/]{16,}$/
      .exec(stored);
  if (match === null) throw new UnusableHash("not of the form $argon2id$v=19$m=65536,t=3,p=4$salt$hash");
  const [kib, passes] = [Number(match[1]), Number(match[2])];
  if (kib > MAX_ARGON2_KIB || passes > MAX_ARGON2_PASSES) {
    throw new UnusableHash(
      `argon2id with m=${kib},t=${passes} is above the limits (m ${MAX_ARGON2_KIB}, t ${MAX_ARGON2_PASSES})`,
    );
  }
  return { scheme: "argon2id", text: stored };
}

function parseBcrypt(stored: string): PasswordHash {
  const match = /^\$2[aby]\$(\d{2})\$[./A-Za-z0-9]{53}$/.exec(stored);
  if (match === null) throw new UnusableHash("not of the form $2b$12$ with 53 characters behind it");
  const cost = Number(match[1]);
  if (cost < 4 || cost > MAX_BCRYPT_COST) {
    throw new UnusableHash(`bcrypt with cost ${cost} is outside the limits (4 to ${MAX_BCRYPT_COST})`);
  }
  return { scheme: "bcrypt", text: stored };
}

function derive(
  password: string,
  options: { parameters: ScryptParameters; salt: Uint8Array; octets: number },
): Promise<Uint8Array> {
  const { parameters: { ln, r, p }, salt, octets } = options;
  const cost = { N: 2 ** ln, r, p, maxmem: MAX_SCRYPT_OCTETS + 1024 * 1024 };
  return new Promise((resolve, reject) => {
    scrypt(
      opaqueString(password),
      salt,
      octets,
      cost,
      (error, key) => error ? reject(error) : resolve(key),
    );
  });
}

function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64").replace(/=+$/, "");
}

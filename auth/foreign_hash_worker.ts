/**
 * Verifies bcrypt and argon2id hashes on a thread of its own: hash-wasm computes on the thread that calls it.
 *
 * One job a message, answered in order. The caller has checked form and cost of the hash (password_hash.ts).
 */
import { argon2Verify, bcryptVerify } from "hash-wasm";

export interface ForeignJob {
  readonly id: number;
  readonly hash: string;
  readonly password: string;
}

export type ForeignAnswer = { readonly id: number; readonly matches: boolean } | {
  readonly id: number;
  readonly error: string;
};

/** bcrypt looks at this many octets of a password and ignores the rest. */
const BCRYPT_OCTETS = 72;

async function verify({ hash, password }: ForeignJob): Promise<boolean> {
  const octets = new TextEncoder().encode(password);
  if (octets.length === 0) return false;
  if (hash.startsWith("$argon2id$")) return await argon2Verify({ password: octets, hash });
  return await bcryptVerify({ password: octets.subarray(0, BCRYPT_OCTETS), hash });
}

// The type definitions know the window's postMessage, which has other parameters.
const port = globalThis as unknown as {
  onmessage: (event: MessageEvent<ForeignJob>) => void;
  postMessage(answer: ForeignAnswer): void;
};
let last: Promise<void> = Promise.resolve();

port.onmessage = ({ data: job }) => {
  last = last.then(async () => {
    try {
      port.postMessage({ id: job.id, matches: await verify(job) });
    } catch (error) {
      port.postMessage({ id: job.id, error: String(error) });
    }
  });
};

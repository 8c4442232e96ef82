/**
 * Links of digests: who has one may look at one message of one recipient, and let it go by a button. Opening it changes
 * nothing, because scanners of links open every one.
 *
 * `ID.MAC`, an HMAC-SHA256 over the recipient's row and address, cut to 128 bits. Keys live as long as what they sign.
 */
import { Buffer } from "node:buffer";
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import type { QuarantineRow } from "../../storage/quarantine.ts";
import type { Store } from "../../storage/store.ts";

const NAME = "quarantine";
const KEY_MS = 90 * 86_400_000;
const KEPT_KEYS = 6;
const MAC_OCTETS = 16;

/** Makes the first key, or a new one when the newest is old. */
export async function freshLinkKey(store: Pick<Store, "directory" | "write">, now: number): Promise<void> {
  const [newest] = store.directory.secrets(NAME);
  if (newest !== undefined && newest.createdAt > now - KEY_MS) return;
  const value = randomBytes(32).toString("base64");
  await store.write({ kind: "rotate-secret", name: NAME, value, ifBefore: now - KEY_MS, keep: KEPT_KEYS });
}

/** Null where there is no key yet. */
export function linkToken(
  { directory }: Pick<Store, "directory">,
  row: Pick<QuarantineRow, "recipientId" | "recipient">,
): string | null {
  const [newest] = directory.secrets(NAME);
  return newest === undefined ? null : `${row.recipientId}.${macOf(newest.value, row)}`;
}

/** The row that a link is about; null where it is none of ours, or the message is gone. */
export function linked({ directory, quarantine }: Pick<Store, "directory" | "quarantine">, token: string) {
  const [, id, mac] = /^(\d{1,15})\.([\w-]{22})$/.exec(token) ?? [];
  if (id === undefined || mac === undefined) return null;
  const row = quarantine.one(Number(id));
  if (row === null) return null;
  // Texts are compared, because several of them decode to the same octets.
  const given = Buffer.from(mac, "latin1");
  const fits = directory.secrets(NAME).some(({ value }) =>
    timingSafeEqual(Buffer.from(macOf(value, row), "latin1"), given)
  );
  return fits ? row : null;
}

function macOf(
  key: string,
  { recipientId, recipient }: Pick<QuarantineRow, "recipientId" | "recipient">,
): string {
  return createHmac("sha256", Buffer.from(key, "base64")).update(`${recipientId} ${recipient}`).digest()
    .subarray(0, MAC_OCTETS).toString("base64url");
}

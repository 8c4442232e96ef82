/**
 * Reverse-paths of forwarded mail: when they are rewritten, and with which keys.
 *
 * Mail of strangers that an alias sends out again would fail SPF at the next hop with their address, so it leaves with
 * one of the forwarding domain (srs.ts). The null path and addresses of our own stay as they are. Keys are made here and
 * kept in the database for every thread: a new one after {@linkcode KEY_MS}, the last {@linkcode KEPT_KEYS} verify,
 * which is longer than an address lives.
 */
import { randomBytes } from "node:crypto";
import type { Store } from "../storage/store.ts";
import { SRS_DAYS, srsForward } from "./srs.ts";

const DAY_MS = 86_400_000;
const NAME = "srs";
export const KEY_MS = 30 * DAY_MS;
/** A key must verify for as long as the last address that it signed. */
export const KEPT_KEYS = 1 + Math.ceil((KEY_MS + SRS_DAYS * DAY_MS) / KEY_MS);

/** Makes the first key, or a new one when the newest is old. */
export async function freshKeys(store: Store, now: number): Promise<void> {
  const [newest] = store.directory.secrets(NAME);
  if (newest !== undefined && newest.createdAt > now - KEY_MS) return;
  await rotateKeys(store, now - KEY_MS);
}

/** A new key unless there is one made after `ifBefore`. */
export async function rotateKeys(store: Store, ifBefore: number): Promise<void> {
  await store.write({
    kind: "rotate-secret",
    name: NAME,
    value: randomBytes(32).toString("base64"),
    ifBefore,
    keep: KEPT_KEYS,
  });
}

/** The reverse-path of mail from `sender` that `domain` forwards at `now`. */
export function forwardedSender(
  store: Store,
  { sender, domain, now, isLocal }: {
    readonly sender: string;
    readonly domain: string;
    readonly now: number;
    readonly isLocal: (address: string) => boolean;
  },
): string {
  if (sender === "" || isLocal(sender)) return sender;
  const keys = store.directory.secrets(NAME).map(({ value }) => Uint8Array.fromBase64(value));
  return keys.length === 0 ? sender : srsForward(sender, domain, { keys, now });
}

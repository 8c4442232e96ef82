/**
 * The life of DKIM keys: made in pairs (RSA-2048 and Ed25519), waiting until all servers of the zone show their record,
 * signing, retired while mail they signed is on its way, revoked with an empty p=. New ones are made by schedule.
 *
 * A retired key's record stays for the queue's lifetime, its time to live as the servers of the zone tell it, and two days.
 */
import { generateKeyPair, type KeyObject } from "node:crypto";
import { promisify } from "node:util";
import { getLogger } from "@logtape/logtape";
import type { ServerTexts } from "../dns/authoritative.ts";
import { ResolveError, type Resolver } from "../dns/resolver.ts";
import { txtTexts } from "../dns/txt.ts";
import type { DkimKeyInput } from "../storage/ops.ts";
import type { DkimKeyRow } from "../storage/directory_view.ts";
import type { Store } from "../storage/store.ts";

const log = getLogger(["veredus", "delivery"]);
const DAY_MS = 86_400_000;
/** The time to live of a record whose servers cannot be asked: the longest that is usual. */
const USUAL_TTL_MS = DAY_MS;
/** Resolvers keep nothing for longer (RFC 8767 4). */
const MOST_TTL_MS = 7 * DAY_MS;
const DOMAINS_AT_ONCE = 500;
/** A selector says when its key was made: `20261124-rsa`. */
const KINDS = ["rsa", "ed25519"] as const;
const makeKeys = promisify(generateKeyPair);

/** Two new keys whose selectors nobody has used. */
export async function newKeyPair(
  domain: string,
  { known, now, state }: {
    readonly known: readonly Pick<DkimKeyRow, "selector">[];
    readonly now: number;
    readonly state: "waiting" | "signing";
  },
): Promise<DkimKeyInput[]> {
  const day = new Date(now).toISOString().slice(0, 10).replaceAll("-", "");
  const used = new Set(known.map(({ selector }) => selector));
  let mark = day;
  for (let more = 2; KINDS.some((kind) => used.has(`${mark}-${kind}`)); more++) mark = `${day}-${more}`;
  return await Promise.all(KINDS.map(async (kind): Promise<DkimKeyInput> => {
    const { privateKey, publicKey } = kind === "rsa"
      ? await makeKeys("rsa", { modulusLength: 2_048 })
      : await makeKeys("ed25519", {});
    return {
      ...{ domain, kind, state, selector: `${mark}-${kind}` },
      privateKey: privateKey.export({ format: "pem", type: "pkcs8" }).toString(),
      publicKey: publicText(kind, publicKey),
    };
  }));
}

function publicText(kind: "rsa" | "ed25519", key: KeyObject): string {
  const info = new Uint8Array(key.export({ format: "der", type: "spki" }));
  // RFC 8463 4: the raw key, without the twelve octets that name the algorithm.
  return (kind === "rsa" ? info : info.subarray(12)).toBase64();
}

/** The text of the TXT record (RFC 6376 3.6.1). */
export function keyRecord(
  { kind, publicKey, state }: Pick<DkimKeyRow, "kind" | "publicKey" | "state">,
): string {
  return `v=DKIM1; k=${kind}; p=${state === "revoked" ? "" : publicKey}`;
}

export function keyName({ selector, domain }: Pick<DkimKeyRow, "selector" | "domain">): string {
  return `${selector}._domainkey.${domain}`;
}

export interface KeyUpkeep {
  readonly store: Store;
  readonly resolver: Resolver;
  /** What each server of the zone says, past caches; none where none could be asked. */
  readonly atServers: (name: string) => Promise<readonly ServerTexts[]>;
  readonly now: number;
  readonly queueLifetimeMs: number;
  /** Keys that have signed for so long get successors; 0 never. */
  readonly rotateAfterMs: number;
  /** There are records to publish. */
  readonly made: (domain: string, keys: readonly DkimKeyInput[]) => void;
}

/** Moves keys on whose time has come; call it now and then. Trouble of DNS leaves them as they are. */
export async function advanceKeys(upkeep: KeyUpkeep): Promise<void> {
  const { store } = upkeep;
  for (let after = "";;) {
    const domains = store.directory.domains({ after, limit: DOMAINS_AT_ONCE });
    for (const { name } of domains) {
      await makeSuccessors(upkeep, name);
      for (const key of store.directory.dkimKeys(name)) {
        if (key.state === "waiting" && await isPublished(upkeep, key)) await startSigning(store, key);
        if (key.state === "retired" && await isOver(upkeep, key)) await setState(store, key, "revoked");
      }
    }
    const last = domains.at(-1);
    if (last === undefined || domains.length < DOMAINS_AT_ONCE) return;
    after = last.name;
  }
}

/** Nobody needs the record of a retired key any more. */
async function isOver({ atServers, queueLifetimeMs, now }: KeyUpkeep, key: DkimKeyRow): Promise<boolean> {
  const since = now - key.changedAt - queueLifetimeMs - 2 * DAY_MS;
  if (since < 0) return false;
  let ttlMs = USUAL_TTL_MS;
  try {
    const shown = await atServers(keyName(key));
    if (shown.length > 0) ttlMs = Math.max(...shown.map(({ ttlSeconds }) => ttlSeconds)) * 1_000;
  } catch (error) {
    if (!(error instanceof ResolveError)) throw error; // they cannot be asked
  }
  return since >= Math.min(ttlMs, MOST_TTL_MS);
}

/** The key signs; older ones of its kind sign no more. */
export async function startSigning(store: Store, key: DkimKeyRow): Promise<void> {
  await setState(store, key, "signing");
  for (const older of store.directory.dkimKeys(key.domain)) {
    const replaced = older.kind === key.kind && older.selector !== key.selector && older.state === "signing";
    if (replaced) await setState(store, older, "retired");
  }
}

async function setState(store: Store, key: DkimKeyRow, state: DkimKeyRow["state"]): Promise<void> {
  const { domain, selector } = key;
  const result = await store.write({ kind: "set-dkim-key-state", domain, selector, state });
  if (result.ok) log.info("the DKIM key {name} is {state} now", { name: keyName(key), state });
  else {log.warn("the DKIM key {name} could not change: {detail}", {
      name: keyName(key),
      detail: result.detail,
    });}
}

/** A pair that waits, where the keys that sign have done so for long and none waits already. */
async function makeSuccessors({ store, now, rotateAfterMs, made }: KeyUpkeep, domain: string): Promise<void> {
  if (rotateAfterMs === 0) return;
  const known = store.directory.dkimKeys(domain);
  const signing = known.filter(({ state }) => state === "signing");
  if (signing.length === 0 || known.some(({ state }) => state === "waiting")) return;
  if (signing.some(({ changedAt }) => now - changedAt < rotateAfterMs)) return;
  const keys = await newKeyPair(domain, { known, now, state: "waiting" });
  const result = await store.write({
    kind: "batch",
    ops: keys.map((key) => ({ kind: "put-dkim-key" as const, key })),
  });
  if (!result.ok) {
    log.warn("{domain} has got no new DKIM keys: {detail}", { domain, detail: result.detail });
    return;
  }
  log.info("{domain} has new DKIM keys, whose records are to be published", { domain });
  made(domain, keys);
}

/** At all servers of the zone that answer; where none can be asked, as the resolver sees it. */
async function isPublished({ resolver, atServers }: KeyUpkeep, key: DkimKeyRow): Promise<boolean> {
  const name = keyName(key);
  const bare = (text: string) => text.replace(/\s+/g, "");
  const shows = (texts: readonly string[]) => texts.length === 1 && bare(texts[0]!) === bare(keyRecord(key));
  try {
    if (!shows(txtTexts(await resolver.resolve(name, "TXT")))) return false;
    const missing = (await atServers(name)).filter(({ texts }) => !shows(texts)).map(({ server }) => server);
    if (missing.length === 0) return true;
    log.info("the DKIM key {name} waits: not shown by {servers}", { name, servers: missing.join(", ") });
    return false;
  } catch (error) {
    if (error instanceof ResolveError) return false;
    throw error;
  }
}

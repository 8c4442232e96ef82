/**
 * The API in this process, on a data folder that no server holds: the lock is taken, the database opened and migrated,
 * and the same routes answer.
 */
import { HashWork } from "../../auth/hash_work.ts";
import { IndexFolder } from "../../search/index_folder.ts";
import { Indexer } from "../../search/indexer.ts";
import { IndexReader } from "../../search/index_reader.ts";
import { ALONE } from "../../search/pace.ts";
import type { DataFolder } from "../../storage/data_folder.ts";
import { DataLock } from "../../storage/lock.ts";
import { openStore } from "../../storage/open_store.ts";
import type { Store } from "../../storage/store.ts";
import { Writer } from "../../storage/writer.ts";
import { configureLogs } from "../../telemetry/log.ts";
import { exposition, metricsAsJson } from "../../telemetry/metrics.ts";
import { adminApp, API_PREFIX } from "../api/app.ts";
import { Imports } from "../imports.ts";
import type { AdminServices, IndexControl } from "../services.ts";
import { type AdminClient, type AdminRequest, succeeded } from "./client.ts";

/** Throws DataFolderLocked. */
export async function openDirect(folder: DataFolder, version: string): Promise<AdminClient> {
  folder.claimTemporary();
  const lock = DataLock.take(folder.lock, "a veredus command");
  try {
    return openLocked(folder, { version, lock });
  } catch (error) {
    lock.release();
    throw error;
  }
}

function openLocked(folder: DataFolder, held: { version: string; lock: DataLock }): AdminClient {
  configureLogs({ level: "warning", areas: {}, format: "text" }, {
    write: (lines) => Deno.stderr.writeSync(new TextEncoder().encode(lines)),
  });
  let fatal: Error | null = null;
  const writer = new Writer({
    databasePath: folder.database,
    segments: folder.segments,
    clock: Date.now,
    onFatal: (error) => fatal = error,
    reserve: { release: () => folder.releaseReserve(), fill: () => folder.fillReserve() },
  });
  const store = openStore({ folder, writer });
  const hashes = new HashWork();
  const imports = new Imports(store);
  const indexes = directIndexes(folder, store);
  const services: AdminServices = {
    store,
    clock: Date.now,
    version: held.version,
    startedAt: Date.now(),
    hashPassword: (password) => hashes.hash(password),
    failRecipients: null,
    sessions: null,
    bans: null,
    traceFolder: null,
    logs: null,
    imports,
    backups: null,
    indexes,
    spam: null,
    queryDns: null,
    own: null,
    stsPolicy: null,
    reload: null,
    settings: null,
    metrics: async () => await exposition([await metricsAsJson()]),
    trouble: () => Promise.resolve("no server runs on this data folder"),
  };
  const app = adminApp(services, { access: "owner" });
  return {
    async send({ method, path, body }: AdminRequest): Promise<Response> {
      const response = await app.request(`${API_PREFIX}${path}`, {
        method,
        ...(body !== undefined && {
          headers: { "content-type": "application/json" },
          body: JSON.stringify(body),
        }),
      });
      if (fatal !== null) throw fatal;
      return await succeeded(response);
    },
    async close(): Promise<void> {
      await imports.close();
      hashes.close();
      await indexes.close();
      await store.close();
      await writer.close();
      held.lock.release();
    },
  };
}

/** Indexes are made by an indexer of our own, which ends with the command; the server catches up with what is left, and reads attached files. */
function directIndexes(folder: DataFolder, store: Store): IndexControl & { close(): Promise<void> } {
  const indexes = new IndexFolder(folder.indexes);
  const reader = new IndexReader(indexes);
  let indexer: Indexer | null = null;
  return {
    state: (accountId) => reader.state(accountId),
    rebuild(accountId) {
      indexer ??= new Indexer({ store, folder: indexes, pace: ALONE, attachments: null, settleMs: 0 });
      indexer.rebuild(accountId);
      return Promise.resolve();
    },
    async close() {
      await indexer?.stop();
      reader.close();
    },
  };
}

/** What administration needs, taken from a server that runs in this process. */
import { HashWork } from "../auth/hash_work.ts";
import { IndexFolder } from "../search/index_folder.ts";
import { IndexReader } from "../search/index_reader.ts";
import type { OwnServer } from "../delivery/domain_records.ts";
import { type OwnPolicy, ownPolicy } from "../delivery/security/own_policy.ts";
import type { Setting } from "../server/config/settings.ts";
import type { Server } from "../server/run.ts";
import { openStore } from "../storage/open_store.ts";
import { logSettings } from "../telemetry/log.ts";
import { Backups } from "./backups.ts";
import { Imports } from "./imports.ts";
import type { AdminServices } from "./services.ts";

export interface RunningServices extends AdminServices {
  close(): Promise<void>;
}

export function runningServices(
  server: Server,
  options: {
    readonly version: string;
    readonly reload: (() => Promise<string[]>) | null;
    readonly settings?: () => readonly Setting[];
  },
): RunningServices {
  const store = openStore({
    folder: server.folder,
    writer: server.writer,
    minFreeOctets: server.config.limits.minFreeOctets,
  });
  const hashes = new HashWork();
  const imports = new Imports(store);
  const backups = new Backups(server.folder, server.command);
  const { rebuildIndex } = server;
  const indexes = new IndexReader(new IndexFolder(server.folder.indexes));
  return {
    store,
    clock: Date.now,
    version: options.version,
    startedAt: server.startedAt,
    hashPassword: (password) => hashes.hash(password),
    failRecipients: (ids, reason) => server.failRecipients(ids, reason),
    bans: server.bans(store),
    traceFolder: server.folder.trace,
    sessions: { list: () => server.sessions(), end: (id) => server.endSession(id) },
    imports,
    backups,
    indexes: rebuildIndex === null ? null : {
      state: (accountId) => indexes.state(accountId),
      rebuild: rebuildIndex,
    },
    logs: { levels: logSettings, set: (area, level) => server.setLogLevel(area, level) },
    own: () => ownServer(server),
    stsPolicy: () => publishedPolicy(server),
    spam: server.spamControl(store),
    queryDns: (question) => server.queryDns(question),
    reload: options.reload,
    settings: options.settings ?? null,
    metrics: () => server.metricsText(),
    trouble: () => server.trouble(),
    close: async () => {
      await backups.close();
      await imports.close();
      hashes.close();
      indexes.close();
      await store.close();
    },
  };
}

/** What our domains should show of this server in DNS. */
function ownServer(server: Server): OwnServer {
  return {
    hostname: server.config.hostname,
    keys: server.publicKeys(),
    stsPolicyId: publishedPolicy(server)?.id ?? null,
  };
}

function publishedPolicy({ config: { hostname, publishedSts } }: Server): OwnPolicy | null {
  const { mode, maxAgeMs } = publishedSts;
  return mode === "off" ? null : ownPolicy({ mode, maxAgeMs, hostname });
}

/** The admin API over a real store, with the server around it played by the test. */
import { adminApp, type AdminAppOptions, API_PREFIX } from "../../admin/api/app.ts";
import { Backups } from "../../admin/backups.ts";
import { Imports } from "../../admin/imports.ts";
import type { AdminServices, PlacedSession } from "../../admin/services.ts";
import type { Setting } from "../../server/config/settings.ts";
import type { QueueEntry } from "../../storage/ops.ts";
import type { LogArea, LogLevel } from "../../telemetry/log.ts";
import { MAIN } from "../lib/server_process.ts";
import { TestStore } from "../lib/test_store.ts";

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // deno-lint-ignore no-explicit-any -- the tests say what they expect of it
  readonly body: any;
}

export class Harness {
  readonly test: TestStore;
  readonly services: AdminServices;
  readonly sessions: PlacedSession[] = [];
  readonly ended: string[] = [];
  readonly failed: { ids: readonly number[]; reason: string }[] = [];
  /** Full-text indexes by account id. */
  readonly indexed = new Map<number, { messages: number; waiting: number; octets: number }>();
  readonly levels: { level: LogLevel; areas: Partial<Record<LogArea, LogLevel>> } = {
    level: "info",
    areas: {},
  };
  readonly backups: Backups;
  now = Date.UTC(2026, 0, 2);
  trouble: string | null = null;
  reload: () => Promise<string[]> = () => Promise.resolve([]);
  settings: readonly Setting[] = [];
  /** What DNS says; every name has a text where it is left alone. */
  queryDns: NonNullable<AdminServices["queryDns"]> = ({ name }) =>
    Promise.resolve({
      ...{ name, type: "TXT", result: "found", security: "secure", reason: null, detail: "" },
      ...{ canonicalName: name, ttlSeconds: 60, records: ['"text"'], elapsedMs: 1, steps: [] },
    });
  #app: ReturnType<typeof adminApp>;

  private constructor(test: TestStore, options: AdminAppOptions & { alone?: boolean }) {
    this.test = test;
    this.backups = new Backups(test.folder, [Deno.execPath(), "run", "-A", "--quiet", MAIN]);
    const server: Omit<
      AdminServices,
      | "store"
      | "imports"
      | "clock"
      | "version"
      | "startedAt"
      | "hashPassword"
      | "metrics"
      | "trouble"
    > = {
      failRecipients: (ids, reason) => {
        this.failed.push({ ids, reason });
        return Promise.resolve(ids.length);
      },
      sessions: {
        list: () => Promise.resolve(this.sessions),
        end: (id) => {
          if (!this.sessions.some((session) => session.id === id)) return Promise.resolve(false);
          this.ended.push(id);
          return Promise.resolve(true);
        },
      },
      logs: {
        levels: () => this.levels,
        set: (area, level) => {
          if (area === null) this.levels.level = level;
          else this.levels.areas[area] = level;
        },
      },
      backups: this.backups,
      spam: {
        signals: () =>
          Promise.resolve([{ name: "html-only", points: 1, explain: "it is HTML without a plain text" }]),
        judge: (octets, accountId) => {
          const explain = `${octets.length} octets for ${accountId}`;
          return Promise.resolve({ points: 2, hits: [{ name: "made-up", points: 2, explain }], marks: [] });
        },
        lesson: (octets) => Promise.resolve({ key: String(octets.length), tokens: new Uint8Array(4) }),
      },
      queryDns: (question) => this.queryDns(question),
      own: () => ({
        hostname: "mx.test",
        keys: [{ sha256: "ab".repeat(32), when: "now" as const }],
        stsPolicyId: "1",
      }),
      stsPolicy: () => ({ text: "version: STSv1\r\n", id: "1" }),
      bans: null,
      indexes: {
        state: (accountId) => Promise.resolve(this.indexed.get(accountId) ?? null),
        rebuild: (accountId) => {
          this.indexed.delete(accountId);
          return Promise.resolve();
        },
      },
      traceFolder: null,
      reload: () => this.reload(),
      settings: () => this.settings,
    };
    const alone = {
      failRecipients: null,
      sessions: null,
      bans: null,
      backups: null,
      indexes: null,
      attached: null,
      traceFolder: null,
      logs: null,
      spam: null,
      queryDns: null,
      own: null,
      stsPolicy: null,
      reload: null,
      settings: null,
    };
    this.services = {
      store: test.store,
      imports: new Imports(test.store),
      clock: () => this.now,
      version: "1.2.3",
      startedAt: Date.UTC(2026, 0, 1),
      hashPassword: (password) => Promise.resolve(`$scrypt$of ${password}`),
      metrics: () => Promise.resolve("veredus_up 1\n"),
      trouble: () => Promise.resolve(this.trouble),
      ...(options.alone ? alone : server),
    };
    this.#app = adminApp(this.services, options);
  }

  static async open(options: Partial<AdminAppOptions> & { alone?: boolean } = {}): Promise<Harness> {
    return new Harness(await TestStore.open(), { access: "owner", ...options });
  }

  /** `path` is below `/api/v1` unless it names something beside it. */
  async send(
    method: string,
    path: string,
    options: {
      body?: unknown;
      token?: string;
      from?: string;
      headers?: Record<string, string>;
      raw?: string;
    } = {},
  ): Promise<Answer> {
    const { body, token, from = "192.0.2.1", headers = {}, raw } = options;
    const beside = /^\/(healthz|metrics|openapi\.json|docs|nowhere|quarantine\/\d+\.)/.test(path);
    const response = await this.#app.request(`${beside ? "" : API_PREFIX}${path}`, {
      method,
      headers: {
        ...(body !== undefined && { "content-type": "application/json" }),
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...headers,
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      ...(raw !== undefined && { body: raw }),
    }, { remoteAddress: from });
    const text = await response.text();
    const json = /json/.test(response.headers.get("content-type") ?? "");
    return { status: response.status, headers: response.headers, body: json ? JSON.parse(text) : text };
  }

  get(path: string, options: { token?: string } = {}): Promise<Answer> {
    return this.send("GET", path, options);
  }

  /** Queues a message; returns its queue id. */
  /** Any path, with headers and no token. */
  raw(path: string, headers: Readonly<Record<string, string>>): Response | Promise<Response> {
    return this.#app.request(path, { headers });
  }

  async queue(
    sender: string,
    recipients: readonly string[],
    more: Partial<QueueEntry> = {},
  ): Promise<number> {
    const content = await this.test.content(`Subject: to ${recipients.join()}\r\n\r\nbody\r\n`);
    const result = await this.test.ok({
      kind: "deliver",
      content,
      targets: [],
      queue: {
        sender,
        accountId: null,
        envelopeId: "",
        ret: "",
        eightBit: false,
        smtputf8: false,
        createdAt: this.now,
        expiresAt: this.now + 432_000_000,
        recipients: recipients.map((recipient) => ({
          recipient,
          destination: recipient.slice(recipient.lastIndexOf("@") + 1),
          notify: "",
          originalRecipient: "",
        })),
        ...more,
      },
    });
    if (result.kind !== "delivered" || result.queueId === null) throw new Error("nothing was queued");
    return result.queueId;
  }

  close(): Promise<void> {
    return this.test.close();
  }
}

export async function withHarness(body: (h: Harness) => Promise<void>): Promise<void> {
  const harness = await Harness.open();
  try {
    await body(harness);
  } finally {
    await harness.close();
  }
}

/** Every item of a list, read in pages of `limit`, and how many pages there were. */
export async function pages(
  harness: Harness,
  path: string,
  limit: number,
): Promise<{ items: unknown[]; pages: number }> {
  const items: unknown[] = [];
  let cursor = "";
  for (let count = 1;; count++) {
    const query = `${path.includes("?") ? "&" : "?"}limit=${limit}${cursor && `&cursor=${cursor}`}`;
    const { status, body } = await harness.get(`${path}${query}`);
    if (status !== 200) throw new Error(`${path}: ${status} ${JSON.stringify(body)}`);
    if (body.items.length > limit) throw new Error(`${path}: a page of ${body.items.length}`);
    items.push(...body.items);
    if (body.nextCursor === null) return { items, pages: count };
    cursor = body.nextCursor;
  }
}

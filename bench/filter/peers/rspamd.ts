/**
 * Debian's rspamd with all modules that need no network, its Bayes in Redis with a minimum of 1. One worker, asked over HTTP as
 * mail servers do.
 */
import { type Contestant, type Scored, type Step, STEPS } from "../contest.ts";

/** Modules that would ask the network. */
const OFF = [
  ..."rbl surbl fuzzy_check dmarc spf dkim arc asn mx_check dcc neural greylist ratelimit replies url_redirector"
    .split(" "),
  ..."rspamd_update bimi reputation phishing_feed antivirus dkim_signing history_redis metadata_exporter"
    .split(" "),
];
const START_MS = 300_000;

export class Rspamd {
  readonly folder: string;
  readonly ports: { readonly scan: number; readonly control: number; readonly redis: number };
  #children: Deno.ChildProcess[];

  private constructor(folder: string) {
    this.folder = folder;
    this.ports = { scan: freePort(), control: freePort(), redis: freePort() };
    this.#children = [];
  }

  static async start(): Promise<Rspamd> {
    const folder = await Deno.makeTempDir({ prefix: "veredus-rspamd-" });
    const rspamd = new Rspamd(folder);
    await rspamd.#start();
    return rspamd;
  }

  async #start(): Promise<void> {
    const { folder, ports } = this;
    const local = `${folder}/local.d`;
    await Deno.mkdir(local);
    await Deno.mkdir(`${folder}/override.d`);
    const write = (name: string, text: string) => Deno.writeTextFile(`${local}/${name}`, text);
    for (const name of OFF) await write(`${name}.conf`, "enabled = false;\n");
    await write("redis.conf", `servers = "127.0.0.1:${ports.redis}";\n`);
    await write(
      "classifier-bayes.conf",
      `backend = "redis"; servers = "127.0.0.1:${ports.redis}"; min_learns = 1;\n`,
    );
    await write("worker-normal.inc", `bind_socket = "127.0.0.1:${ports.scan}"; count = 1;\n`);
    await write(
      "worker-controller.inc",
      `bind_socket = "127.0.0.1:${ports.control}"; secure_ip = "127.0.0.1"; count = 1;\n`,
    );
    await write("worker-proxy.inc", "enabled = false;\n");
    await write("worker-fuzzy.inc", "enabled = false;\n");
    await write("logging.inc", 'type = "console"; level = "error";\n');
    await write("options.inc", 'dns { nameserver = ["127.0.0.1:1"]; timeout = 0.05s; retransmits = 1; }\n');
    this.#children.push(
      new Deno.Command("redis-server", {
        args: [
          "--port",
          String(ports.redis),
          "--save",
          "",
          "--appendonly",
          "no",
          "--dir",
          folder,
          "--bind",
          "127.0.0.1",
        ],
        stdout: "null",
        stderr: "null",
      }).spawn(),
    );
    await listens(ports.redis);
    const variables = { LOCAL_CONFDIR: folder, DBDIR: folder, RUNDIR: folder, LOGDIR: folder };
    this.#children.push(
      new Deno.Command("rspamd", {
        args: [
          "-f",
          "-i",
          ...Object.entries(variables).flatMap(([name, value]) => ["--var", `${name}=${value}`]),
        ],
        stdout: "null",
        stderr: "null",
      }).spawn(),
    );
    await listens(ports.scan);
    await listens(ports.control);
  }

  /** Processor seconds of rspamd and Redis so far. */
  cpuSeconds(): number {
    return this.#pids().reduce((sum, pid) => sum + secondsOf(pid), 0);
  }

  async scan(octets: Uint8Array<ArrayBuffer>): Promise<number> {
    const response = await this.#post(this.ports.scan, "checkv2", octets);
    const { score } = await response.json() as { score?: number };
    return score ?? 0;
  }

  async learn(octets: Uint8Array<ArrayBuffer>, spam: boolean): Promise<void> {
    const response = await this.#post(this.ports.control, `learn${spam ? "spam" : "ham"}`, octets);
    await response.body?.cancel();
  }

  /** It closes connections as it likes, also one that a request is on its way on. */
  async #post(port: number, what: string, body: Uint8Array<ArrayBuffer>): Promise<Response> {
    for (let attempt = 1;; attempt++) {
      try {
        return await fetch(`http://127.0.0.1:${port}/${what}`, { method: "POST", body });
      } catch (error) {
        if (!(error instanceof TypeError) || attempt === 5) throw error;
      }
    }
  }

  async forget(): Promise<void> {
    const conn = await Deno.connect({ hostname: "127.0.0.1", port: this.ports.redis });
    await conn.write(new TextEncoder().encode("FLUSHALL\r\n"));
    await conn.read(new Uint8Array(100));
    conn.close();
  }

  async stop(): Promise<void> {
    for (const child of this.#children.toReversed()) {
      child.kill("SIGTERM");
      await child.status;
    }
    await Deno.remove(this.folder, { recursive: true });
  }

  #pids(): number[] {
    const parents = new Set(this.#children.map(({ pid }) => pid));
    const pids = [...parents];
    for (const { name } of Deno.readDirSync("/proc")) {
      if (!/^\d+$/.test(name)) continue;
      try {
        const fields = Deno.readTextFileSync(`/proc/${name}/stat`).split(") ")[1]!.split(" ");
        if (parents.has(Number(fields[1]))) pids.push(Number(name));
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error; // ended meanwhile
      }
    }
    return pids;
  }
}

function secondsOf(pid: number): number {
  const fields = Deno.readTextFileSync(`/proc/${pid}/stat`).split(") ")[1]!.split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return (listener.addr as Deno.NetAddr).port;
}

async function listens(port: number): Promise<void> {
  const until = Date.now() + START_MS;
  for (;;) {
    try {
      (await Deno.connect({ hostname: "127.0.0.1", port })).close();
      return;
    } catch (error) {
      if (!(error instanceof Deno.errors.ConnectionRefused) || Date.now() > until) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

export const RSPAMD: Contestant = {
  name: "rspamd",
  threshold: 6,
  async run(splits) {
    const results = new Map<Step, Scored[]>(STEPS.map((step) => [step, []]));
    const rspamd = await Rspamd.start();
    try {
      for (const { train, test } of splits) {
        await rspamd.forget();
        let learnt = 0;
        for (const step of STEPS) {
          for (; learnt < step; learnt++) await rspamd.learn(train[learnt]!.octets, train[learnt]!.spam);
          for (let at = 0; at < test.length; at += 4) {
            results.get(step)!.push(
              ...await Promise.all(
                test.slice(at, at + 4).map(async ({ spam, octets }) => ({
                  spam,
                  score: await rspamd.scan(octets),
                })),
              ),
            );
          }
        }
      }
    } finally {
      await rspamd.stop();
    }
    return results;
  },
};

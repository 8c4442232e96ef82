/** An authoritative DNS server of Debian (nsd) on a loopback address, for zones that a test makes. */
import { freePort } from "./ports.ts";
import { run, runOk, until } from "./program.ts";

export class Nsd {
  readonly address: string;
  readonly port: number;
  #folder: string;
  #child: Deno.ChildProcess;

  private constructor(parts: { address: string; port: number; folder: string; child: Deno.ChildProcess }) {
    this.address = parts.address;
    this.port = parts.port;
    this.#folder = parts.folder;
    this.#child = parts.child;
  }

  /** Serves `zones` (name to zone file lines without SOA and NS, which are added). */
  static async start(
    zones: Record<string, string>,
    options: { address?: string; port?: number } = {},
  ): Promise<Nsd> {
    const address = options.address ?? "127.0.0.1";
    const port = options.port ?? freePort();
    const folder = await Deno.makeTempDir({ prefix: "veredus-nsd-" });
    const names = Object.keys(zones);
    for (const name of names) {
      await Deno.writeTextFile(
        `${folder}/${name}.zone`,
        `$ORIGIN ${name}.\n$TTL 60\n@ SOA ns.${name}. hostmaster.${name}. 1 3600 600 86400 5\n@ NS ns.${name}.\n` +
          `ns A ${address}\n${zones[name]}\n`,
      );
    }
    const user = (await runOk("id", ["-un"])).stdout.trim();
    await Deno.writeTextFile(
      `${folder}/nsd.conf`,
      `server:\n  ip-address: ${address}@${port}\n  username: ${user}\n  zonesdir: "${folder}"\n  database: ""\n` +
        `  pidfile: "${folder}/nsd.pid"\n  xfrdfile: "${folder}/xfrd.state"\n  zonelistfile: "${folder}/zone.list"\n` +
        `  xfrdir: "${folder}"\n  server-count: 1\n  hide-version: yes\nremote-control:\n  control-enable: no\n` +
        names.map((name) => `zone:\n  name: ${name}\n  zonefile: ${name}.zone\n`).join(""),
    );
    const child = new Deno.Command("/usr/sbin/nsd", {
      args: ["-d", "-c", `${folder}/nsd.conf`],
      stdout: "null",
      stderr: "null",
    }).spawn();
    const nsd = new Nsd({ address, port, folder, child });
    await until("nsd to answer", async () => {
      const answer = await run("dig", [
        `@${address}`,
        "-p",
        String(port),
        "+time=1",
        "+tries=1",
        "+short",
        names[0]!,
        "SOA",
      ]);
      return answer.stdout.includes("hostmaster");
    });
    return nsd;
  }

  async stop(): Promise<void> {
    this.#child.kill("SIGTERM");
    await this.#child.status;
    await Deno.remove(this.#folder, { recursive: true });
  }
}

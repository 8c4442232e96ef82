/**
 * A small Internet of DNS on loopback: a root, `test` below it, and zones below that, signed with Debian's
 * dnssec-signzone and served by Debian's nsd, knot or bind9, one for each address. For the resolver and its oracle (unbound).
 */
import { freePort } from "./ports.ts";
import { run, runOk, until } from "./program.ts";

export type ServerProgram = "nsd" | "knot" | "bind9";

export interface LabZone {
  /** Name with the final dot left out; "." for the root. */
  readonly name: string;
  readonly address: string;
  /** What serves that address; left out: nsd. */
  readonly by?: ServerProgram;
  /** False: the address is named by the parent, and does not know the zone. */
  readonly served?: boolean;
  /** Zone file lines without SOA and the zone's own NS. */
  readonly lines: string;
  /** Left out: unsigned. */
  readonly signing?: {
    readonly algorithm: string;
    readonly nsec3?: { readonly iterations: number; readonly optOut: boolean };
    /** Arguments more for dnssec-signzone, as `-e` and a time that is over. */
    readonly extra?: readonly string[];
    /** False: the parent gets no DS. */
    readonly ds?: boolean;
    readonly digest?: string;
  };
  /** Changes the signed zone file before it is served. */
  readonly spoil?: (text: string) => string;
  /** Changes the DS lines before the parent gets them. */
  readonly spoilDs?: (text: string) => string;
}

const PROGRAMS: Readonly<Record<ServerProgram, string>> = {
  nsd: "/usr/sbin/nsd",
  knot: "/usr/sbin/knotd",
  bind9: "/usr/sbin/named",
};

export const PACKAGES = [
  "/usr/sbin/nsd",
  "/usr/bin/dnssec-signzone",
  "/usr/bin/ldns-signzone",
  "/usr/sbin/unbound",
  "/usr/bin/dig",
];

/** The programs that are not installed. */
export function missingPrograms(...more: readonly ServerProgram[]): string[] {
  return [...PACKAGES, ...more.map((program) => PROGRAMS[program])].filter((path) => {
    try {
      return !Deno.statSync(path).isFile;
    } catch {
      return true;
    }
  });
}

/** dnssec-signzone makes no zone with more. */
const BIND_MAX_ITERATIONS = 150;

export class DnsLab {
  readonly port: number;
  /** `TAG ALGORITHM DIGEST-TYPE HEX` of the root's key. */
  readonly anchors: string[];
  readonly folder: string;
  readonly #zones: readonly LabZone[];
  #children: Deno.ChildProcess[];

  private constructor(port: number, folder: string, zones: readonly LabZone[]) {
    this.#zones = zones;
    this.port = port;
    this.folder = folder;
    this.anchors = [];
    this.#children = [];
  }

  /** Zones from the bottom up: a child comes before its parent. */
  static async start(zones: readonly LabZone[]): Promise<DnsLab> {
    const lab = new DnsLab(freePort(), await Deno.makeTempDir({ prefix: "veredus-dns-lab-" }), zones);
    await Deno.chmod(lab.folder, 0o755);
    try {
      const ds = new Map<string, string>();
      for (const zone of zones) await lab.#make(zone, zones, ds);
      const root = zones.find(({ name }) => name === ".")!;
      for (const line of (ds.get(".") ?? "").split("\n")) {
        const [, rest] = /\sIN\s+DS\s+(.*)$/.exec(line) ?? [];
        if (rest !== undefined) lab.anchors.push(rest.trim());
      }
      for (const address of new Set(zones.map((zone) => zone.address))) {
        await lab.#serve(address, zones.filter((zone) => zone.address === address && zone.served !== false));
      }
      await until(
        "the root to answer",
        async () => (await lab.dig(root.address, ".", "SOA")).includes("hostmaster"),
      );
      return lab;
    } catch (error) {
      await lab.stop();
      throw error;
    }
  }

  async dig(address: string, name: string, type: string, ...more: string[]): Promise<string> {
    const args = [
      `@${address}`,
      "-p",
      String(this.port),
      "+time=2",
      "+tries=1",
      "+noall",
      "+answer",
      "+comments",
      name,
      type,
    ];
    return (await run("dig", [...args, ...more])).stdout;
  }

  /** A validating unbound over the same root; answers at `address`, on the lab's port unless another is given. */
  async unbound(address: string, port = this.port): Promise<void> {
    const file = `${this.folder}/unbound.conf`;
    // Each zone as a stub: unbound asks the servers of a delegation at port 53 only.
    await Deno.writeTextFile(
      file,
      `server:\n  interface: ${address}\n  port: ${port}\n  do-ip6: no\n  username: ""\n  chroot: ""\n  use-syslog: no\n` +
        `  directory: "${this.folder}"\n  pidfile: "${this.folder}/unbound.pid"\n  logfile: "${this.folder}/unbound.log"\n` +
        `  do-not-query-localhost: no\n  access-control: 127.0.0.0/8 allow\n  module-config: "validator iterator"\n` +
        `  local-zone: "test." nodefault\n  val-log-level: 2\n  trust-anchor-signaling: no\n  ede: yes\n  num-threads: 1\n` +
        this.anchors.map((ds) => `  trust-anchor: ". IN DS ${ds}"\n`).join("") +
        `remote-control:\n  control-enable: no\n` +
        this.#zones.map((zone) =>
          `stub-zone:\n  name: "${zone.name}"\n  stub-addr: ${zone.address}@${this.port}\n  stub-prime: no\n`
        ).join(""),
    );
    this.#spawn("/usr/sbin/unbound", ["-d", "-c", file]);
    await until(
      "unbound to answer",
      async () => (await this.dig(address, ".", "SOA", "-p", String(port))).includes("NOERROR"),
    );
  }

  async stop(): Promise<void> {
    for (const child of this.#children) {
      try {
        child.kill("SIGTERM");
      } catch {
        // it has ended
      }
      await child.status;
    }
    await Deno.remove(this.folder, { recursive: true });
  }

  async #make(zone: LabZone, zones: readonly LabZone[], ds: Map<string, string>): Promise<void> {
    const { name, address, signing } = zone;
    const origin = name === "." ? "." : `${name}.`, file = this.#file(name);
    const below = zones.filter((one) => one.name !== name && parentOf(one.name) === name);
    const delegations = below.map((one) =>
      `${one.name}. NS ns.${one.name}.\nns.${one.name}. A ${one.address}\n${ds.get(one.name) ?? ""}`
    ).join("\n");
    const host = name === "." ? "ns.root." : `ns.${origin}`;
    let text =
      `$ORIGIN ${origin}\n$TTL 300\n@ SOA ${host} hostmaster.${host} 1 3600 600 86400 60\n@ NS ${host}\n` +
      `${host} A ${address}\n${zone.lines}\n${delegations}\n`;
    await Deno.writeTextFile(file, text);
    if (signing !== undefined) {
      const made = await runOk("dnssec-keygen", [
        "-q",
        "-K",
        this.folder,
        "-a",
        signing.algorithm,
        ...bits(signing.algorithm),
        "-f",
        "KSK",
        origin,
      ]);
      const key = `${this.folder}/${made.stdout.trim()}`;
      await Deno.writeTextFile(file, `${text}${await Deno.readTextFile(`${key}.key`)}`);
      await this.#sign(zone, file, key);
      text = await Deno.readTextFile(`${file}.signed`);
      const lines =
        (await runOk("dnssec-dsfromkey", ["-a", signing.digest ?? "SHA-256", `${key}.key`])).stdout;
      if (signing.ds !== false) ds.set(name, zone.spoilDs?.(lines) ?? lines);
    }
    await Deno.writeTextFile(`${file}.served`, zone.spoil?.(text) ?? text);
  }

  async #sign({ name, signing }: LabZone, file: string, key: string): Promise<void> {
    const origin = name === "." ? "." : `${name}.`, { nsec3, extra = [] } = signing!;
    const output = ["-o", origin, "-f", `${file}.signed`];
    if (nsec3 !== undefined && nsec3.iterations > BIND_MAX_ITERATIONS) {
      const hashing = ["-n", "-s", "ab12", "-t", String(nsec3.iterations)];
      await runOk("ldns-signzone", [...hashing, ...output, file, key]);
      return;
    }
    const hashing = nsec3 === undefined
      ? []
      : ["-3", "ab12", "-H", String(nsec3.iterations), ...nsec3.optOut ? ["-A"] : []];
    const folders = ["-K", this.folder, "-d", this.folder];
    await runOk("dnssec-signzone", [
      "-q",
      "-P",
      "-O",
      "full",
      "-z",
      "-S",
      ...folders,
      ...output,
      ...hashing,
      ...extra,
      file,
    ]);
  }

  async #serve(address: string, zones: readonly LabZone[]): Promise<void> {
    const program = zones[0]!.by ?? "nsd";
    const file = `${this.folder}/${program}-${address}.conf`;
    const served = zones.map(({ name }) => ({ name, file: `${this.#file(name)}.served` }));
    switch (program) {
      case "nsd":
        await this.#nsd(file, address, served);
        break;
      case "knot":
        await Deno.mkdir(`${file}.run`);
        await Deno.writeTextFile(
          file,
          `server:\n  rundir: "${file}.run"\n  listen: ${address}@${this.port}\ndatabase:\n  storage: "${file}.run"\nzone:\n` +
            served.map((zone) =>
              `  - domain: "${zone.name}"\n    file: "${zone.file}"\n    zonefile-sync: -1\n    journal-content: none\n` +
              `    semantic-checks: off\n`
            ).join(""),
        );
        this.#spawn(PROGRAMS.knot, ["-c", file]);
        break;
      case "bind9":
        await Deno.writeTextFile(
          file,
          `options { directory "${this.folder}"; pid-file none; session-keyfile "${file}.key"; recursion no; notify no;\n` +
            `  listen-on port ${this.port} { ${address}; }; listen-on-v6 { none; }; dnssec-validation no; };\ncontrols { };\n` +
            served.map((zone) => `zone "${zone.name}" { type primary; file "${zone.file}"; };\n`).join(""),
        );
        this.#spawn(PROGRAMS.bind9, ["-g", "-n", "1", "-c", file]);
        break;
      default:
        program satisfies never;
    }
    await until(
      `${program} at ${address}`,
      async () => (await this.dig(address, zones[0]!.name, "SOA")).includes("hostmaster"),
    );
  }

  async #nsd(
    file: string,
    address: string,
    zones: readonly { readonly name: string; readonly file: string }[],
  ): Promise<void> {
    const user = (await runOk("id", ["-un"])).stdout.trim();
    await Deno.writeTextFile(
      file,
      `server:\n  ip-address: ${address}@${this.port}\n  username: ${user}\n  zonesdir: "${this.folder}"\n  database: ""\n` +
        `  pidfile: "${file}.pid"\n  xfrdfile: "${file}.state"\n  zonelistfile: "${file}.list"\n  xfrdir: "${this.folder}"\n` +
        `  server-count: 1\n  hide-version: yes\nremote-control:\n  control-enable: no\n` +
        zones.map((zone) => `zone:\n  name: "${zone.name}"\n  zonefile: "${zone.file}"\n`).join(""),
    );
    this.#spawn(PROGRAMS.nsd, ["-d", "-c", file]);
  }

  #spawn(path: string, args: string[]): void {
    this.#children.push(new Deno.Command(path, { args, stdout: "null", stderr: "null" }).spawn());
  }

  #file(name: string): string {
    return `${this.folder}/${name === "." ? "root" : name}.zone`;
  }
}

function parentOf(name: string): string {
  const dot = name.indexOf(".");
  return dot < 0 ? "." : name.slice(dot + 1);
}

function bits(algorithm: string): string[] {
  return algorithm.startsWith("RSA") || algorithm.startsWith("NSEC3RSA") ? ["-b", "2048"] : [];
}

/**
 * Debian's Postfix on port 25 of a loopback address, with configuration, queue and log in a folder of its own.
 *
 * Needs root: Postfix starts as nothing else. Its delivery agents run in the queue folder as their root, as Debian has them, so
 * that they ask the DNS server of the test and not the machine's.
 */
import { run, runOk, until } from "./program.ts";

/** What `postqueue -j` says of a message. */
export interface PostfixItem {
  readonly queue_name: string;
  readonly recipients: readonly { readonly address: string; readonly delay_reason?: string }[];
}

export class Postfix {
  readonly address: string;
  readonly folder: string;

  private constructor(address: string, folder: string) {
    this.address = address;
    this.folder = folder;
  }

  /** `main` adds to what a server without local users needs; `dns` is the address of a DNS server on port 53. */
  static async start(
    address: string,
    { hostname, dns, main }: { hostname: string; dns: string; main: Readonly<Record<string, string>> },
  ): Promise<Postfix> {
    const folder = await Deno.makeTempDir({ prefix: "veredus-postfix-" });
    const postfix = new Postfix(address, folder);
    await Deno.chmod(folder, 0o755);
    for (const part of ["config", "config/dynamicmaps.cf.d", "config/postfix-files.d", "queue", "state"]) {
      await Deno.mkdir(`${folder}/${part}`);
    }
    await Deno.mkdir(`${folder}/queue/etc`);
    await Deno.writeTextFile(`${folder}/queue/etc/resolv.conf`, `nameserver ${dns}\n`);
    await runOk("chown", ["postfix", `${folder}/state`]);
    const settings: Record<string, string> = {
      compatibility_level: "3.6",
      queue_directory: `${folder}/queue`,
      data_directory: `${folder}/state`,
      mail_owner: "postfix",
      setgid_group: "postdrop",
      myhostname: hostname,
      mydestination: "",
      alias_maps: "",
      inet_interfaces: "127.0.0.1", // takes only what an interface has; master.cf says where it listens
      proxy_interfaces: address, // its own address all the same, in MX records
      inet_protocols: "ipv4",
      smtp_bind_address: address,
      smtpd_peername_lookup: "no",
      maillog_file_prefixes: folder,
      maillog_file: `${folder}/log`,
      ...main,
    };
    await Deno.writeTextFile(
      `${folder}/config/main.cf`,
      Object.entries(settings).map(([name, value]) => `${name} = ${value}\n`).join(""),
    );
    const services = (await Deno.readTextFile("/etc/postfix/master.cf"))
      .replace(/^smtp +inet .*$/m, `${address}:25 inet n - n - - smtpd`);
    await Deno.writeTextFile(`${folder}/config/master.cf`, services);
    for (const name of ["postfix-files", "dynamicmaps.cf"]) {
      await Deno.copyFile(`/etc/postfix/${name}`, `${folder}/config/${name}`);
    }
    try {
      await postfix.start();
    } catch (error) {
      console.log(postfix.log());
      await postfix.remove();
      throw error;
    }
    return postfix;
  }

  /** Once more after `stop`. */
  async start(): Promise<void> {
    await this.#control("start");
    await until(`Postfix to listen on ${this.address}`, async () => {
      try {
        (await Deno.connect({ hostname: this.address, port: 25 })).close();
        return true;
      } catch (error) {
        if (error instanceof Deno.errors.ConnectionRefused) return false;
        throw error;
      }
    });
  }

  async stop(): Promise<void> {
    await run("/usr/sbin/postfix", ["-c", `${this.folder}/config`, "stop"]);
  }

  /** Changes the configuration of the running server. */
  async configure(main: Readonly<Record<string, string>>): Promise<void> {
    const settings = Object.entries(main).map(([name, value]) => `${name}=${value}`);
    await runOk("/usr/sbin/postconf", ["-c", `${this.folder}/config`, "-e", ...settings]);
    await this.#control("reload");
  }

  async queue(): Promise<PostfixItem[]> {
    const { stdout } = await runOk("/usr/sbin/postqueue", ["-c", `${this.folder}/config`, "-j"]);
    return stdout.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line) as PostfixItem);
  }

  log(): string {
    try {
      return Deno.readTextFileSync(`${this.folder}/log`);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return "";
      throw error;
    }
  }

  /** Ends it and takes the folder away. */
  async remove(): Promise<void> {
    await this.stop();
    await Deno.remove(this.folder, { recursive: true });
  }

  /** The servers it starts live on: they get no pipe that somebody waits for. */
  async #control(command: "start" | "reload"): Promise<void> {
    const { code } = await new Deno.Command("/usr/sbin/postfix", {
      args: ["-c", `${this.folder}/config`, command],
      env: { LC_ALL: "C" },
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).output();
    if (code !== 0) throw new Error(`postfix ${command} ended with ${code}:\n${this.log()}`);
  }
}

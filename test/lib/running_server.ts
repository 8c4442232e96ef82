/** The whole server inside the test's process, in either shape: what `veredus start` runs, on ports of its own. */
import { selfSignedCertificate } from "../../server/certificate.ts";
import type { Config, ListenerConfig, Protocol } from "../../server/config/config.ts";
import { defaultListener } from "../../server/config/defaults.ts";
import { localConfig, prepareLocal } from "../../server/local_mode.ts";
import { Server } from "../../server/run.ts";
import type { WriterPort } from "../../storage/writer.ts";
import type { WriteOp } from "../../storage/ops.ts";
import type { LogSettings } from "../../telemetry/log.ts";
import { hashPassword } from "../../auth/password_hash.ts";
import { freePort } from "./ports.ts";
import { ImapClient, literalText } from "./imap_client.ts";
import { SmtpClient } from "./smtp_client.ts";

export const PASSWORD = "secret";
/** Cheap on purpose: the tests log in hundreds of times. */
const passwordHash = await hashPassword(PASSWORD, { parameters: { ln: 4, r: 8, p: 1 } });

export interface RunningOptions {
  /** 0 is the single shape. */
  readonly threads: number;
  /** An existing folder; made when missing. */
  readonly data?: string;
  /** Changes to local mode's configuration. */
  readonly config?: Partial<Config>;
  /** Directory changes before the ports open. */
  readonly ops?: readonly WriteOp[];
  /** Of the other threads; this one's are the test's to configure. */
  readonly logs?: LogSettings;
  readonly entries?: Parameters<typeof Server.start>[0]["entries"];
}

export class RunningServer {
  readonly server: Server;
  readonly data: string;
  /** Why the writer ended; empty while all is well. */
  readonly fatal: string[];
  readonly logs: string[];

  private constructor(parts: { server: Server; data: string; fatal: string[]; logs: string[] }) {
    this.server = parts.server;
    this.data = parts.data;
    this.fatal = parts.fatal;
    this.logs = parts.logs;
  }

  static async start(options: RunningOptions): Promise<RunningServer> {
    const data = options.data ?? await Deno.makeTempDir({ prefix: "veredus-running-" });
    const config = localConfig({
      data,
      portOffset: 0,
      threads: options.threads,
      relay: null,
      address: "127.0.0.1",
      logging: { level: "warning", format: "text", areas: {} },
    });
    const fatal: string[] = [], logs: string[] = [];
    const server = await Server.start({
      config: {
        ...config,
        drainMs: 3_000,
        ...options.config,
        listeners:
          (options.config?.listeners ?? config.listeners.map((listener) => ({ ...listener, port: 0 })))
            .map((listener) => listener.port === 0 ? { ...listener, port: freePort() } : listener),
      },
      local: true,
      purpose: "a test",
      logs: options.logs ?? { level: "warning", areas: {}, format: "text" },
      onLog: (lines) => logs.push(lines),
      onFatal: (reason) => fatal.push(reason),
      prepare: async (writer) => {
        await prepareLocal(writer, passwordHash);
        for (const op of options.ops ?? []) await mustWrite(writer, op);
      },
      ...(options.entries && { entries: options.entries }),
    });
    return new RunningServer({ server, data, fatal, logs });
  }

  port(protocol: Protocol): number {
    const listener = this.server.config.listeners.find((candidate) => candidate.protocol === protocol);
    if (listener === undefined) throw new Error(`no listener for ${protocol}`);
    return listener.port;
  }

  imap(name = "alice"): Promise<ImapClient> {
    return ImapClient.connect(this.port("imap"), { login: `${name}@example.test`, password: PASSWORD });
  }

  /** The messages in INBOX. */
  async inbox(name = "alice"): Promise<string[]> {
    const client = await this.imap(name);
    await client.ok("SELECT INBOX");
    const { untagged } = await client.ok("UID FETCH 1:* (BODY.PEEK[])");
    await client.logout();
    return untagged.filter(({ literals }) => literals.length > 0).map(literalText);
  }

  smtp(): Promise<SmtpClient> {
    return SmtpClient.connect(this.port("smtp"));
  }

  /** A logged-in submission client. */
  async submission(name = "alice"): Promise<SmtpClient> {
    const client = await SmtpClient.connect(this.port("submission"));
    await client.authPlain(`${name}@example.test`, PASSWORD);
    return client;
  }

  /** Goes on with another certificate; returns it in PEM. */
  async renewCertificate(): Promise<string> {
    const folder = `${this.data}/other`;
    Deno.mkdirSync(folder);
    const { certificatePem, keyPem } = await selfSignedCertificate(folder, {
      names: ["127.0.0.1"],
      now: Date.now(),
    });
    Deno.writeTextFileSync(`${folder}/a.pem`, certificatePem);
    Deno.writeTextFileSync(`${folder}/a.key`, keyPem);
    const certificates = [{ certificate: `${folder}/a.pem`, key: `${folder}/a.key`, nextKey: "" }];
    await this.server.reload({ ...this.server.config, certificates });
    return certificatePem;
  }

  async stop(options: { keep?: boolean } = {}): Promise<void> {
    await this.server.stop();
    if (!options.keep) await Deno.remove(this.data, { recursive: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

/** Registers a test for each shape. */
export function inBothShapes(
  name: string,
  run: (start: (options?: Omit<RunningOptions, "threads">) => Promise<RunningServer>) => Promise<void>,
): void {
  for (const threads of [0, 2]) {
    Deno.test({
      name: `${name} (${threads === 0 ? "one thread" : `${threads} front ends`})`,
      fn: () => run((options = {}) => RunningServer.start({ ...options, threads })),
    });
  }
}

async function mustWrite(writer: WriterPort, op: WriteOp): Promise<void> {
  const result = await writer.submit(op);
  if (!result.ok) throw new Error(`${op.kind}: ${result.fault} ${result.detail}`);
}

/** Of the loopback, each on a port that is free. */
export function listeners(...protocols: (Protocol | Partial<ListenerConfig>)[]): ListenerConfig[] {
  return protocols.map((one) => ({
    ...defaultListener("smtp"),
    address: "127.0.0.1",
    port: 0,
    ...(typeof one === "string" ? { protocol: one } : one),
  }));
}

/**
 * `veredus start`: the local server of `local_mode.ts`, and what it says to whoever tries it.
 */
import { resolve } from "node:path";
import type { WriterPort } from "../../storage/writer.ts";
import { LOG_LEVELS, type LogLevel } from "../../telemetry/log.ts";
import { type Config, isImplicitTls, type Protocol, STANDARD_PORTS } from "../config/config.ts";
import { DEFAULT_LOGGING } from "../config/defaults.ts";
import { EXIT, type ExitCode } from "../exit_codes.ts";
import { later } from "../later.ts";
import { LOCAL_ACCOUNTS, localConfig, newPassword, OUTSIDE, prepareLocal } from "../local_mode.ts";
import type { Server } from "../run.ts";
import { complain, type Hooks, runForeground } from "./foreground.ts";

/** As the command line gives them. */
export interface StartArguments {
  readonly data: string;
  readonly portOffset: string;
  readonly password?: string;
  readonly relay?: string;
  readonly threads: string;
  readonly address: string;
  readonly tls: string;
  readonly logLevel: string;
}

/** The highest port that is moved is that of ManageSieve: with the offset it must stay a port. */
const MAX_OFFSET = 65_535 - STANDARD_PORTS.managesieve;
const MAX_THREADS = 64;

export async function start(args: StartArguments, hooks: Hooks): Promise<ExitCode> {
  const config = configOf(args);
  if (typeof config === "string") {
    complain(config);
    return EXIT.usage;
  }
  // Hashing takes a tenth of a second: it runs beside the start.
  const given = args.password === undefined ? null : hashOf(args.password);
  let shown: string | null = args.password ?? null;
  return await runForeground({
    ...hooks,
    config,
    local: true,
    purpose: "veredus start",
    reread: null,
    prepare: async (writer: WriterPort) => {
      if (await prepareLocal(writer, await given)) return;
      shown = newPassword();
      await prepareLocal(writer, await hashOf(shown));
    },
    announce: (server) => announcement(server, { password: shown, args }),
  });
}

async function hashOf(password: string): Promise<string> {
  const { hashPassword } = await later<typeof import("../../auth/password_hash.ts")>(
    new URL("../../auth/password_hash.ts", import.meta.url),
  );
  return await hashPassword(password);
}

/** The configuration, or what is wrong with the arguments. */
function configOf(args: StartArguments): Config | string {
  const portOffset = Number(args.portOffset);
  if (!/^\d{1,5}$/.test(args.portOffset) || portOffset > MAX_OFFSET) {
    return `--port-offset ${args.portOffset}: a number from 0 to ${MAX_OFFSET} is needed`;
  }
  if (args.threads !== "auto" && (!/^\d{1,2}$/.test(args.threads) || Number(args.threads) > MAX_THREADS)) {
    return `--threads ${args.threads}: auto, or a number from 0 to ${MAX_THREADS} is needed`;
  }
  if (!/^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$|^::1$/.test(args.address)) {
    return `--address ${args.address}: only loopback (127.0.0.0/8 or ::1); \`veredus serve\` serves other machines`;
  }
  if (args.tls !== "compact" && args.tls !== "full") {
    return `--tls ${args.tls}: compact or full is needed`;
  }
  if (!(LOG_LEVELS as readonly string[]).includes(args.logLevel)) {
    return `--log-level ${args.logLevel}: one of ${LOG_LEVELS.join(", ")} is needed`;
  }
  if (args.password === "") return "--password: an empty password is none";
  const relay = args.relay === undefined ? null : relayOf(args.relay);
  if (relay === "bad") {
    return `--relay ${args.relay}: HOST:PORT is needed, as in 127.0.0.1:2525 or [::1]:2525`;
  }
  return localConfig({
    data: resolve(args.data),
    portOffset,
    threads: args.threads === "auto" ? "auto" : Number(args.threads),
    relay,
    address: args.address,
    tls: args.tls,
    logging: { ...DEFAULT_LOGGING, level: args.logLevel as LogLevel },
  });
}

function relayOf(text: string): { host: string; port: number } | "bad" {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:[\]]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3] ?? 0);
  if (match === null || port < 1 || port > 65_535) return "bad";
  return { host: match[1] ?? match[2]!, port };
}

const WHAT: Readonly<Record<Protocol, string>> = {
  smtp: "SMTP, mail from other servers",
  submission: "submission, STARTTLS",
  submissions: "submission, implicit TLS",
  lmtp: "LMTP, local delivery for other programs",
  imap: "IMAP, STARTTLS",
  imaps: "IMAP, implicit TLS",
  pop3: "POP3, STLS",
  pop3s: "POP3, implicit TLS",
  managesieve: "ManageSieve, STARTTLS: filter scripts",
  http: "admin API: /docs, /metrics, /healthz",
  https: "the same over TLS",
};

function announcement(server: Server, told: { password: string | null; args: StartArguments }): string {
  const { config } = server;
  const at = (protocol: Protocol) => {
    const listener = config.listeners.find((one) => one.protocol === protocol)!;
    return `${listener.address.includes(":") ? `[${listener.address}]` : listener.address}:${listener.port}`;
  };
  const [alice] = LOCAL_ACCOUNTS;
  const secret = told.password ?? "PASSWORD";
  const relay = config.relay[0];
  const quoted = /^[\w.-]+$/.test(secret) ? secret : `'${secret.replaceAll("'", `'\\''`)}'`;
  return [
    `Veredus runs (process ${Deno.pid}, data in ${config.data}).`,
    "",
    ...config.listeners.map(({ protocol }) =>
      `  ${at(protocol).padEnd(22)} ${WHAT[protocol]}${isImplicitTls(protocol) ? " (self-signed)" : ""}`
    ),
    "",
    `  accounts   ${LOCAL_ACCOUNTS.join(", ")}`,
    told.password === null
      ? "  password   as before (start with --password NEW to change it)"
      : `  password   ${told.password}`,
    relay === undefined
      ? `  mail out   stays here: captured in INBOX of ${OUTSIDE} (same password)`
      : `  mail out   to ${relay.hops.map(({ host, port }) => `${host}:${port}`).join(", ")}`,
    "",
    "Try it:",
    "",
    `  swaks --server ${at("smtp")} --from you@elsewhere.test --to ${alice} --header "Subject: hello"`,
    `  curl -s --user ${alice}:${quoted} "imap://${at("imap")}/INBOX;MAILINDEX=1"`,
    `  curl -s --user ${alice}:${quoted} pop3://${at("pop3")}/1`,
    "",
    "Ctrl-C ends it; what was acknowledged is there at the next start.",
  ].join("\n");
}

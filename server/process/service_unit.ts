/**
 * `veredus service`: a systemd unit for this configuration. Own user, CAP_NET_BIND_SERVICE only, sandboxed.
 *
 * Not there, on purpose: MemoryDenyWriteExecute (the JavaScript engine compiles at run time) and ProcSubset (the
 * server finds its own listening sockets in /proc).
 */
import { resolve } from "node:path";
import type { Config } from "../config/config.ts";
import { DEFAULT_CONFIG } from "../config/defaults.ts";
import { ConfigError } from "../config/faults.ts";
import { loadConfig } from "../config/load.ts";
import { EXIT, type ExitCode } from "../exit_codes.ts";

/** For a configuration that is not written yet. */
const DEFAULT_DATA = "/var/lib/veredus";
const DEFAULT_USER = "veredus";
/** Longer than any drain takes by itself: what happens on top of it. */
const STOP_MARGIN_SECONDS = 15;

export interface UnitOptions {
  readonly config: Pick<Config, "data" | "user" | "drainMs">;
  readonly file: string;
  /** Program and arguments in front of `serve`. */
  readonly command: readonly string[];
}

function serviceUnit({ config, file, command }: UnitOptions): string {
  const user = config.user === "" ? DEFAULT_USER : config.user;
  const data = resolve(config.data);
  const start = [...command, "serve", "--config", resolve(file)].map(quoted).join(" ");
  const home = [data, resolve(file), ...command].some((path) => /^\/(home|root|run\/user)(\/|$)/.test(path));
  return `# Before the first start:
#   useradd --system --home-dir ${data} --shell /usr/sbin/nologin ${user}
#   install -d -m 0700 -o ${user} ${data}
#   systemctl daemon-reload && systemctl enable --now veredus
[Unit]
Description=Veredus mail server
After=network-online.target
Wants=network-online.target

[Service]
Type=exec
User=${user}
ExecStart=${start}
ExecReload=/bin/kill -HUP $MAINPID
KillMode=mixed
TimeoutStopSec=${Math.ceil(config.drainMs / 1000) + STOP_MARGIN_SECONDS}
Restart=always
RestartSec=1
# A wrong configuration or argument does not get better by itself.
RestartPreventExitStatus=${EXIT.usage} ${EXIT.config}
LimitNOFILE=65536
UMask=0077

AmbientCapabilities=CAP_NET_BIND_SERVICE
CapabilityBoundingSet=CAP_NET_BIND_SERVICE
NoNewPrivileges=yes
ProtectSystem=strict
ReadWritePaths=${quoted(data)}
ProtectHome=${home ? "read-only" : "yes"}
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
RemoveIPC=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
`;
}

/** As one word of a unit file. */
function quoted(word: string): string {
  const text = word.replaceAll("%", "%%").replaceAll("$", "$$$$");
  return /^[\w@%+=:,./$-]+$/.test(text) ? text : `"${text.replace(/[\\"]/g, "\\$&")}"`;
}

/** Prints the unit of a configuration file, which need not be there yet. */
export function printServiceUnit(file: string, command: readonly string[]): ExitCode {
  let config: UnitOptions["config"] = { ...DEFAULT_CONFIG, data: DEFAULT_DATA, user: DEFAULT_USER };
  try {
    Deno.statSync(file);
    config = loadConfig(file);
  } catch (error) {
    if (error instanceof ConfigError) {
      console.error(error.message);
      return EXIT.config;
    }
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    console.error(`# ${file} is not there yet: this is the unit for the default user and data folder`);
  }
  Deno.stdout.writeSync(new TextEncoder().encode(serviceUnit({ config, file, command })));
  return EXIT.ok;
}

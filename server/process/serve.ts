/**
 * `veredus serve`: the server of a configuration file. Never as root: it becomes the configured user first.
 */
import { type Config, PROTOCOLS } from "../config/config.ts";
import { ConfigError } from "../config/faults.ts";
import { checkFiles, loadConfig, readConfig } from "../config/load.ts";
import { SettingsInForce } from "../config/settings.ts";
import { EXIT, type ExitCode } from "../exit_codes.ts";
import type { Server } from "../run.ts";
import { become, CannotBecome, prepareDataFolder } from "./become.ts";
import { complain, type Hooks, runForeground } from "./foreground.ts";
import { supervise } from "./supervise.ts";

export interface ServeArguments {
  readonly config: string;
  readonly supervise?: boolean;
}

export async function serve(args: ServeArguments, hooks: Hooks): Promise<number> {
  const reading = readingOf(args.config);
  if (reading === null) return EXIT.config;
  const { config } = reading;
  if (Deno.uid() === 0) return leaveRoot(config, args.config);
  if (args.supervise) return await supervise(Deno.args.filter((arg) => arg !== "--supervise"));
  const settings = new SettingsInForce(reading.written);
  return await runForeground({
    ...hooks,
    config,
    settings,
    local: false,
    purpose: `veredus serve --config ${args.config}`,
    reread: () => {
      const again = readConfig(args.config);
      settings.read(again.written);
      return again.config;
    },
    announce,
  });
}

function readingOf(file: string): ReturnType<typeof readConfig> | null {
  try {
    return readConfig(file);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    complain(error.message);
    return null;
  }
}

/** Ends in another program image; returns only when that is not possible. */
function leaveRoot(config: Config, file: string): ExitCode {
  if (config.user === "") {
    complain(
      `serve never works as root: name a user in ${file} (user: veredus), or install the unit that ` +
        `\`veredus service --config ${file}\` prints`,
    );
    return EXIT.cannotStart;
  }
  try {
    prepareDataFolder(config.data, config.user);
    return become(config.user, { bindLowPorts: true });
  } catch (error) {
    if (!(error instanceof CannotBecome)) throw error;
    complain(`${error.message}; or install the unit that \`veredus service --config ${file}\` prints`);
    return EXIT.cannotStart;
  }
}

function announce({ config }: Server): string {
  const order = [...config.listeners].sort((a, b) =>
    PROTOCOLS.indexOf(a.protocol) - PROTOCOLS.indexOf(b.protocol)
  );
  const ports = order.map(({ protocol, address, port }) => `${protocol} ${address}:${port}`);
  return `Veredus serves ${config.hostname} (process ${Deno.pid}, data in ${config.data}): ${
    ports.join(", ")
  }`;
}

/** `veredus config check FILE`. */
export function checkConfig(file: string, options: { json: boolean }): ExitCode {
  let faults: readonly unknown[] = [];
  let problems: string[] = [];
  try {
    problems = checkFiles(loadConfig(file));
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    faults = error.faults;
    problems = error.message.split("\n");
  }
  const ok = problems.length === 0;
  if (options.json) {
    console.log(JSON.stringify({ ok, faults, problems: faults.length > 0 ? [] : problems }));
  } else if (ok) console.log(`${file}: the configuration is valid`);
  else for (const problem of problems) console.error(problem);
  return ok ? EXIT.ok : EXIT.config;
}

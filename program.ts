/**
 * Composition root: argv to a running server or to a command.
 *
 * Everything is imported when its command is chosen, so that a server starts fast and main of the threaded shape
 * never loads a protocol driver, nor the admin API before somebody asks for it.
 */
import { Command, CommanderError } from "commander";
import type { CliContext } from "./admin/cli/context.ts";
import denoJson from "./deno.json" with { type: "json" };
import { EXIT } from "./server/exit_codes.ts";
import type { Hooks } from "./server/process/foreground.ts";
import { later } from "./server/later.ts";

const VERSION = denoJson.version;
const DEFAULT_CONFIG_FILE = "/etc/veredus/veredus.yaml";
const DEFAULT_DATA = "./veredus-data";
/** Commands of this file; all others, and help, are administration. */
const OWN = new Set([
  "start",
  "serve",
  "service",
  "config",
  "policy-file",
  "extract-text",
  "version",
  "--version",
]);

const hooks: Hooks = {
  administer: async (server, options) =>
    await (await later<typeof import("./admin/serve.ts")>(new URL("./admin/serve.ts", import.meta.url)))
      .administer(server, { version: VERSION, ...options }),
};

const context: CliContext = {
  version: VERSION,
  defaultConfigFile: DEFAULT_CONFIG_FILE,
  defaultData: DEFAULT_DATA,
  dataOf: async (file) =>
    (await later<typeof import("./server/config/load.ts")>(
      new URL("./server/config/load.ts", import.meta.url),
    )).loadConfig(file).data,
  becomeOwner: async (ids) =>
    (await later<typeof import("./server/process/become.ts")>(
      new URL("./server/process/become.ts", import.meta.url),
    )).becomeOwner(ids),
};

const program = new Command("veredus")
  .description("A complete mail server in one executable.")
  .version(VERSION, "--version", "print the version")
  .showHelpAfterError("(--help tells more)")
  .addHelpText("after", () => {
    const codes = Object.entries(EXIT).map(([name, code]) => `${code} ${name}`).join(", ");
    return `\nExit codes: ${codes}.`;
  })
  .exitOverride();

program.command("start")
  .description("run a server to try on this machine: loopback only, nothing leaves it")
  .option("--data <DIR>", "data folder", DEFAULT_DATA)
  .option("--port-offset <N>", "added to every standard port", "1000")
  .option("--password <TEXT>", "password of the local accounts (made and printed at the first start)")
  .option("--relay <HOST:PORT>", "next hop for mail to other domains (default: captured here)")
  .option("--threads <N>", "front-end threads; 0: everything in one thread", "auto")
  .option("--address <ADDRESS>", "loopback address to listen on", "127.0.0.1")
  .option("--tls <WAY>", "implicit TLS: compact (less memory) or full (SNI, cipher in Received)", "compact")
  .option("--log-level <LEVEL>", "trace, debug, info, warning, error or fatal", "info")
  .option("--supervise", "start the server again when it dies")
  .action(async ({ supervise, ...options }) => {
    if (supervise) {
      const { supervise } = await later<typeof import("./server/process/supervise.ts")>(
        new URL("./server/process/supervise.ts", import.meta.url),
      );
      Deno.exit(await supervise(Deno.args.filter((arg) => arg !== "--supervise")));
    }
    Deno.exit(
      await (await later<typeof import("./server/process/start.ts")>(
        new URL("./server/process/start.ts", import.meta.url),
      )).start(options, hooks),
    );
  });

program.command("serve")
  .description("run the server of a configuration file; SIGHUP reads it again, SIGTERM drains")
  .option("--config <FILE>", "configuration file", DEFAULT_CONFIG_FILE)
  .option("--supervise", "start the server again when it dies, where no systemd does it")
  .action(async (options) =>
    Deno.exit(
      await (await later<typeof import("./server/process/serve.ts")>(
        new URL("./server/process/serve.ts", import.meta.url),
      )).serve(options, hooks),
    )
  );

program.command("service")
  .description("print a systemd unit: own user, CAP_NET_BIND_SERVICE only, sandboxed")
  .option("--config <FILE>", "configuration file", DEFAULT_CONFIG_FILE)
  .action(async ({ config }) => {
    const [{ printServiceUnit }, { ownCommand }] = await Promise.all([
      later<typeof import("./server/process/service_unit.ts")>(
        new URL("./server/process/service_unit.ts", import.meta.url),
      ),
      later<typeof import("./server/process/own_command.ts")>(
        new URL("./server/process/own_command.ts", import.meta.url),
      ),
    ]);
    Deno.exit(printServiceUnit(config, ownCommand()));
  });

const config = program.command("config").description("the configuration file");
config.command("example")
  .description("print a commented configuration with every key")
  .action(async () => {
    const { exampleConfig } = await later<typeof import("./server/config/example.ts")>(
      new URL("./server/config/example.ts", import.meta.url),
    );
    Deno.stdout.writeSync(new TextEncoder().encode(exampleConfig()));
  });
config.command("check <file>")
  .description("say what is wrong with a configuration: file, line, column, key, value, what is allowed")
  .option("--json", "print JSON")
  .action(async (file, { json }) => {
    const { checkConfig } = await later<typeof import("./server/process/serve.ts")>(
      new URL("./server/process/serve.ts", import.meta.url),
    );
    Deno.exit(checkConfig(file, { json: json === true }));
  });

program.command("policy-file", { hidden: true })
  .description("run the policy file that a server hands over")
  .action(async () =>
    Deno.exit(
      await (await later<typeof import("./server/process/policy.ts")>(
        new URL("./server/process/policy.ts", import.meta.url),
      )).policyProcess(),
    )
  );

program.command("extract-text", { hidden: true })
  .description("take text out of attachments that a server hands over")
  .action(async () =>
    Deno.exit(
      await (await later<typeof import("./server/process/extract.ts")>(
        new URL("./server/process/extract.ts", import.meta.url),
      )).extractProcess(),
    )
  );

program.command("version")
  .description("print the version, and what it runs on")
  .option("--json", "print JSON")
  .action(({ json }) => {
    const { deno, v8 } = Deno.version;
    console.log(
      json
        ? JSON.stringify({ version: VERSION, deno, v8, standalone: Deno.build.standalone })
        : `veredus ${VERSION} (deno ${deno}, v8 ${v8})`,
    );
  });

/** Does what the arguments ask for; returns the exit code. */
export async function run(): Promise<number> {
  const name = Deno.args[0] ?? "--help";
  const cli = OWN.has(name) ? null : await later<typeof import("./admin/cli/program.ts")>(
    new URL("./admin/cli/program.ts", import.meta.url),
  );
  cli?.registerCommands(program, context);
  try {
    await program.parseAsync(Deno.args.length === 0 ? ["--help"] : Deno.args, { from: "user" });
    return EXIT.ok;
  } catch (error) {
    // Commander has printed its words already: help and version end with 0, everything else was wrong usage.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    if (error instanceof Error && error.name === "ConfigError") {
      console.error(error.message);
      return EXIT.config;
    }
    if (cli === null) throw error;
    return EXIT[cli.report(error, Deno.args.includes("--json"))];
  }
}

/** Commands about a server that runs: `session`, `log-level`, `reload`, `settings`, `health`. */
import { cell, fields, table, when } from "../output.ts";
import { type Commands, items, printList, segment } from "../shell.ts";

interface Session {
  readonly id: string;
  readonly protocol: string;
  readonly address: string;
  readonly account: string | null;
  readonly tls: boolean;
  readonly since: string;
  readonly doing: string;
}

interface Levels {
  readonly level: string;
  readonly areas: Readonly<Record<string, string>>;
}

interface Setting {
  readonly key: string;
  readonly value: unknown;
  readonly set: boolean;
}

export function runningCommands(commands: Commands): void {
  const session = commands.program.command("session").description("connections of clients");

  commands.leaf<{ account?: string; protocol?: string }>(session, {
    usage: "list",
    about: "list who is connected",
    work: async (shell) => {
      const { account, protocol } = shell.options;
      await printList(items<Session>(shell, "/sessions", { account, protocol }), {
        json: shell.options.json === true,
        none: "nobody is connected",
        table: (rows) =>
          table(rows, [
            ["ID", (row) => row.id],
            ["PROTOCOL", (row) => row.protocol],
            ["ADDRESS", (row) => row.address],
            ["ACCOUNT", (row) => row.account],
            ["TLS", (row) => row.tls],
            ["SINCE", (row) => when(row.since)],
            ["DOING", (row) => cell(row.doing).slice(0, 60)],
          ]),
      });
    },
  }).option("--account <ADDRESS>", "of this account only").option("--protocol <NAME>", "smtp, imap or pop3");

  commands.leaf(session, {
    usage: "remove <ids...>",
    about: "end sessions",
    work: async (shell, ...ids) => {
      for (const id of ids) await shell.send({ method: "DELETE", path: `/sessions/${segment(id)}` });
      shell.print({ ended: ids }, `ended ${ids.length} sessions`);
    },
  }).alias("end");

  commands.leaf(commands.program, {
    usage: "log-level [area-and-level...]",
    about: "show the log levels, or set one until the next start: LEVEL, or AREA LEVEL",
    work: async (shell, ...words) => {
      const [area, level] = words.length > 1 ? [words[0]!, words[1]!] : [null, words[0]];
      const levels = level === undefined
        ? await shell.get("/log-levels")
        : await shell.send({ method: "PUT", path: "/log-levels", body: { area, level } });
      const { level: common, areas } = levels as Levels;
      shell.print(levels as Levels, fields({ level: common, ...areas }));
    },
  });

  commands.leaf(commands.program, {
    usage: "reload",
    about: "let the server read its configuration and certificates again",
    work: async (shell) => {
      const result = await shell.send({ method: "POST", path: "/reload" }) as { needRestart: string[] };
      const left = result.needRestart;
      shell.print(
        result,
        left.length === 0
          ? "the configuration is in force"
          : `in force; these need a restart: ${left.join(", ")}`,
      );
    },
  });

  commands.leaf<{ changed?: boolean }>(commands.program, {
    usage: "settings [key]",
    about: "show the settings in force: all, one, or those that begin so (limits)",
    work: async (shell, key = "") => {
      const { items } = await shell.get(`/settings?${new URLSearchParams({ key })}`) as {
        items: readonly Setting[];
      };
      const shown = items.filter(({ set }) => set || shell.options.changed !== true);
      const none = shell.options.changed ? "all are as by default" : `there is no setting ${key}`;
      shell.print(
        shown,
        shown.length === 0 ? none : table(shown, [
          ["KEY", (row) => row.key],
          ["VALUE", (row) => typeof row.value === "object" ? JSON.stringify(row.value) : row.value],
          ["FROM", (row) => row.set ? "file" : "default"],
        ]),
      );
    },
  }).option("--changed", "only what the file says");

  commands.leaf(commands.program, {
    usage: "health",
    about: "how the server is",
    work: async (shell) => {
      const { queue, ...facts } = await shell.get("/health") as Record<string, unknown>;
      shell.print({ ...facts, queue }, fields({ ...facts, ...prefixed(queue as object) }));
    },
  });
}

function prefixed(queue: object): object {
  return Object.fromEntries(Object.entries(queue).map(([name, value]) => [`queue ${name}`, value]));
}

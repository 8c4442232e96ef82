/** `veredus trace`, `ban` and `memory`: what happened to a message, who is shut out, what checks remember of others. */
import { table, when } from "../output.ts";
import { type Commands, items, printList } from "../shell.ts";

interface Event {
  readonly at: string;
  readonly event: string;
  readonly checks?: readonly { check: string; stage: string; action: string; reason: string }[];
  readonly [key: string]: unknown;
}
interface Traces {
  readonly items: readonly { readonly trace: string; readonly events: readonly Event[] }[];
}
interface Ban {
  readonly address: string;
  readonly since: string;
  readonly until: string;
  readonly times: number;
  readonly reason: string;
}

interface Memory {
  readonly key: string;
  readonly count: number;
  readonly first: string;
  readonly last: string;
  readonly until: string;
}

export function policyCommands(commands: Commands): void {
  const { program } = commands;
  commands.leaf<{ limit?: string }>(program, {
    usage: "trace <what>",
    about: "show the life of messages: by our id, Message-ID, or an address of sender or recipient",
    work: async (shell, what = "") => {
      const { limit } = shell.options;
      const query = new URLSearchParams({ about: what, ...(limit !== undefined && { limit }) });
      const found = await shell.get(`/traces?${query}`) as Traces;
      const text = found.items.map(({ trace, events }) => [`${trace}`, ...events.flatMap(lines)].join("\n"));
      shell.print(found, text.length === 0 ? `nothing is known about ${what}` : text.join("\n\n"));
    },
  }).option("--limit <N>", "messages, the newest first");

  const ban = program.command("ban").description("addresses that are shut out");
  commands.leaf(ban, {
    usage: "list",
    about: "list banned addresses",
    work: async (shell) =>
      await printList(items<Ban>(shell, "/bans", {}), {
        json: shell.options.json === true,
        none: "nobody is banned",
        table: (rows) =>
          table(rows, [
            ["ADDRESS", (row) => row.address],
            ["SINCE", (row) => when(row.since)],
            ["UNTIL", (row) => when(row.until)],
            ["TIMES", (row) => row.times],
            ["REASON", (row) => row.reason],
          ]),
      }),
  });
  commands.leaf<{ minutes?: string }>(ban, {
    usage: "add <address>",
    about: "ban an address",
    work: async (shell, address = "") => {
      const { minutes } = shell.options;
      const body = { address, ...(minutes !== undefined && { minutes: Number(minutes) }) };
      const made = await shell.send({ method: "POST", path: "/bans", body }) as Ban;
      shell.print(made, `${made.address} is banned until ${when(made.until)}`);
    },
  }).option("--minutes <N>", "how long; an hour when left out");
  commands.leaf(ban, {
    usage: "lift <address>",
    about: "let an address in again",
    work: async (shell, address = "") => {
      await shell.send({ method: "DELETE", path: `/bans?${new URLSearchParams({ address })}` });
      shell.print({ address }, `${address} may come again`);
    },
  });
  memoryCommands(commands);
}

function memoryCommands(commands: Commands): void {
  const memory = commands.program.command("memory").description(
    "what checks remember: greylist, sent, first-time, known, vacation and others",
  );
  commands.leaf(memory, {
    usage: "list <kind>",
    about: "list what is remembered of one kind",
    work: async (shell, kind = "") =>
      await printList(items<Memory>(shell, "/memory", { kind }), {
        json: shell.options.json === true,
        none: "nothing is remembered",
        table: (rows) =>
          table(rows, [
            ["KEY", (row) => row.key],
            ["COUNT", (row) => row.count],
            ["FIRST", (row) => when(row.first)],
            ["LAST", (row) => when(row.last)],
            ["UNTIL", (row) => when(row.until)],
          ]),
      }),
  });
  commands.leaf(memory, {
    usage: "forget <kind> <key...>",
    about: "forget one: as `sent 'ann@example.org 20600'`, which lets a login send on",
    work: async (shell, kind = "", ...words) => {
      const key = words.join(" ");
      await shell.send({ method: "DELETE", path: `/memory?${new URLSearchParams({ kind, key })}` });
      shell.print({ kind, key }, `${key} is forgotten`);
    },
  });
}

function lines({ at, event, checks = [], ...facts }: Event): string[] {
  const shown = Object.entries(facts).filter(([, value]) => value !== "")
    .map(([key, value]) => `${key}=${Array.isArray(value) ? value.join(",") : value}`).join(" ");
  return [
    `  ${when(at)} ${event} ${shown}`,
    ...checks.map(({ check, stage, action, reason }) => `      ${stage} ${check}: ${action}, ${reason}`),
  ];
}

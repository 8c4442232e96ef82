/** `veredus queue`: what waits to be sent to other servers. */
import type { Command } from "commander";
import { confirm } from "../ask.ts";
import { CliFailure } from "../context.ts";
import { cell, fields, size, table, when } from "../output.ts";
import { type Commands, items, printList, type Shell } from "../shell.ts";

interface Recipient {
  readonly id: number;
  readonly messageId: number;
  readonly sender: string;
  readonly recipient: string;
  readonly state: string;
  readonly attempts: number;
  readonly nextAttemptAt: string;
  readonly lastReply: string;
  readonly sizeOctets: number;
}
interface Message {
  readonly createdAt: string;
  readonly expiresAt: string;
  readonly sizeOctets: number;
  readonly recipients: readonly Recipient[];
}

interface Filter {
  readonly sender?: string;
  readonly recipient?: string;
  readonly destination?: string;
  readonly state?: string;
}
interface Selection extends Filter {
  readonly all?: boolean;
  readonly only?: boolean;
  readonly reason?: string;
  readonly yes?: boolean;
}

const ACTIONS = {
  retry: { about: "try now", done: "to be tried now" },
  hold: { about: "do not try until released", done: "held" },
  release: { about: "try again what was held", done: "released" },
  fail: { about: "give up and return to the sender (DSN)", done: "given up, their senders are told" },
  remove: { about: "drop without a word to anybody", done: "removed" },
} as const;

export function queueCommands(commands: Commands): void {
  const queue = commands.program.command("queue").description("mail that waits to be sent on");

  filters(commands.leaf<Filter>(queue, {
    usage: "list",
    about: "list recipients that wait, with the message they belong to",
    work: async (shell) =>
      await printList(items<Recipient>(shell, "/queue", { ...filterOf(shell.options) }), {
        json: shell.options.json === true,
        none: "the queue is empty",
        table: recipientTable,
      }),
  }));

  commands.leaf(queue, {
    usage: "show <message>",
    about: "show a message and its recipients",
    work: async (shell, id = "") => {
      const message = await shell.get(`/queue/${idOf(id)}`) as Message;
      const { recipients, ...facts } = message;
      const head = fields({
        ...facts,
        createdAt: when(facts.createdAt),
        expiresAt: when(facts.expiresAt),
        sizeOctets: size(facts.sizeOctets),
      });
      shell.print(message, `${head}\n\n${recipientTable(recipients)}`);
    },
  });

  for (const [action, { about, done }] of Object.entries(ACTIONS)) {
    const command = selection(commands.leaf<Selection>(queue, {
      usage: `${action} [messages...]`,
      about,
      work: async (shell, ...ids) => await control(shell, { action, done, ids }),
    }));
    if (action === "fail") command.option("--reason <TEXT>", "what the sender is told");
    if (action === "fail" || action === "remove") command.option("--yes", "do not ask");
  }
}

async function control(
  shell: Shell<Selection>,
  what: { action: string; done: string; ids: string[] },
): Promise<void> {
  const { action, done, ids } = what;
  const { all, only, reason, yes } = shell.options;
  const filter = filterOf(shell.options);
  const filtered = Object.keys(filter).length > 0;
  if (Number(ids.length > 0) + Number(filtered) + Number(all === true) !== 1) {
    throw new CliFailure(
      `which? ids of messages, or --sender, --recipient, --destination, --state, or --all`,
      {
        exit: "usage",
      },
    );
  }
  if (action === "fail" || action === "remove") {
    const which = ids.length > 0
      ? ids.join(", ")
      : filtered
      ? JSON.stringify(filter)
      : "everything in the queue";
    await confirm(`${action}: ${which}?`, yes === true);
  }
  const numbers = ids.map(idOf);
  const chosen = ids.length === 0 ? { filter } : only ? { recipients: numbers } : { messages: numbers };
  const body = { action, ...chosen, ...(reason !== undefined && { reason }) };
  const result = await shell.send({ method: "POST", path: "/queue/control", body }) as { recipients: number };
  shell.print(result, `${result.recipients} recipients ${done}`);
}

function filters(command: Command): Command {
  return command
    .option("--sender <ADDRESS>", "from this reverse-path")
    .option("--recipient <ADDRESS>", "for this recipient")
    .option("--destination <DOMAIN>", "to this destination")
    .option("--state <STATE>", "queued or held");
}

function selection(command: Command): Command {
  return filters(command)
    .option("--all", "everything in the queue")
    .option("--only", "the ids are those of recipients, not of messages");
}

function filterOf({ sender, recipient, destination, state }: Filter): Record<string, string> {
  return {
    ...(sender !== undefined && { sender }),
    ...(recipient !== undefined && { recipient }),
    ...(destination !== undefined && { destination }),
    ...(state !== undefined && { state }),
  };
}

function idOf(text: string): number {
  const id = Number(text);
  if (/^\d{1,15}$/.test(text) && id > 0) return id;
  throw new CliFailure(`"${text}" is not an id; \`veredus queue list\` shows them`, { exit: "usage" });
}

function recipientTable(rows: readonly Recipient[]): string {
  return table(rows, [
    ["MESSAGE", (row) => row.messageId],
    ["ID", (row) => row.id],
    ["SENDER", (row) => row.sender === "" ? "<>" : row.sender],
    ["RECIPIENT", (row) => row.recipient],
    ["STATE", (row) => row.state],
    ["TRIES", (row) => row.attempts],
    ["NEXT", (row) => row.state === "held" ? "-" : when(row.nextAttemptAt)],
    ["SIZE", (row) => size(row.sizeOctets)],
    ["LAST REPLY", (row) => cell(row.lastReply).slice(0, 80)],
  ]);
}

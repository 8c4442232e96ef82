/** `veredus quarantine`: mail that checks have set aside. */
import { confirm } from "../ask.ts";
import { CliFailure } from "../context.ts";
import { cell, fields, size, table, when } from "../output.ts";
import { type Commands, items, printList, type Shell } from "../shell.ts";

interface Row {
  readonly id: number;
  readonly messageId: number;
  readonly sender: string;
  readonly recipient: string;
  readonly from: string;
  readonly subject: string;
  readonly reason: string;
  readonly dangerous: boolean;
  readonly createdAt: string;
  readonly expiresAt: string;
  readonly sizeOctets: number;
}
interface Message extends Row {
  readonly header: readonly { readonly name: string; readonly value: string }[];
  readonly text: string;
  readonly attachments: readonly { readonly name: string; readonly type: string }[];
}
interface Filter {
  readonly recipient?: string;
  readonly sender?: string;
}
interface Selection {
  readonly messages?: boolean;
  readonly train?: boolean;
  readonly yes?: boolean;
}

export function quarantineCommands(commands: Commands): void {
  const quarantine = commands.program.command("quarantine").description("mail that checks have set aside");

  commands.leaf<Filter>(quarantine, {
    usage: "list",
    about: "list what is set aside, a line for each recipient",
    work: async (shell) => {
      const { recipient, sender } = shell.options;
      const filter = {
        ...(recipient !== undefined && { recipient }),
        ...(sender !== undefined && { sender }),
      };
      await printList(items<Row>(shell, "/quarantine", filter), {
        json: shell.options.json === true,
        none: "the quarantine is empty",
        table: rowTable,
      });
    },
  }).option("--recipient <ADDRESS>", "for this recipient").option(
    "--sender <ADDRESS>",
    "from this reverse-path",
  );

  commands.leaf(quarantine, {
    usage: "show <id>",
    about: "show a message as text",
    work: async (shell, id = "") => {
      const message = await shell.get(`/quarantine/${idOf(id)}`) as Message;
      const { header, text, attachments, ...facts } = message;
      const head = fields({
        ...facts,
        createdAt: when(facts.createdAt),
        expiresAt: when(facts.expiresAt),
        sizeOctets: size(facts.sizeOctets),
      });
      const parts = [
        head,
        header.map(({ name, value }) => `${cell(name)}: ${cell(value)}`).join("\n"),
        text.split("\n").map((line) => line === "" ? "" : cell(line)).join("\n"),
        ...(attachments.length === 0
          ? []
          : [attachments.map(({ name, type }) => `attached: ${cell(name)} (${cell(type)})`).join("\n")]),
      ];
      shell.print(message, parts.join("\n\n"));
    },
  });

  commands.leaf<Selection>(quarantine, {
    usage: "release <ids...>",
    about: "deliver to the recipients",
    work: async (shell, ...ids) => await control(shell, { action: "release", done: "let go", ids }),
  }).option("--messages", "the ids are those of messages: all their recipients")
    .option("--train", "the filter learns that they were wanted");

  commands.leaf<Selection>(quarantine, {
    usage: "remove <ids...>",
    about: "drop without a word to anybody",
    work: async (shell, ...ids) => {
      await confirm(`remove ${ids.join(", ")}?`, shell.options.yes === true);
      await control(shell, { action: "remove", done: "removed", ids });
    },
  }).option("--messages", "the ids are those of messages: all their recipients").option(
    "--yes",
    "do not ask",
  );
}

async function control(
  shell: Shell<Selection>,
  { action, done, ids }: { readonly action: string; readonly done: string; readonly ids: readonly string[] },
): Promise<void> {
  const { messages, train } = shell.options;
  const numbers = ids.map(idOf);
  const body = {
    action,
    ...(messages ? { messages: numbers } : { recipients: numbers }),
    ...(train !== undefined && { train }),
  };
  const result = await shell.send({ method: "POST", path: "/quarantine/control", body }) as {
    recipients: number;
  };
  shell.print(result, `${result.recipients} recipients ${done}`);
}

function idOf(text: string): number {
  const id = Number(text);
  if (/^\d{1,15}$/.test(text) && id > 0) return id;
  throw new CliFailure(`"${text}" is not an id; \`veredus quarantine list\` shows them`, { exit: "usage" });
}

function rowTable(rows: readonly Row[]): string {
  return table(rows, [
    ["ID", (row) => row.id],
    ["MESSAGE", (row) => row.messageId],
    ["SENDER", (row) => row.sender === "" ? "<>" : row.sender],
    ["RECIPIENT", (row) => row.recipient],
    ["SUBJECT", (row) => cell(row.subject).slice(0, 40)],
    ["SINCE", (row) => when(row.createdAt)],
    ["UNTIL", (row) => when(row.expiresAt)],
    ["WHY", (row) => cell(row.reason).slice(0, 80)],
  ]);
}

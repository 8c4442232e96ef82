/** `veredus token`: bearer tokens of the HTTP API. */
import { confirm } from "../ask.ts";
import { table, when } from "../output.ts";
import { type Commands, items, printList, segment } from "../shell.ts";

interface Token {
  readonly id: string;
  readonly name: string;
  readonly scopes: readonly string[];
  readonly createdAt: string;
  readonly expiresAt: string | null;
}

export function tokenCommands(commands: Commands): void {
  const token = commands.program.command("token").description("bearer tokens of the HTTP API");

  commands.leaf<{ scope: string[]; days?: string }>(token, {
    usage: "add <name>",
    about: "make a token and print it, this once",
    create: true,
    work: async (shell, name = "") => {
      const { scope: scopes, days } = shell.options;
      const body = { name, scopes, ...(days !== undefined && { expiresInDays: Number(days) }) };
      const made = await shell.send({ method: "POST", path: "/tokens", body }) as Token & { secret: string };
      shell.print(made, made.secret);
    },
  })
    .requiredOption("--scope <SCOPE...>", "admin, or AREA:read and AREA:write, as in queue:read")
    .option("--days <N>", "how long it is good (default: until it is removed)");

  commands.leaf(token, {
    usage: "list",
    about: "list tokens, without their secrets",
    work: async (shell) =>
      await printList(items<Token>(shell, "/tokens"), {
        json: shell.options.json === true,
        none: "no tokens; veredus token add NAME --scope SCOPE makes one",
        table: (rows) =>
          table(rows, [
            ["ID", (row) => row.id],
            ["NAME", (row) => row.name],
            ["SCOPES", (row) => row.scopes],
            ["CREATED", (row) => when(row.createdAt)],
            ["ENDS", (row) => when(row.expiresAt)],
          ]),
      }),
  });

  commands.leaf(token, {
    usage: "show <id>",
    about: "show a token, without its secret",
    work: async (shell, id = "") => shell.print(await shell.get(`/tokens/${segment(id)}`) as Token),
  });

  commands.leaf<{ yes?: boolean }>(token, {
    usage: "remove <id>",
    about: "remove a token; it is refused from then on",
    work: async (shell, id = "") => {
      await confirm(`Remove the token ${id}?`, shell.options.yes === true);
      await shell.send({ method: "DELETE", path: `/tokens/${segment(id)}` });
      shell.print({ removed: id }, `removed token ${id}`);
    },
  }).option("--yes", "do not ask");
}

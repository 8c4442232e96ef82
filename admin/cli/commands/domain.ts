/** `veredus domain`: domains with mailboxes here, and those that mail is sent on for. */
import { confirm } from "../ask.ts";
import { table } from "../output.ts";
import { type Commands, items, printList, segment } from "../shell.ts";

interface Domain {
  readonly name: string;
  readonly kind: string;
  readonly nextHop: string;
  readonly catchAll: string;
  readonly subaddressSeparators: string;
}

interface Fields {
  readonly relay?: string;
  readonly local?: boolean;
  readonly catchAll?: string;
  readonly separators?: string;
}

export function domainCommands(commands: Commands): void {
  const domain = commands.program.command("domain").description("domains that mail is taken for");

  commands.leaf<Fields>(domain, {
    usage: "add <name>",
    about: "take mail for a domain",
    create: true,
    work: async (shell, name = "") => {
      const body = { name, ...changes(shell.options) };
      shell.print(
        await shell.send({ method: "POST", path: "/domains", body }) as Domain,
        `added domain ${name}`,
      );
    },
  })
    .option("--relay <NEXT-HOP>", "send its mail on: mx, HOST:PORT or lmtp:HOST:PORT")
    .option("--catch-all <ADDRESS>", "who receives what no account or alias takes")
    .option("--separators <CHARACTERS>", "of sub-addresses, as in user+tag; empty: none (default: +)");

  commands.leaf(domain, {
    usage: "list",
    about: "list domains",
    work: async (shell) =>
      await printList(items<Domain>(shell, "/domains"), {
        json: shell.options.json === true,
        none: "no domains; veredus domain add NAME adds one",
        table: (rows) =>
          table(rows, [
            ["NAME", (row) => row.name],
            ["KIND", (row) => row.kind],
            ["NEXT HOP", (row) => row.nextHop],
            ["CATCH-ALL", (row) => row.catchAll],
            ["SEPARATORS", (row) => row.subaddressSeparators],
          ]),
      }),
  });

  commands.leaf(domain, {
    usage: "show <name>",
    about: "show a domain",
    work: async (shell, name = "") => shell.print(await shell.get(`/domains/${segment(name)}`) as Domain),
  });

  commands.leaf<Fields>(domain, {
    usage: "set <name>",
    about: "change a domain",
    work: async (shell, name = "") => {
      const body = changes(shell.options);
      const path = `/domains/${segment(name)}`;
      shell.print(await shell.send({ method: "PATCH", path, body }) as Domain, `changed domain ${name}`);
    },
  })
    .option("--relay <NEXT-HOP>", "send its mail on: mx, HOST:PORT or lmtp:HOST:PORT")
    .option("--local", "keep its mail here")
    .option("--catch-all <ADDRESS>", "who receives what no account or alias takes; empty: nobody")
    .option("--separators <CHARACTERS>", "of sub-addresses; empty: none");

  commands.leaf<{ yes?: boolean }>(domain, {
    usage: "remove <name>",
    about: "remove a domain without accounts and aliases",
    work: async (shell, name = "") => {
      await confirm(`Remove the domain ${name}?`, shell.options.yes === true);
      await shell.send({ method: "DELETE", path: `/domains/${segment(name)}` });
      shell.print({ removed: name }, `removed domain ${name}`);
    },
  }).option("--yes", "do not ask");
}

function changes({ relay, local, catchAll, separators }: Fields): object {
  return {
    ...(relay !== undefined && { kind: "relay", nextHop: relay }),
    ...(local && { kind: "local" }),
    ...(catchAll !== undefined && { catchAll }),
    ...(separators !== undefined && { subaddressSeparators: separators }),
  };
}

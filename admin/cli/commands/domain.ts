/** `veredus domain`: domains with mailboxes here, and those that mail is sent on for. */
import type { Command } from "commander";
import { confirm } from "../ask.ts";
import { numberOf, sizeOf } from "../numbers.ts";
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
  readonly aliasOf?: string;
  readonly subaddressFolder?: string;
  readonly relayRecipients?: string;
  readonly quota?: string;
  readonly quotaMessages?: string;
  readonly accountQuota?: string;
  readonly accountQuotaMessages?: string;
  readonly softPercent?: string;
  readonly overQuota?: string;
}

export function domainCommands(commands: Commands): void {
  const domain = commands.program.command("domain").description("domains that mail is taken for");

  moreOptions(
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
      .option("--separators <CHARACTERS>", "of sub-addresses, as in user+tag; empty: none (default: +)"),
  );

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

  moreOptions(
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
      .option("--separators <CHARACTERS>", "of sub-addresses; empty: none"),
  );

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

function moreOptions(command: Command): void {
  command
    .option("--alias-of <NAME>", "make it another name of a local domain; empty: a domain of its own")
    .option(
      "--subaddress-folder <WAY>",
      "user+folder goes to: inbox, existing (folders), create (any folder)",
    )
    .option(
      "--relay-recipients <WHICH>",
      "whom a relay domain takes mail for: any, list, or ask (the next hop)",
    )
    .option("--quota <SIZE>", "limit of all accounts together, as in 100GB; 0: none")
    .option("--quota-messages <NUMBER>", "the same in messages")
    .option("--account-quota <SIZE>", "limit of each account without its own; 0: none")
    .option("--account-quota-messages <NUMBER>", "the same in messages")
    .option("--soft-percent <NUMBER>", "of an account's limit, from which on its owner is told; 0: never")
    .option("--over-quota <RULE>", "mail over a limit: defer (452) or refuse (552)");
}

function changes(options: Fields): object {
  const { relay, local, catchAll, separators, aliasOf, subaddressFolder, relayRecipients, overQuota } =
    options;
  return {
    ...(relay !== undefined && { kind: "relay", nextHop: relay }),
    ...(local && { kind: "local" }),
    ...(catchAll !== undefined && { catchAll }),
    ...(separators !== undefined && { subaddressSeparators: separators }),
    ...(aliasOf !== undefined && { aliasOf }),
    ...(subaddressFolder !== undefined && { subaddressFolder }),
    ...(relayRecipients !== undefined && { relayRecipients }),
    ...(options.quota !== undefined && { quotaOctets: sizeOf(options.quota) }),
    ...(options.quotaMessages !== undefined && { quotaMessages: numberOf(options.quotaMessages) }),
    ...(options.accountQuota !== undefined && { accountQuotaOctets: sizeOf(options.accountQuota) }),
    ...(options.accountQuotaMessages !== undefined &&
      { accountQuotaMessages: numberOf(options.accountQuotaMessages) }),
    ...(options.softPercent !== undefined && { quotaSoftPercent: numberOf(options.softPercent) }),
    ...(overQuota !== undefined && { overQuota }),
  };
}

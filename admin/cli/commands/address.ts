/** `veredus address`: further addresses of accounts, and masked ones made up for one correspondent each. */
import { confirm } from "../ask.ts";
import { table, when } from "../output.ts";
import { type Commands, items, printList, segment } from "../shell.ts";

interface Address {
  readonly address: string;
  readonly kind: string;
  readonly enabled: boolean;
  readonly note: string;
  readonly lastUsedAt: string | null;
}

export function addressCommands(commands: Commands): void {
  const address = commands.program.command("address").description("further and masked addresses of accounts");
  const path = (account: string, further?: string) =>
    `/accounts/${segment(account)}/addresses${further === undefined ? "" : `/${segment(further)}`}`;

  commands.leaf<{ note?: string }>(address, {
    usage: "add <account> <address>",
    about: "give an account a further address",
    work: async (shell, account = "", further = "") => {
      const body = { address: further, note: shell.options.note ?? "" };
      const added = await shell.send({ method: "POST", path: path(account), body }) as Address;
      shell.print(added, `added address ${added.address}`);
    },
  }).option("--note <TEXT>", "what it is for");

  commands.leaf<{ note?: string; domain?: string }>(address, {
    usage: "mask <account>",
    about: "make up a masked address",
    work: async (shell, account = "") => {
      const { note = "", domain } = shell.options;
      const body = { kind: "masked", note, ...(domain !== undefined && { domain }) };
      const added = await shell.send({ method: "POST", path: path(account), body }) as Address;
      shell.print(added, added.address);
    },
  })
    .option("--note <TEXT>", "whom it is for")
    .option("--domain <NAME>", "in this domain");

  commands.leaf(address, {
    usage: "list <account>",
    about: "list further and masked addresses",
    work: async (shell, account = "") =>
      await printList(items<Address>(shell, path(account)), {
        json: shell.options.json === true,
        none: "no further addresses",
        table: (rows) =>
          table(rows, [
            ["ADDRESS", (row) => row.address],
            ["KIND", (row) => row.kind],
            ["ENABLED", (row) => row.enabled],
            ["LAST USED", (row) => when(row.lastUsedAt)],
            ["NOTE", (row) => row.note],
          ]),
      }),
  });

  for (const [verb, enabled] of [["enable", true], ["disable", false]] as const) {
    commands.leaf(address, {
      usage: `${verb} <account> <address>`,
      about: enabled ? "take mail for an address again" : "refuse mail for an address",
      work: async (shell, account = "", further = "") => {
        const changed = await shell.send({
          method: "PATCH",
          path: path(account, further),
          body: { enabled },
        });
        shell.print(changed as Address, `${verb}d ${further}`);
      },
    });
  }

  commands.leaf<{ yes?: boolean }>(address, {
    usage: "remove <account> <address>",
    about: "take an address from an account",
    work: async (shell, account = "", further = "") => {
      await confirm(`Remove the address ${further}?`, shell.options.yes === true);
      await shell.send({ method: "DELETE", path: path(account, further) });
      shell.print({ removed: further }, `removed address ${further}`);
    },
  }).option("--yes", "do not ask");
}

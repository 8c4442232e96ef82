/** `veredus alias`: addresses that stand for others. */
import { confirm } from "../ask.ts";
import { table } from "../output.ts";
import { type Commands, items, printList, segment } from "../shell.ts";

interface Alias {
  readonly address: string;
  readonly targets: readonly string[];
}

export function aliasCommands(commands: Commands): void {
  const alias = commands.program.command("alias").description("addresses that stand for others");

  commands.leaf(alias, {
    usage: "add <address> <targets...>",
    about: "deliver mail for an address to others, to command:NAME or to hook:NAME",
    create: true,
    work: async (shell, address = "", ...targets) => {
      const body = { address, targets };
      shell.print(
        await shell.send({ method: "POST", path: "/aliases", body }) as Alias,
        `added alias ${address}`,
      );
    },
  });

  commands.leaf<{ domain?: string }>(alias, {
    usage: "list",
    about: "list aliases",
    work: async (shell) =>
      await printList(items<Alias>(shell, "/aliases", { domain: shell.options.domain }), {
        json: shell.options.json === true,
        none: "no aliases; veredus alias add ADDRESS TARGET adds one",
        table: (rows) => table(rows, [["ADDRESS", (row) => row.address], ["TARGETS", (row) => row.targets]]),
      }),
  }).option("--domain <NAME>", "of this domain only");

  commands.leaf(alias, {
    usage: "show <address>",
    about: "show an alias",
    work: async (shell, address = "") =>
      shell.print(await shell.get(`/aliases/${segment(address)}`) as Alias),
  });

  commands.leaf(alias, {
    usage: "set <address> <targets...>",
    about: "give an alias other targets",
    work: async (shell, address = "", ...targets) => {
      const path = `/aliases/${segment(address)}`;
      const changed = await shell.send({ method: "PATCH", path, body: { targets } });
      shell.print(changed as Alias, `changed alias ${address}`);
    },
  });

  commands.leaf<{ yes?: boolean }>(alias, {
    usage: "remove <address>",
    about: "remove an alias",
    work: async (shell, address = "") => {
      await confirm(`Remove the alias ${address}?`, shell.options.yes === true);
      await shell.send({ method: "DELETE", path: `/aliases/${segment(address)}` });
      shell.print({ removed: address }, `removed alias ${address}`);
    },
  }).option("--yes", "do not ask");

  commands.leaf(alias, {
    usage: "rotate-key",
    about: "make a new key for return addresses of forwarded mail (done every 30 days anyway)",
    work: async (shell) => {
      await shell.send({ method: "POST", path: "/forwarding/rotate-key" });
      shell.print({ rotated: true }, "made a new key; older ones are good until their addresses have ended");
    },
  });
}

/** `veredus suppressed` and `veredus relay-recipient`: recipients that are no more, and those of relay domains. */
import { table, when } from "../output.ts";
import { type Commands, items, printList } from "../shell.ts";

interface Suppressed {
  readonly address: string;
  readonly since: string;
  readonly until: string;
  readonly reply: string;
}

export function recipientCommands(commands: Commands): void {
  const { program } = commands;
  const suppressed = program.command("suppressed").description(
    "recipients that are no more (queue.suppress)",
  );
  commands.leaf(suppressed, {
    usage: "list",
    about: "list them",
    work: async (shell) =>
      await printList(items<Suppressed>(shell, "/suppressed", {}), {
        json: shell.options.json === true,
        none: "everybody is written to",
        table: (rows) =>
          table(rows, [
            ["ADDRESS", (row) => row.address],
            ["SINCE", (row) => when(row.since)],
            ["UNTIL", (row) => when(row.until)],
            ["REPLY", (row) => row.reply],
          ]),
      }),
  });
  commands.leaf(suppressed, {
    usage: "remove <address>",
    about: "write to it again",
    work: async (shell, address = "") => {
      await shell.send({ method: "DELETE", path: `/suppressed?${new URLSearchParams({ address })}` });
      shell.print({ address }, `${address} is written to again`);
    },
  });

  const relay = program.command("relay-recipient").description(
    "whom relay domains take mail for (domain set NAME --relay-recipients list)",
  );
  commands.leaf(relay, {
    usage: "list",
    about: "list them",
    work: async (shell) =>
      await printList(items<{ address: string; since: string }>(shell, "/relay-recipients", {}), {
        json: shell.options.json === true,
        none: "the list is empty",
        table: (rows) =>
          table(rows, [["ADDRESS", (row) => row.address], ["SINCE", (row) => when(row.since)]]),
      }),
  });
  commands.leaf(relay, {
    usage: "add <addresses...>",
    about: "add recipients",
    work: async (shell, ...addresses) => {
      await shell.send({ method: "POST", path: "/relay-recipients", body: { addresses } });
      shell.print({ addresses }, `${addresses.length} added`);
    },
  });
  commands.leaf(relay, {
    usage: "remove <address>",
    about: "take a recipient off the list",
    work: async (shell, address = "") => {
      await shell.send({ method: "DELETE", path: `/relay-recipients?${new URLSearchParams({ address })}` });
      shell.print({ address }, `${address} is off the list`);
    },
  });
}

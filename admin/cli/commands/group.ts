/** `veredus group`: addresses whose mail goes to every member. */
import { confirm, readStdin } from "../ask.ts";
import { table } from "../output.ts";
import { type Commands, items, printList, segment, type Shell } from "../shell.ts";

const MAX_IMPORT_OCTETS = 16 * 1024 * 1024;
/** Members of one request. */
const PAGE = 1_000;

interface Group {
  readonly address: string;
  readonly displayName: string;
  readonly posting: string;
  readonly owners: readonly string[];
  readonly members: number;
}
interface Fields {
  readonly name?: string;
  readonly posting?: string;
  readonly owner?: string[];
}

export function groupCommands(commands: Commands): void {
  const group = commands.program.command("group").description("addresses whose mail goes to every member");

  commands.leaf<Fields>(group, {
    usage: "add <address>",
    about: "add a group",
    create: true,
    work: async (shell, address = "") => {
      const body = { address, ...changes(shell.options) };
      shell.print(
        await shell.send({ method: "POST", path: "/groups", body }) as Group,
        `added group ${address}`,
      );
    },
  })
    .option("--name <TEXT>", "its name in List-Id")
    .option("--posting <WHO>", "who may write to it: anyone, members (the default), owners")
    .option("--owner <ADDRESS...>", "its owners; the first gets what bounces");

  commands.leaf<{ domain?: string }>(group, {
    usage: "list",
    about: "list groups",
    work: async (shell) =>
      await printList(items<Group>(shell, "/groups", { domain: shell.options.domain }), {
        json: shell.options.json === true,
        none: "no groups; veredus group add ADDRESS adds one",
        table: (rows) =>
          table(rows, [
            ["ADDRESS", (row) => row.address],
            ["NAME", (row) => row.displayName],
            ["POSTING", (row) => row.posting],
            ["MEMBERS", (row) => row.members],
            ["OWNERS", (row) => row.owners],
          ]),
      }),
  }).option("--domain <NAME>", "of this domain only");

  commands.leaf(group, {
    usage: "show <address>",
    about: "show a group",
    work: async (shell, address = "") => shell.print(await shell.get(`/groups/${segment(address)}`) as Group),
  });

  commands.leaf<Fields>(group, {
    usage: "set <address>",
    about: "change a group",
    work: async (shell, address = "") => {
      const path = `/groups/${segment(address)}`;
      const body = changes(shell.options);
      shell.print(await shell.send({ method: "PATCH", path, body }) as Group, `changed group ${address}`);
    },
  })
    .option("--name <TEXT>", "its name in List-Id")
    .option("--posting <WHO>", "who may write to it: anyone, members, owners")
    .option("--owner <ADDRESS...>", "its owners; the first gets what bounces");

  commands.leaf(group, {
    usage: "members <address>",
    about: "list the members of a group",
    work: async (shell, address = "") =>
      await printList(items<{ address: string }>(shell, `/groups/${segment(address)}/members`), {
        json: shell.options.json === true,
        none: "no members",
        table: (rows) => rows.map((row) => row.address).join("\n"),
      }),
  });

  commands.leaf(group, {
    usage: "join <address> [members...]",
    about: "add members; without any, one a line from standard input",
    work: async (shell, address = "", ...members) => {
      const all = members.length > 0
        ? members
        : (await readStdin(MAX_IMPORT_OCTETS)).split(/\r?\n/).filter((line) => line.trim() !== "");
      await change(shell, address, { add: all });
    },
  });

  commands.leaf(group, {
    usage: "leave <address> <members...>",
    about: "remove members",
    work: async (shell, address = "", ...members) => await change(shell, address, { remove: members }),
  });

  commands.leaf<{ yes?: boolean }>(group, {
    usage: "remove <address>",
    about: "remove a group",
    work: async (shell, address = "") => {
      await confirm(`Remove the group ${address}?`, shell.options.yes === true);
      await shell.send({ method: "DELETE", path: `/groups/${segment(address)}` });
      shell.print({ removed: address }, `removed group ${address}`);
    },
  }).option("--yes", "do not ask");
}

async function change(
  shell: Shell<unknown>,
  address: string,
  { add = [], remove = [] }: { add?: readonly string[]; remove?: readonly string[] },
): Promise<void> {
  const path = `/groups/${segment(address)}/members`;
  let changed: Group | null = null;
  for (let at = 0; at < Math.max(add.length, remove.length); at += PAGE) {
    const body = { add: add.slice(at, at + PAGE), remove: remove.slice(at, at + PAGE) };
    changed = await shell.send({ method: "POST", path, body }) as Group;
  }
  if (changed !== null) shell.print(changed, `${address} has ${changed.members} members`);
}

function changes({ name, posting, owner }: Fields): object {
  return {
    ...(name !== undefined && { displayName: name }),
    ...(posting !== undefined && { posting }),
    ...(owner !== undefined && { owners: owner.filter((address) => address !== "") }),
  };
}

/** `veredus mailbox`: mailboxes of an account, and who else may do what with them. */
import { size, table } from "../output.ts";
import { type Commands, segment } from "../shell.ts";

interface Mailbox {
  readonly name: string;
  readonly messages: number;
  readonly unseen: number;
  readonly sizeOctets: number;
  readonly specialUse: string | null;
}
interface Entry {
  readonly mailbox: string;
  readonly identifier: string;
  readonly rights: string;
}
interface Granted {
  readonly owner: string;
  readonly mailbox: string;
  readonly rights: string;
}
interface Items<T> {
  readonly items: readonly T[];
}

export function mailboxCommands(commands: Commands): void {
  const mailbox = commands.program.command("mailbox").description(
    "mailboxes of an account, and who shares them",
  );

  commands.leaf(mailbox, {
    usage: "list <address>",
    about: "list the mailboxes of an account",
    work: async (shell, address = "") => {
      const { items } = await shell.get(`/accounts/${segment(address)}/mailboxes`) as Items<Mailbox>;
      const text = table(items, [
        ["NAME", (row) => row.name],
        ["MESSAGES", (row) => row.messages],
        ["UNSEEN", (row) => row.unseen],
        ["SIZE", (row) => size(row.sizeOctets)],
        ["USE", (row) => row.specialUse ?? ""],
      ]);
      shell.print(items, text);
    },
  });

  commands.leaf(mailbox, {
    usage: "add <address> <name>",
    about: 'add a mailbox, as in "Archive/2025"',
    create: true,
    work: async (shell, address = "", name = "") => {
      const path = `/accounts/${segment(address)}/mailboxes`;
      const added = await shell.send({ method: "POST", path, body: { name } }) as Mailbox;
      shell.print(added, `added mailbox ${added.name}`);
    },
  });

  commands.leaf(mailbox, {
    usage: "access <address> [name]",
    about: "list who else has rights on the mailboxes of an account, or on one of them",
    work: async (shell, address = "", name) => {
      const query = name === undefined ? "" : `?mailbox=${segment(name)}`;
      const { items } = await shell.get(`/accounts/${segment(address)}/access${query}`) as Items<Entry>;
      shell.print(items, entries(items, "nobody else has rights"));
    },
  });

  commands.leaf<{ subtree?: boolean }>(mailbox, {
    usage: "share <address> <name> <identifier> <rights>",
    about: "give rights (letters of lrswipkxtea): to an account, a group, @domain, authenticated or anyone",
    work: async (shell, address = "", name = "", identifier = "", rights = "") => {
      const body = { mailbox: name, identifier, rights, subtree: shell.options.subtree === true };
      const path = `/accounts/${segment(address)}/access`;
      const { items } = await shell.send({ method: "PUT", path, body }) as Items<Entry>;
      shell.print(items, entries(items, "nobody else has rights"));
    },
  }).option("--subtree", "also on all mailboxes below");

  commands.leaf<{ subtree?: boolean }>(mailbox, {
    usage: "unshare <address> <name> <identifier>",
    about: "take an entry off the access list of a mailbox",
    work: async (shell, address = "", name = "", identifier = "") => {
      const body = { mailbox: name, identifier, rights: "", subtree: shell.options.subtree === true };
      const path = `/accounts/${segment(address)}/access`;
      const { items } = await shell.send({ method: "PUT", path, body }) as Items<Entry>;
      shell.print(items, entries(items, "nobody else has rights"));
    },
  }).option("--subtree", "also on all mailboxes below");

  commands.leaf(mailbox, {
    usage: "granted <address>",
    about: "list the mailboxes of others on which an account has rights",
    work: async (shell, address = "") => {
      const { items } = await shell.get(`/accounts/${segment(address)}/granted`) as Items<Granted>;
      shell.print(
        items,
        items.length === 0 ? "none" : table(items, [
          ["OWNER", (row) => row.owner],
          ["MAILBOX", (row) => row.mailbox],
          ["RIGHTS", (row) => row.rights],
        ]),
      );
    },
  });
}

function entries(items: readonly Entry[], none: string): string {
  if (items.length === 0) return none;
  return table(items, [
    ["MAILBOX", (row) => row.mailbox],
    ["IDENTIFIER", (row) => row.identifier],
    ["RIGHTS", (row) => row.rights],
  ]);
}

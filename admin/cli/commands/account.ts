/** `veredus account`: mailboxes, their passwords, and who may send as whom. */
import { askPassword, confirm, readStdin, secretFromStdin } from "../ask.ts";
import { CliFailure } from "../context.ts";
import { numberOf, sizeOf } from "../numbers.ts";
import { fields, size, table, when } from "../output.ts";
import { type Commands, items, printList, segment } from "../shell.ts";

const MAX_IMPORT_OCTETS = 64 * 1024 * 1024;

interface Account {
  readonly address: string;
  readonly displayName: string;
  readonly enabled: boolean;
  readonly sendAs: readonly string[];
  readonly hasPassword: boolean;
  readonly createdAt: string;
}
interface Details extends Account {
  readonly aliases: readonly string[];
  readonly mailboxes: number;
  readonly messages: number;
  readonly sizeOctets: number;
}

interface Secret {
  readonly passwordStdin?: boolean;
  readonly hashStdin?: boolean;
  /** False after `--no-password`; true of `set --password`. */
  readonly password?: boolean;
}
interface Fields extends Secret {
  readonly quota?: string;
  readonly quotaMessages?: string;
  readonly subaddressFolder?: string;
  readonly hideCapability?: string[];
  readonly name?: string;
  readonly sendAs?: string[];
  readonly enable?: boolean;
  readonly disable?: boolean;
  readonly shared?: boolean;
}

export function accountCommands(commands: Commands): void {
  const account = commands.program.command("account").description("accounts with mailboxes here");

  commands.leaf<Fields>(account, {
    usage: "add <address>",
    about: "add an account; asks for its password",
    create: true,
    work: async (shell, address = "") => {
      const shared = shell.options.shared === true;
      const ask = shell.options.password !== false && !shared;
      const secret = await secretOf(shell.options, address, { ask });
      const body = { address, ...changes(shell.options), ...secret, ...(shared && { shared }) };
      shell.print(
        await shell.send({ method: "POST", path: "/accounts", body }) as Account,
        `added account ${address}`,
      );
    },
  })
    .option("--password-stdin", "read the password from the first line of standard input")
    .option("--hash-stdin", "read a hash to take over: $scrypt$, $argon2id$, $2a$, $2b$ or $2y$")
    .option("--no-password", "without a password: nobody can log in")
    .option("--shared", "nobody's own: it holds mailboxes for those who have rights (veredus mailbox share)")
    .option("--name <TEXT>", "name of its owner")
    .option("--quota <SIZE>", "limit, as in 5GB; 0: none, domain: as its domain says")
    .option("--quota-messages <NUMBER>", "the same in messages")
    .option("--subaddress-folder <WAY>", "user+folder goes to: inbox, existing, create, domain")
    .option("--hide-capability <NAME...>", 'IMAP capabilities not to tell its clients; "" tells all again')
    .option("--send-as <ADDRESS...>", "further addresses it may write from");

  commands.leaf(account, {
    usage: "import",
    about: "add accounts from standard input: a line each, ADDRESS SECRET (a password or a hash)",
    create: true,
    work: async (shell) => {
      const lines = (await readStdin(MAX_IMPORT_OCTETS)).split(/\r?\n/);
      let added = 0;
      for (const [at, line] of lines.entries()) {
        if (line.trim() === "") continue;
        const [, address = "", secret = ""] = /^(\S+)\s+(.+)$/.exec(line) ?? [];
        if (secret === "") {
          throw new CliFailure(`line ${at + 1}: ADDRESS SECRET is needed; ${added} were added`);
        }
        const body = { address, ...(isHash(secret) ? { passwordHash: secret } : { password: secret }) };
        try {
          await shell.send({ method: "POST", path: "/accounts", body });
        } catch (error) {
          if (!(error instanceof CliFailure)) throw error;
          throw new CliFailure(`line ${at + 1}: ${error.message}; ${added} were added`, error);
        }
        added++;
      }
      shell.print({ added }, `added ${added} accounts`);
    },
  });

  commands.leaf<{ domain?: string }>(account, {
    usage: "list",
    about: "list accounts",
    work: async (shell) =>
      await printList(items<Account>(shell, "/accounts", { domain: shell.options.domain }), {
        json: shell.options.json === true,
        none: "no accounts; veredus account add ADDRESS adds one",
        table: (rows) =>
          table(rows, [
            ["ADDRESS", (row) => row.address],
            ["NAME", (row) => row.displayName],
            ["LOGIN", (row) => row.enabled && row.hasPassword],
            ["CREATED", (row) => when(row.createdAt)],
          ]),
      }),
  }).option("--domain <NAME>", "of this domain only");

  commands.leaf(account, {
    usage: "show <address>",
    about: "show an account and what it holds",
    work: async (shell, address = "") => {
      const details = await shell.get(`/accounts/${segment(address)}`) as Details;
      const text = fields({
        ...details,
        createdAt: when(details.createdAt),
        sizeOctets: size(details.sizeOctets),
      });
      shell.print(details, text);
    },
  });

  commands.leaf<Fields>(account, {
    usage: "set <address>",
    about: "change an account; a new password ends its sessions",
    work: async (shell, address = "") => {
      const secret = await secretOf(shell.options, address, { ask: shell.options.password === true });
      const body = { ...changes(shell.options), ...secret };
      const path = `/accounts/${segment(address)}`;
      shell.print(await shell.send({ method: "PATCH", path, body }) as Account, `changed account ${address}`);
    },
  })
    .option("--password", "ask for a new password")
    .option("--password-stdin", "read the new password from the first line of standard input")
    .option("--hash-stdin", "read a hash to take over")
    .option("--no-password", "remove the password: nobody can log in")
    .option("--name <TEXT>", "name of its owner")
    .option("--quota <SIZE>", "limit, as in 5GB; 0: none, domain: as its domain says")
    .option("--quota-messages <NUMBER>", "the same in messages")
    .option("--subaddress-folder <WAY>", "user+folder goes to: inbox, existing, create, domain")
    .option("--hide-capability <NAME...>", 'IMAP capabilities not to tell its clients; "" tells all again')
    .option("--send-as <ADDRESS...>", "the addresses it may write from besides its own")
    .option("--enable", "let it log in")
    .option("--disable", "refuse its logins; mail is still taken");

  commands.leaf<{ yes?: boolean }>(account, {
    usage: "remove <address>",
    about: "remove an account with all its mail",
    work: async (shell, address = "") => {
      await confirm(`Remove ${address} with all its mail?`, shell.options.yes === true);
      await shell.send({ method: "DELETE", path: `/accounts/${segment(address)}` });
      shell.print({ removed: address }, `removed account ${address}`);
    },
  }).option("--yes", "do not ask");
}

/** Null takes the domain's. */
function limit(text: string, parse: (text: string) => number): number | null {
  return text === "domain" ? null : parse(text);
}

function changes(options: Fields): object {
  const { name, sendAs, enable, disable, quota, quotaMessages, subaddressFolder, hideCapability } = options;
  if (enable && disable) throw new CliFailure("--enable and --disable: which?", { exit: "usage" });
  return {
    ...(name !== undefined && { displayName: name }),
    ...(sendAs !== undefined && { sendAs: sendAs.filter((address) => address !== "") }),
    ...(quota !== undefined && { quotaOctets: limit(quota, sizeOf) }),
    ...(quotaMessages !== undefined && { quotaMessages: limit(quotaMessages, numberOf) }),
    ...(subaddressFolder !== undefined &&
      { subaddressFolder: subaddressFolder === "domain" ? null : subaddressFolder }),
    ...(hideCapability !== undefined &&
      { hiddenCapabilities: hideCapability.filter((name) => name !== "").map((name) => name.toUpperCase()) }),
    ...(enable && { enabled: true }),
    ...(disable && { enabled: false }),
  };
}

async function secretOf(options: Secret, address: string, { ask }: { ask: boolean }): Promise<object> {
  if (options.passwordStdin && options.hashStdin) {
    throw new CliFailure("--password-stdin and --hash-stdin: which?", { exit: "usage" });
  }
  if (options.passwordStdin) return { password: await secretFromStdin("--password-stdin") };
  if (options.hashStdin) return { passwordHash: await secretFromStdin("--hash-stdin") };
  if (options.password === false) return { passwordHash: null };
  return ask ? { password: await askPassword(address) } : {};
}

function isHash(secret: string): boolean {
  return /^\$(scrypt|argon2id|2[aby])\$/.test(secret);
}

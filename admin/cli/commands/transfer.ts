/** `veredus import` and `veredus export`: moving in and out. Imports run in the server where one runs. */
import { resolve } from "node:path";
import type { SourceRequest } from "../../../transfer/request.ts";
import { secretFromStdin } from "../ask.ts";
import { leaveRoot } from "../client.ts";
import { type CliContext, CliFailure } from "../context.ts";
import { size, table } from "../output.ts";
import { progressBar } from "../progress.ts";
import { type Commands, common, type CommonOptions, dataFolderOf, segment, type Shell } from "../shell.ts";

interface ImportState {
  readonly state: "running" | "done" | "failed";
  readonly reason: string;
  readonly folders: number;
  readonly total: number;
  readonly imported: number;
  readonly skipped: number;
  readonly octets: number;
  readonly failed: number;
  readonly failures: readonly Failure[];
}

interface Failure {
  readonly folder: string;
  readonly item: string;
  readonly reason: string;
}

interface ImportOptions {
  readonly into?: string;
  readonly keepUids?: boolean;
  readonly keepUidls?: boolean;
  readonly parallel?: string;
}

interface ImapOptions extends ImportOptions {
  readonly user: string;
  readonly passwordStdin?: boolean;
  readonly port?: string;
  readonly starttls?: boolean;
  readonly clear?: boolean;
}

const LOOK_MS = 200;

export function transferCommands(commands: Commands): void {
  const { program, context } = commands;
  const parent = program.command("import").description(
    "bring mail into an account; again: bring what is new",
  );

  const imap = commands.leaf<ImapOptions>(parent, {
    usage: "imap <account> <host>",
    about: "from an account of another server, by IMAP",
    work: async (shell, account, host) => {
      const { user, passwordStdin, port, starttls, clear } = shell.options;
      if (!passwordStdin) throw new CliFailure("the password comes by --password-stdin", { exit: "usage" });
      if (starttls && clear) throw new CliFailure("--starttls and --clear: which?", { exit: "usage" });
      const tls = starttls ? "starttls" : clear ? "none" : "implicit";
      const password = await secretFromStdin("--password-stdin");
      const fallback = tls === "implicit" ? 993 : 143;
      await runImport(shell, account!, {
        kind: "imap",
        host: host!,
        port: port === undefined ? fallback : Number(port),
        tls,
        user,
        password,
      });
    },
  });
  imap.requiredOption("--user <NAME>", "login there")
    .option("--password-stdin", "read the password from the first line of standard input")
    .option("--port <N>", "993, or 143 without TLS from the start")
    .option("--starttls", "TLS by STARTTLS").option("--clear", "no TLS: the password can be read on the way");
  wishes(imap);

  for (
    const [kind, about] of [
      ["maildir", "from a Maildir with its folders"],
      ["mbox", "from an mbox file, or a folder of them"],
      ["zip", "from a zip of .eml files"],
    ] as const
  ) {
    wishes(commands.leaf<ImportOptions>(parent, {
      usage: `${kind} <account> <path>`,
      about,
      work: (shell, account, path) => runImport(shell, account!, { kind, path: resolve(path!) }),
    }));
  }

  const out = common(program.command("export <account>"))
    .description("write the mail of an account as Maildir or mbox; a server may run")
    .requiredOption("--to <DIR>", "where to; must be empty or not there")
    .option("--form <FORM>", "maildir or mbox", "maildir")
    .action(async () => await runExport(out.args[0]!, out.opts(), context));
}

function wishes(command: ReturnType<Commands["leaf"]>): void {
  command.option("--into <MAILBOX>", "mailbox above all that is brought")
    .option("--keep-uids", "keep IMAP UIDs and UIDVALIDITY, in mailboxes that never had a message")
    .option("--keep-uidls", "keep the ids that POP3 clients know messages by")
    .option("--parallel <N>", "folders at the same time (4)");
}

async function runImport(shell: Shell<ImportOptions>, account: string, source: SourceRequest): Promise<void> {
  const { into, keepUids, keepUidls, parallel } = shell.options;
  const path = `/accounts/${segment(account)}/import`;
  const body = {
    source,
    ...(into !== undefined && { into }),
    ...(keepUids && { keepUids }),
    ...(keepUidls && { keepUidls }),
    ...(parallel !== undefined && { parallel: Number(parallel) }),
  };
  let state = await shell.send({ method: "POST", path, body }) as ImportState;
  const bar = await progressBar("import");
  try {
    while (state.state === "running") {
      const done = state.imported + state.skipped + state.failed;
      bar.update({ done, total: Math.max(done, state.total) });
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
      state = await shell.get(path) as ImportState;
    }
  } finally {
    bar.stop();
  }
  const words = `${state.imported} messages (${size(state.octets)}) of ${state.folders} folders brought, ` +
    `${state.skipped} were here, ${state.failed} failed`;
  shell.print(state, words + failuresOf(state.failures));
  if (state.state === "failed") throw new CliFailure(`import: ${state.reason}; run it again to go on`);
  if (state.failed > 0) {
    throw new CliFailure(`${state.failed} messages or folders were not brought`, { exit: "found" });
  }
}

async function runExport(
  address: string,
  options: CommonOptions & { to: string; form: string },
  context: CliContext,
): Promise<void> {
  const { form } = options;
  if (form !== "maildir" && form !== "mbox") {
    throw new CliFailure("--form is maildir or mbox", { exit: "usage" });
  }
  const folder = await dataFolderOf(options, context);
  await leaveRoot(folder, context);
  const [{ openReadOnlyStore }, { exportMail }] = await Promise.all([
    import("../../../storage/open_store.ts"),
    import("../../../transfer/export.ts"),
  ]);
  const store = openReadOnlyStore(folder);
  const bar = await progressBar("export");
  try {
    const account = store.directory.account(address.toLowerCase());
    if (account === null) throw new CliFailure(`there is no account ${address}`);
    const to = resolve(options.to);
    const progress = (progress: { done: number; total: number }) => bar.update(progress);
    const report = await exportMail({ store, accountId: account.id, form, to, progress });
    bar.stop();
    const words = `${report.messages} messages (${
      size(report.octets)
    }) in ${report.folders} folders of ${to}`;
    console.log(options.json ? JSON.stringify(report) : words + failuresOf(report.failures));
    if (report.failures.length > 0) {
      throw new CliFailure(`${report.failures.length} messages could not be read`, { exit: "found" });
    }
  } catch (error) {
    if (error instanceof CliFailure || !(error instanceof Error)) throw error;
    throw new CliFailure(`export: ${error.message}`);
  } finally {
    bar.stop();
    await store.close();
  }
}

function failuresOf(failures: readonly Failure[]): string {
  if (failures.length === 0) return "";
  return "\n\n" + table(failures, [
    ["FOLDER", (failure) => failure.folder],
    ["MESSAGE", (failure) => failure.item],
    ["REASON", (failure) => failure.reason],
  ]);
}

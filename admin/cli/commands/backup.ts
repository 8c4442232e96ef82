/**
 * `veredus backup` and `veredus restore`: the data as a whole, copied and put back in this process.
 *
 * `backup` runs beside a server or without one. `restore` needs the folder for itself.
 */
import { Option } from "commander";
import { dirname, resolve } from "node:path";
import { type DataFolder, giveFolder } from "../../../storage/data_folder.ts";
import type { RestoreReport } from "../../../storage/backup/restore.ts";
import { leaveRoot } from "../client.ts";
import { type CliContext, CliFailure } from "../context.ts";
import { numberOf } from "../numbers.ts";
import { size } from "../output.ts";
import { type ProgressBar, progressBar } from "../progress.ts";
import { claimTemporary, type Commands, common, type CommonOptions, dataFolderOf, dataOf } from "../shell.ts";

export function backupCommands({ program, context }: Commands): void {
  const backup = common(program.command("backup <folder>"))
    .description("copy the data, of a server that runs or not, into an empty folder")
    .addOption(new Option("--progress", "print how far it is, a line of JSON each time").hideHelp())
    .action(async () => await backupData(backup.args[0]!, backup.opts(), context));
  const restore = common(program.command("restore [folder]"))
    .description(
      "put a copy back into an empty data folder; clients load their mailboxes anew, the queue is held",
    )
    .option("--in-place", "a copy that was put into the data folder by other means")
    .option("--above <N>", "UIDVALIDITYs up to this were used since the copy was made")
    .action(async () => await restoreData(restore.args[0] ?? null, restore.opts(), context));
}

interface BackupOptions extends CommonOptions {
  /** For the server that has asked for it (admin/backups.ts). */
  readonly progress?: boolean;
}

async function backupData(to: string, options: BackupOptions, context: CliContext): Promise<void> {
  const folder = await dataFolderOf(options, context);
  const { uid, gid } = Deno.statSync(folder.path);
  giveTo(to, { uid, gid });
  await leaveRoot(folder, context);
  const { backup } = await import("../../../storage/backup/backup.ts");
  const report = await working("backup", (bar, signal) =>
    backup({
      ...{ folder, to, version: context.version, clock: Date.now, signal },
      progress: (progress) => {
        if (progress.total > 0) bar.update(progress);
        if (options.progress) console.log(JSON.stringify(progress));
      },
    }));
  const { files, octets, seconds, missing } = report;
  console.log(
    options.json
      ? JSON.stringify(report)
      : `${size(octets)} in ${files} files of ${resolve(to)}, ${seconds.toFixed(1)} s`,
  );
  if (missing.length > 0) {
    throw new CliFailure(
      `the copy is whole but for segments that were lost before: ${
        missing.join(", ")
      }; veredus verify says whose`,
      { exit: "found" },
    );
  }
}

interface RestoreOptions extends CommonOptions {
  readonly inPlace?: boolean;
  readonly above?: string;
}

async function restoreData(from: string | null, options: RestoreOptions, context: CliContext): Promise<void> {
  if ((from === null) !== (options.inPlace === true)) {
    throw new CliFailure("which? the folder of a copy, or --in-place", { exit: "usage" });
  }
  const above = options.above === undefined ? 0 : numberOf(options.above);
  const { DataFolder, exists } = await import("../../../storage/data_folder.ts");
  const folder = new DataFolder(await dataOf(options, context));
  if (from !== null) giveTo(folder.path, ownerOf(from));
  if (exists(folder.path)) await leaveRoot(folder, context);
  claimTemporary(folder);
  const { restore, restoreInPlace } = await import("../../../storage/backup/restore.ts");
  const report = await working("restore", (bar, signal) => {
    const how = { folder, clock: Date.now, above, signal, progress: bar.update.bind(bar) };
    return from === null ? restoreInPlace(how) : restore(resolve(from), how);
  });
  console.log(options.json ? JSON.stringify(report) : words(folder, report));
}

function words(folder: DataFolder, report: RestoreReport): string {
  const { files, octets, copiedAt, mailboxes, uidValidity, held, unnoted } = report;
  const lines = [
    copiedAt === null
      ? `${folder.path} is the data now`
      : `${size(octets)} in ${files} files of ${copiedAt} are the data in ${folder.path}`,
    `${mailboxes} mailboxes have UIDVALIDITY ${uidValidity}: clients load them anew`,
  ];
  if (held > 0) {
    lines.push(
      `${held} recipients in the queue are held, because they may have been served since the copy was made: ` +
        "`veredus queue list` shows them, `veredus queue release` and `remove` decide",
    );
  }
  if (unnoted !== null) {
    lines.push(
      `the copy could not note that it was put back (${unnoted}): the next time give --above, ` +
        "the largest UIDVALIDITY then in use",
    );
  }
  return lines.join("\n");
}

/** With a bar, and an end by Ctrl-C that removes what is half done. */
async function working<R>(
  what: string,
  work: (bar: ProgressBar, signal: AbortSignal) => Promise<R>,
): Promise<R> {
  const stop = new AbortController();
  const abort = () => stop.abort(new CliFailure(`${what} was stopped`));
  Deno.addSignalListener("SIGINT", abort);
  Deno.addSignalListener("SIGTERM", abort);
  const bar = await progressBar(what);
  try {
    return await work(bar, stop.signal);
  } finally {
    bar.stop();
    Deno.removeSignalListener("SIGINT", abort);
    Deno.removeSignalListener("SIGTERM", abort);
  }
}

interface Owner {
  readonly uid: number | null;
  readonly gid: number | null;
}

function ownerOf(path: string): Owner {
  try {
    return Deno.statSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) throw new CliFailure(`${path} is not there`);
    throw error;
  }
}

/** A folder that root asks for and that is not there is made for the owner of the data, under whom the work is done. */
function giveTo(path: string, { uid, gid }: Owner): void {
  if (Deno.uid() !== 0 || uid === 0 || uid === null || gid === null) return;
  try {
    Deno.mkdirSync(dirname(resolve(path)), { recursive: true });
    Deno.mkdirSync(path, { mode: 0o700 });
    giveFolder(path, { uid, gid });
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  }
}

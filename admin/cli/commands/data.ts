/**
 * Commands that look at the data themselves: `verify` and `salvage`.
 *
 * `verify` reads beside a running server, in a process of its own so that no mail waits for it; `--fix` and `salvage`
 * want no server. Both end with {@linkcode EXIT.found} when something is wrong.
 */
import { resolve } from "node:path";
import { FactsBuilder } from "../../../message/facts.ts";
import { EXIT } from "../../../server/exit_codes.ts";
import { DataFolder, recoverSegments } from "../../../storage/data_folder.ts";
import { DataFolderLocked, DataLock } from "../../../storage/lock.ts";
import { salvage, type SalvageReport } from "../../../storage/salvage.ts";
import { verify, type VerifyReport } from "../../../storage/verify.ts";
import { checkFolder, leaveRoot } from "../client.ts";
import { CliFailure } from "../context.ts";
import { size } from "../output.ts";
import { type Commands, common, type CommonOptions, dataOf } from "../shell.ts";

export function dataCommands({ program, context }: Commands): void {
  const check = program.command("verify").description("check the database against the messages");
  common(check).option("--fix", "mend what can be derived again (no server may run)").action(async () => {
    const options = check.opts<CommonOptions & { fix?: boolean }>();
    const folder = new DataFolder(await dataOf(options, context));
    checkFolder(folder, { data: folder.path, create: false });
    await leaveRoot(folder, context);
    const progress = await startProgress(options.json === true);
    const run = () =>
      verify({
        folder,
        fix: options.fix === true,
        newFacts: () => new FactsBuilder(),
        progress: progress.show,
      });
    const fix = () => {
      recoverSegments(folder);
      return run();
    };
    const report = await (options.fix ? locked(folder, fix) : run()).finally(progress.stop);
    console.log(options.json ? JSON.stringify(report) : verifyWords(report));
    if (report.problems.some(({ fixed }) => !fixed)) Deno.exit(EXIT.found);
  });

  const save = program.command("salvage")
    .description(
      "write every intact message as Maildir, even when the database is missing (no server may run)",
    );
  common(save).requiredOption("--to <DIR>", "folder to write to; it must be empty or missing").action(
    async () => {
      const options = save.opts<CommonOptions & { to: string }>();
      const folder = new DataFolder(await dataOf(options, context));
      if (!isFolder(folder.segments)) {
        throw new CliFailure(`there is no folder ${folder.segments} with messages`, { exit: "unavailable" });
      }
      const progress = await startProgress(options.json === true);
      const run = () => salvage({ folder, to: resolve(options.to), progress: progress.show });
      const report = await locked(folder, run).finally(progress.stop);
      console.log(options.json ? JSON.stringify(report) : salvageWords(report));
      if (report.skipped.length > 0) Deno.exit(EXIT.found);
    },
  );
}

function isFolder(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Runs `work` as the only one on the data. */
async function locked<T>(folder: DataFolder, work: () => Promise<T>): Promise<T> {
  let lock: DataLock;
  try {
    lock = DataLock.take(folder.lock, "a veredus command");
  } catch (error) {
    if (!(error instanceof DataFolderLocked)) throw error;
    throw new CliFailure(`${error.message}: stop it first`, { exit: "unavailable" });
  }
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    throw new CliFailure(error.message);
  } finally {
    lock.release();
  }
}

/** A bar on a terminal, nothing elsewhere. */
async function startProgress(
  quiet: boolean,
): Promise<{ show: (progress: { done: number; total: number }) => void; stop: () => void }> {
  if (quiet || !Deno.stderr.isTerminal()) return { show: () => {}, stop: () => {} };
  const { SingleBar } = (await import("cli-progress")).default;
  const bar = new SingleBar({ format: "{bar} {percentage} %, {eta} s left", hideCursor: true });
  bar.start(1, 0);
  return {
    show: ({ done, total }) => {
      bar.setTotal(Math.max(1, total));
      bar.update(total === 0 ? 1 : done);
    },
    stop: () => bar.stop(),
  };
}

function verifyWords({ checked, problems, cut }: VerifyReport): string {
  const lines = problems.map(({ kind, subject, detail, fixed }) =>
    `${fixed ? "mended" : "WRONG"}  ${kind}: ${subject}: ${detail}`
  );
  if (cut) lines.push("...and more");
  lines.push(`looked at ${Object.entries(checked).map(([noun, count]) => `${count} ${noun}`).join(", ")}`);
  const wrong = problems.filter(({ fixed }) => !fixed).length;
  lines.push(wrong === 0 ? "nothing is wrong" : `${wrong} problems`);
  return lines.join("\n");
}

function salvageWords({ written, octets, folders, skipped, withoutDatabase }: SalvageReport): string {
  const lines = skipped.map(({ segment, offset, octets, reason }) =>
    `skipped  segment ${segment} at ${offset}: ${octets} octets: ${reason}`
  );
  if (withoutDatabase !== null) lines.push(`the database cannot be used: ${withoutDatabase}`);
  lines.push(`${written} messages (${size(octets)}) in ${folders} folders; ${skipped.length} skipped`);
  return lines.join("\n");
}

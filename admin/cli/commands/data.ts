/**
 * `veredus verify` and `veredus salvage`: the data itself, read in this process.
 *
 * `verify` may run beside a server, so that no mail waits for it; `verify --fix` and `salvage` need the data for
 * themselves and take the lock.
 */
import { resolve } from "node:path";
import type { DataFolder } from "../../../storage/data_folder.ts";
import { leaveRoot } from "../client.ts";
import { type CliContext, CliFailure } from "../context.ts";
import { fields, size, table } from "../output.ts";
import { progressBar } from "../progress.ts";
import { type Commands, common, type CommonOptions, dataFolderOf } from "../shell.ts";

/** Lines shown of a long list; `--json` has them all. */
const MAX_SHOWN = 100;

export function dataCommands({ program, context }: Commands): void {
  const verify = common(program.command("verify"))
    .description("check the database against itself and against the blobs")
    .option("--fix", "mend what can be derived again; the server must be stopped")
    .action(async () => await verifyData(verify.opts(), context));
  const salvage = common(program.command("salvage"))
    .description("write every intact message as Maildir, even without the database")
    .requiredOption("--to <DIR>", "where to; must be empty or not there")
    .action(async () => await salvageData(salvage.opts(), context));
}

async function verifyData(options: CommonOptions & { fix?: boolean }, context: CliContext): Promise<void> {
  const fix = options.fix === true;
  const folder = await dataFolderOf(options, context);
  const [{ verify }, { recoverSegments }, { FactsBuilder }] = await Promise.all([
    import("../../../storage/verify.ts"),
    import("../../../storage/data_folder.ts"),
    import("../../../message/facts.ts"),
  ]);
  await leaveRoot(folder, context);
  if (fix) folder.checkUsable(); // it would change a copy, which then is not what its manifest says
  const lock = fix ? await lockOf(folder, "verify --fix") : null;
  const bar = await progressBar("verify");
  try {
    if (fix) recoverSegments(folder);
    const report = await verify({
      folder,
      fix,
      newFacts: () => new FactsBuilder(),
      progress: (progress) => bar.update(progress),
    });
    bar.stop();
    const { problems, checked, cut } = report;
    const left = problems.filter(({ fixed }) => !fixed).length;
    if (options.json) console.log(JSON.stringify({ ok: left === 0 && !cut, ...report }));
    else {
      console.log(fields(checked));
      if (problems.length > 0) {
        const shown = table(problems.slice(0, MAX_SHOWN), [
          ["PROBLEM", (problem) => problem.kind],
          ["AT", (problem) => problem.subject],
          ["DETAIL", (problem) => problem.detail],
          ["FIXED", (problem) => problem.fixed],
        ]);
        console.log(`\n${shown}${more(problems.length)}`);
      }
      const mendable = !fix && left > 0 ? "; veredus verify --fix mends what can be derived again" : "";
      console.log(
        `\n${problems.length}${cut ? "+" : ""} problems, ${problems.length - left} fixed${mendable}`,
      );
    }
    if (left > 0 || cut) {
      throw new CliFailure(`${left}${cut ? "+" : ""} problems are left`, { exit: "found" });
    }
  } finally {
    bar.stop();
    lock?.release();
  }
}

async function salvageData(options: CommonOptions & { to: string }, context: CliContext): Promise<void> {
  const folder = await dataFolderOf(options, context);
  const { salvage } = await import("../../../storage/salvage.ts");
  const lock = await lockOf(folder, "salvage");
  const bar = await progressBar("salvage");
  const to = resolve(options.to);
  try {
    const report = await salvage({ folder, to, progress: (progress) => bar.update(progress) });
    bar.stop();
    const { written, octets, folders, skipped, withoutDatabase } = report;
    if (options.json) console.log(JSON.stringify(report));
    else {
      console.log(`${written} messages (${size(octets)}) in ${folders} folders of ${to}`);
      if (withoutDatabase !== null) console.log(`without the database: ${withoutDatabase}`);
      if (skipped.length > 0) {
        const shown = table(skipped.slice(0, MAX_SHOWN), [
          ["SEGMENT", (record) => record.segment],
          ["OFFSET", (record) => record.offset],
          ["OCTETS", (record) => record.octets],
          ["SKIPPED BECAUSE", (record) => record.reason],
        ]);
        console.log(`\n${shown}${more(skipped.length)}`);
      }
    }
    if (skipped.length > 0) throw new CliFailure(`${skipped.length} places were skipped`, { exit: "found" });
  } catch (error) {
    if (error instanceof CliFailure || !(error instanceof Error)) throw error;
    throw new CliFailure(`salvage to ${to}: ${error.message}`);
  } finally {
    bar.stop();
    lock?.release();
  }
}

function more(count: number): string {
  return count > MAX_SHOWN ? `\n... and ${count - MAX_SHOWN} more; --json shows all` : "";
}

/** Null on a medium that cannot be written to: nobody can serve it either. */
async function lockOf(folder: DataFolder, what: string): Promise<{ release(): void } | null> {
  const { DataFolderLocked, DataLock } = await import("../../../storage/lock.ts");
  try {
    return DataLock.take(folder.lock, `veredus ${what}`);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EROFS") return null;
    if (!(error instanceof DataFolderLocked)) throw error;
    throw new CliFailure(`${error.message}: ${what} needs the data for itself, stop the server first`, {
      exit: "unavailable",
    });
  }
}

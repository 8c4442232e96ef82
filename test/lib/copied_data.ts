/** Copies of a data folder and what is put back from them, for tests. */
import { createHash } from "node:crypto";
import { FactsBuilder } from "../../message/facts.ts";
import { backup, type BackupOptions, type BackupReport } from "../../storage/backup/backup.ts";
import {
  restore,
  restoreInPlace,
  type RestoreOptions,
  type RestoreReport,
} from "../../storage/backup/restore.ts";
import { DataFolder } from "../../storage/data_folder.ts";
import { verify, type VerifyProblem } from "../../storage/verify.ts";

const QUIET = { progress: () => {}, clock: () => Date.now() };

export async function copyData(
  folder: DataFolder,
  to: string,
  options: Partial<BackupOptions> = {},
): Promise<BackupReport> {
  const signal = new AbortController().signal;
  return await backup({ folder, to, version: "1.2.3", signal, ...QUIET, ...options });
}

export async function putBack(
  from: string,
  to: string,
  options: Partial<RestoreOptions> = {},
): Promise<RestoreReport> {
  const signal = new AbortController().signal;
  return await restore(from, { folder: new DataFolder(to), above: 0, signal, ...QUIET, ...options });
}

export async function makeData(path: string, options: Partial<RestoreOptions> = {}): Promise<RestoreReport> {
  const signal = new AbortController().signal;
  return await restoreInPlace({ folder: new DataFolder(path), above: 0, signal, ...QUIET, ...options });
}

export async function problemsOf(path: string): Promise<readonly VerifyProblem[]> {
  const options = { folder: new DataFolder(path), fix: false, newFacts: () => new FactsBuilder() };
  return (await verify({ ...options, progress: () => {} })).problems;
}

/** Work in a folder that is removed at the end. */
export async function inFolder(work: (path: string) => Promise<void>): Promise<void> {
  const path = Deno.makeTempDirSync({ prefix: "veredus-copy-" });
  try {
    await work(path);
  } finally {
    Deno.removeSync(path, { recursive: true });
  }
}

/** SHA-256 of every file, by its path. */
export function sumsOf(root: string, below = ""): Record<string, string> {
  const sums: Record<string, string> = {};
  for (const { name, isDirectory, isFile } of Deno.readDirSync(`${root}/${below}`)) {
    const path = below === "" ? name : `${below}/${name}`;
    if (isDirectory) Object.assign(sums, sumsOf(root, path));
    else if (isFile) {
      sums[path] = createHash("sha256").update(Deno.readFileSync(`${root}/${path}`)).digest("hex");
    }
  }
  return sums;
}

export function copySync(from: string, to: string): void {
  Deno.mkdirSync(to, { recursive: true });
  for (const { name, isDirectory, isFile } of Deno.readDirSync(from)) {
    if (isDirectory) copySync(`${from}/${name}`, `${to}/${name}`);
    else if (isFile) Deno.copyFileSync(`${from}/${name}`, `${to}/${name}`);
  }
}

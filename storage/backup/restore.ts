/**
 * Puts a copy back: into an empty data folder, or makes the data of a copy that was put there by hand.
 *
 * Everything is checked against the manifest while it is copied. From the first octet to the last step
 * {@linkcode DataFolder.restoring} is there, and no server starts on the folder: a restore that was cut off is begun again by
 * the same command. What must not be given twice is made anew at the end (renew.ts). A copy that is made the data in place is
 * checked before that, and not again: its database is another then. The copy notes which UIDVALIDITY was given, so that putting it
 * back once more gives a larger one.
 */
import { dirname, join } from "node:path";
import { DataFolder, exists, makeFolder, sizeOrNull, syncNames } from "../data_folder.ts";
import { openWriterConnection } from "../database.ts";
import { DataFolderLocked, DataLock } from "../lock.ts";
import { migrate } from "../migrate.ts";
import { MIGRATIONS } from "../migrations/mod.ts";
import { BackupError, diskFault } from "./fault.ts";
import { FileCopier, liesIn, namesIn, syncFolders } from "./file_copy.ts";
import { filesOf, type ManifestFacts, type ManifestFile, readManifest } from "./manifest.ts";
import { chooseUidValidity, renew, type Renewed } from "./renew.ts";

export interface RestoreOptions {
  readonly folder: DataFolder;
  readonly clock: () => number;
  /** UIDVALIDITYs up to this are known to have been used; 0: none. */
  readonly above: number;
  /** Octets. */
  readonly progress: (progress: { readonly done: number; readonly total: number }) => void;
  readonly signal: AbortSignal;
}

export interface RestoreReport extends Renewed {
  /** RFC 3339; null where that is not known. */
  readonly copiedAt: string | null;
  readonly files: number;
  readonly octets: number;
  /** Why the copy could not note it; null: it did, or there is none. */
  readonly unnoted: string | null;
}

/** In a copy: the largest UIDVALIDITY that mailboxes got when it was put back. */
const NOTE = "restored.json";
/** What a folder may have before data is put into it. */
const LET_BE = new Set(["lock", "restoring"]);

/** Copies from the folder `from`. Rejects with {@linkcode BackupError} and trouble of the disk. */
export async function restore(from: string, options: RestoreOptions): Promise<RestoreReport> {
  const { folder } = options;
  const manifest = new DataFolder(from).manifest;
  const { createdAt, files, octets } = await knownManifest(manifest);
  const above = Math.max(options.above, notedIn(from));
  if (liesIn(from, folder.path)) {
    throw new BackupError(
      `${from} lies in ${folder.path}: move it elsewhere, or name another folder with --data`,
    );
  }
  if (!isFree(folder)) {
    throw new BackupError(
      `${folder.path} is not empty: move it away or name another folder with --data; ` +
        "what was copied into it by hand is made the data by `veredus restore --in-place`",
    );
  }
  makeFolder(folder.path);
  const lock = lockOf(folder);
  try {
    markBegin(folder);
    await each(manifest, { ...options, root: from, total: octets, to: folder.path });
    const copiedAt = Date.parse(createdAt);
    const renewed = makeNew(folder, { ...options, above, copiedAt, noteIn: from });
    Deno.removeSync(folder.restoring);
    syncFolders([folder.path]);
    folder.create();
    return { ...renewed, files, octets, copiedAt: createdAt };
  } catch (error) {
    throw diskFault(error, folder.path);
  } finally {
    lock.release();
  }
}

/** Makes the data of what lies there: a copy with its manifest, or one made by other means. Rejects as {@linkcode restore}. */
export async function restoreInPlace(options: RestoreOptions): Promise<RestoreReport> {
  const { folder } = options;
  if (!exists(folder.database)) {
    throw new BackupError(`${folder.path} holds no data: veredus.db is not there`);
  }
  if (sizeOrNull(folder.restoring) === 0) {
    throw new BackupError(`${folder.path} holds half a restore: run \`veredus restore DIR\` again`);
  }
  const lock = lockOf(folder);
  try {
    const copy = await wholeCopy(options);
    removeIfThere(folder.indexes); // of UIDs that denote other messages
    const renewed = makeNew(folder, {
      ...options,
      above: Math.max(options.above, notedIn(folder.path)),
      copiedAt: copy === null ? null : Date.parse(copy.createdAt),
      noteIn: null,
    });
    removeIfThere(`${folder.path}/${NOTE}`);
    removeIfThere(folder.restoring);
    syncFolders([folder.path]);
    folder.create();
    const { createdAt: copiedAt = null, files = 0, octets = 0 } = copy ?? {};
    return { ...renewed, files, octets, copiedAt };
  } catch (error) {
    throw diskFault(error, folder.path);
  } finally {
    lock.release();
  }
}

/** The copy that lies in the folder itself, found whole now or by an earlier try; null where it has no manifest. */
async function wholeCopy(options: RestoreOptions): Promise<ManifestFacts | null> {
  const { folder } = options;
  if (exists(folder.manifest)) {
    const { octets: total } = await knownManifest(folder.manifest);
    await each(folder.manifest, { ...options, root: folder.path, total, to: null });
    Deno.renameSync(folder.manifest, folder.restoring);
    syncFolders([folder.path]);
  }
  return exists(folder.restoring) ? await knownManifest(folder.restoring) : null;
}

async function knownManifest(path: string): Promise<ManifestFacts> {
  const head = await readManifest(path);
  if (head.schema <= MIGRATIONS.length) return head;
  throw new BackupError(
    `${path}: the copy has schema ${head.schema}, this Veredus knows ${MIGRATIONS.length}: ` +
      `use version ${head.version} or a newer one`,
  );
}

/** Nothing is there, or half a restore from elsewhere. */
function isFree(folder: DataFolder): boolean {
  const restoring = sizeOrNull(folder.restoring);
  if (restoring !== null) return restoring === 0;
  return (namesIn(folder.path) ?? []).every((name) => LET_BE.has(name));
}

function lockOf(folder: DataFolder): DataLock {
  try {
    return DataLock.take(folder.lock, "veredus restore");
  } catch (error) {
    if (!(error instanceof DataFolderLocked)) throw error;
    throw new BackupError(`${error.message}: stop the server first`);
  }
}

/** From here on no server starts on the folder; what an earlier try left in it goes. */
function markBegin(folder: DataFolder): void {
  using mark = Deno.openSync(folder.restoring, { write: true, create: true, mode: 0o600 });
  mark.syncSync();
  syncFolders([folder.path]);
  syncNames(dirname(folder.path));
  for (const name of namesIn(folder.path) ?? []) {
    if (!LET_BE.has(name)) Deno.removeSync(`${folder.path}/${name}`, { recursive: true });
  }
}

/** Checks every file of a manifest, and copies it when there is a place for it; durable with their names. */
async function each(
  manifest: string,
  { root, to, total, progress, signal }: RestoreOptions & {
    readonly root: string;
    readonly to: string | null;
    readonly total: number;
  },
): Promise<void> {
  let done = 0;
  const copier = new FileCopier({ signal, moved: (moved) => progress({ done: done += moved, total }) });
  const folders = new Set<string>();
  try {
    for await (const file of filesOf(manifest)) {
      using source = opened(root, file);
      const path = to === null ? null : join(to, file.path);
      const span = { octets: file.octets };
      const sum = path === null ? await copier.sum(source, span) : await copier.copy(source, path, span);
      if (sum !== file.sha256) {
        throw new BackupError(`${join(root, file.path)} is damaged: its SHA-256 is another`);
      }
      if (to === null || path === null) continue;
      for (let folder = dirname(path); folder.length >= to.length; folder = dirname(folder)) {
        folders.add(folder);
      }
    }
  } finally {
    await copier.settled();
  }
  await copier.synced();
  syncFolders(folders);
}

/** Its size is what was written. */
function opened(root: string, { path, octets }: ManifestFile): Deno.FsFile {
  const full = join(root, path);
  let file: Deno.FsFile;
  try {
    file = Deno.openSync(full);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) throw new BackupError(`${full} is missing in the copy`);
    throw error;
  }
  const { size } = file.statSync();
  if (size === octets) return file;
  file.close();
  throw new BackupError(`${full} is damaged: it has ${size} octets, ${octets} were written`);
}

function makeNew(
  folder: DataFolder,
  options: {
    readonly clock: () => number;
    readonly above: number;
    readonly copiedAt: number | null;
    /** The copy that is told of it first; null: there is none beside the data. */
    readonly noteIn: string | null;
  },
): Renewed & { unnoted: string | null } {
  const { above, copiedAt, noteIn } = options;
  const now = options.clock();
  const connection = openWriterConnection(folder.database);
  try {
    migrate(connection);
    const uidValidity = chooseUidValidity(connection, { now, copiedAt, above });
    const unnoted = noteIn === null ? null : noted(noteIn, uidValidity);
    const renewed = renew(connection, { now, copiedAt, uidValidity });
    connection.prepare("PRAGMA wal_checkpoint(TRUNCATE)").raw().all();
    return { ...renewed, unnoted };
  } finally {
    connection.close();
  }
}

/** Zero where the copy was never put back. */
function notedIn(copy: string): number {
  try {
    const { uidValidity } = JSON.parse(Deno.readTextFileSync(`${copy}/${NOTE}`)) as { uidValidity: unknown };
    return Number.isSafeInteger(uidValidity) ? uidValidity as number : 0;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw new BackupError(
      `${copy}/${NOTE} cannot be read: ${error instanceof Error ? error.message : error}`,
    );
  }
}

/** Null when it is noted, durably; else why not: a copy may lie on a medium that cannot be written to. */
function noted(copy: string, uidValidity: number): string | null {
  try {
    const path = `${copy}/${NOTE}`;
    {
      using file = Deno.openSync(`${path}.new`, { write: true, create: true, truncate: true, mode: 0o600 });
      file.writeSync(new TextEncoder().encode(JSON.stringify({ uidValidity })));
      file.syncSync();
    }
    Deno.renameSync(`${path}.new`, path);
    syncFolders([copy]);
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function removeIfThere(path: string): void {
  try {
    Deno.removeSync(path, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

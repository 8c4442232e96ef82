/**
 * The data folder: where each file lies, and what is mended when it is opened.
 *
 *     veredus.db (-wal, -shm)   the database        segments/   message octets      lock      who runs
 *     reserve                   space for removals  tls/        certificates        run/      control socket
 *     tmp/                      TMPDIR of the process   search/     full-text indexes, which can be made anew
 *     backup.lock               who copies it           backup.json when it was last copied
 *     manifest.jsonl            it is a copy            restoring   it is being put back
 */
import { getLogger } from "@logtape/logtape";
import { closeSync, constants, fchownSync, openSync, statfsSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { DENO_FILES, type Files } from "./files.ts";
import {
  FILE_HEADER_OCTETS,
  fileHeader,
  readAt,
  RECORD_HEADER_OCTETS,
  recordOctets,
  scanSegment,
  sealedLength,
  segmentName,
  segmentNumber,
} from "./segment.ts";

const RESERVE_OCTETS = 8 * 1024 * 1024;
const log = getLogger(["veredus", "storage"]);

/** A folder that must not be worked on as it is; the message says what to do. */
export class DataFolderUnusable extends Error {
  override readonly name = "DataFolderUnusable";
}

export class DataFolder {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  get database(): string {
    return `${this.path}/veredus.db`;
  }

  get segments(): string {
    return `${this.path}/segments`;
  }

  get lock(): string {
    return `${this.path}/lock`;
  }

  /** What happened to each message (trace_log.ts). */
  get trace(): string {
    return `${this.path}/trace`;
  }

  get reserve(): string {
    return `${this.path}/reserve`;
  }

  get tls(): string {
    return `${this.path}/tls`;
  }

  /** Folder of the control socket; only its owner may enter. */
  get run(): string {
    return `${this.path}/run`;
  }

  get controlSocket(): string {
    return `${this.run}/control.sock`;
  }

  /** Full-text indexes (search/index_folder.ts); nothing is lost with them. */
  get indexes(): string {
    return `${this.path}/search`;
  }

  get tmp(): string {
    return `${this.path}/tmp`;
  }

  /** Held while a copy is made: compaction removes nothing. */
  get backupLock(): string {
    return `${this.path}/backup.lock`;
  }

  /** What was last copied, and when (backup/backup.ts). */
  get backupNote(): string {
    return `${this.path}/backup.json`;
  }

  /** There in a copy and nowhere else (backup/manifest.ts). */
  get manifest(): string {
    return `${this.path}/manifest.jsonl`;
  }

  /**
   * There from the beginning of a restore into this folder to its end: empty, or the manifest of a copy that was found whole
   * and is made the data in place.
   */
  get restoring(): string {
    return `${this.path}/restoring`;
  }

  /**
   * Makes `tmp/` the TMPDIR of this process. The executable unpacks the native library of the database there when it is
   * first imported, and nobody else may lay one in its way: call this before.
   */
  claimTemporary(): void {
    this.create();
    Deno.env.set("TMPDIR", this.tmp);
  }

  /** Throws {@linkcode DataFolderUnusable} for a copy, whose UIDs would be given again, and for half a restore. */
  checkUsable(): void {
    const restoring = sizeOrNull(this.restoring);
    if (restoring !== null) {
      throw new DataFolderUnusable(
        `${this.path}: putting data back into it was cut off; run \`veredus restore${
          restoring > 0 ? " --in-place" : ""
        }\` again`,
      );
    }
    if (exists(this.manifest)) {
      throw new DataFolderUnusable(
        `${this.path} is a copy: \`veredus restore ${this.path} --data DIR\` puts it back elsewhere, ` +
          `\`veredus restore --in-place --data ${this.path}\` makes it the data`,
      );
    }
  }

  /** Makes what is missing, readable by its owner only. Throws {@linkcode DataFolderUnusable}. */
  create(): void {
    this.checkUsable();
    const isNew = !exists(this.segments);
    for (const path of [this.path, this.segments, this.tls, this.run, this.tmp]) makeFolder(path);
    if (isNew) syncNames(dirname(resolve(this.path))); // somebody else may have made it just now
  }

  /** Puts the reserve back when there is room: space that a full disk leaves for EXPUNGE and queue removal. */
  fillReserve(): boolean {
    if (sizeOrNull(this.reserve) === RESERVE_OCTETS) return true;
    if (freeOctets(this.path) < 4 * RESERVE_OCTETS) return false;
    try {
      Deno.writeFileSync(this.reserve, new Uint8Array(RESERVE_OCTETS), { mode: 0o600 });
      return true;
    } catch (error) {
      log.warn("the reserve {path} could not be filled: {error}", {
        path: this.reserve,
        error: String(error),
      });
      return false;
    }
  }

  releaseReserve(): void {
    try {
      Deno.truncateSync(this.reserve, 0);
      log.warn("the reserve {path} was given up so that mail can be removed", { path: this.reserve });
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}

export function exists(path: string): boolean {
  return statOrNull(path) !== null;
}

export function sizeOrNull(path: string): number | null {
  return statOrNull(path)?.size ?? null;
}

/** Null where nothing is there. */
export function statOrNull(path: string): Deno.FileInfo | null {
  try {
    return Deno.statSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

/** Makes a folder and what is missing above it, readable by its owner only. Their names outlive a loss of power. */
export function makeFolder(path: string): void {
  const made: string[] = [];
  for (let folder = resolve(path); !exists(folder); folder = dirname(folder)) made.push(folder);
  Deno.mkdirSync(path, { recursive: true, mode: 0o700 });
  for (const folder of made) syncNames(dirname(folder));
}

/** Gives a folder that root has just made to another; throws where somebody has put a link in its place meanwhile. */
export function giveFolder(path: string, { uid, gid }: { readonly uid: number; readonly gid: number }): void {
  const folder = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  try {
    fchownSync(folder, uid, gid);
  } finally {
    closeSync(folder);
  }
}

export function syncNames(path: string): void {
  try {
    DENO_FILES.syncDirectory(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.PermissionDenied)) throw error; // a parent that is not ours to read
  }
}

/** Octets that this user may still write where `path` lies. */
export function freeOctets(path: string): number {
  const { bavail, bsize } = statfsSync(path);
  return bavail * bsize;
}

/**
 * Cuts torn tails: every segment that was not sealed is scanned, cut behind its last intact record and sealed. A file
 * without a single record (a crash before the first sync) is removed. Records behind damage are kept: nothing
 * acknowledged may be cut because of what lies before it.
 */
export function recoverSegments(folder: DataFolder, files: Files = DENO_FILES): void {
  for (const { name } of Deno.readDirSync(folder.segments)) {
    const number = segmentNumber(name);
    if (number === null) continue;
    const path = `${folder.segments}/${segmentName(number)}`;
    using file = Deno.openSync(path);
    const header = new Uint8Array(FILE_HEADER_OCTETS);
    const length = readAt(file, 0, header) < header.length ? null : sealedLength(header);
    // A sealed length that the file does not have is a header torn while it was written.
    if (length !== null && length > 0 && length === file.statSync().size) continue;
    const end = intactEnd(file);
    if (end <= FILE_HEADER_OCTETS) {
      Deno.removeSync(path);
      continue;
    }
    const segment = files.open(path);
    try {
      segment.truncate(end);
      segment.writeSync(fileHeader(end), 0);
      segment.syncSync();
    } finally {
      segment.close();
    }
  }
  files.syncDirectory(folder.segments);
}

/** Where the last intact record ends. */
function intactEnd(file: Deno.FsFile): number {
  let end = FILE_HEADER_OCTETS;
  for (const { offset, header, intact } of scanSegment(file, { checkPayloads: true })) {
    // A torn record in the middle was never acknowledged, but a later one may be: go on.
    if (intact) {
      end = offset - RECORD_HEADER_OCTETS + recordOctets(header.payloadLength, header.salvageLength);
    }
  }
  return end;
}

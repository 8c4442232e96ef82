/**
 * The data folder: where each file lies, and what is mended when it is opened.
 *
 *     veredus.db (-wal, -shm)   the database        segments/   message octets      lock      who runs
 *     reserve                   space for removals  tls/        certificates        run/      control socket
 *     tmp/                      TMPDIR of the process
 */
import { getLogger } from "@logtape/logtape";
import { statfsSync } from "node:fs";
import { DENO_FILES, type Files } from "./files.ts";
import {
  FILE_HEADER_OCTETS,
  fileHeader,
  readAt,
  scanSegment,
  sealedLength,
  segmentName,
  segmentNumber,
} from "./segment.ts";

const RESERVE_OCTETS = 8 * 1024 * 1024;
const log = getLogger(["veredus", "storage"]);

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

  get tmp(): string {
    return `${this.path}/tmp`;
  }

  /**
   * Makes `tmp/` the TMPDIR of this process. The executable unpacks the native library of the database there when it is
   * first imported, and nobody else may lay one in its way: call this before.
   */
  claimTemporary(): void {
    this.create();
    Deno.env.set("TMPDIR", this.tmp);
  }

  /** Makes what is missing, readable by its owner only. */
  create(): void {
    for (const path of [this.path, this.segments, this.tls, this.run, this.tmp]) {
      Deno.mkdirSync(path, { recursive: true, mode: 0o700 });
    }
  }

  /** Puts the reserve back when there is room: space that a full disk leaves for EXPUNGE and queue removal. */
  fillReserve(): void {
    try {
      if (Deno.statSync(this.reserve).size === RESERVE_OCTETS) return;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    if (freeOctets(this.path) < 4 * RESERVE_OCTETS) return;
    Deno.writeFileSync(this.reserve, new Uint8Array(RESERVE_OCTETS), { mode: 0o600 });
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

/** Octets that this user may still write where `path` lies. */
export function freeOctets(path: string): number {
  const { bavail, bsize } = statfsSync(path);
  return bavail * bsize;
}

/**
 * Cuts torn tails: every segment that was not sealed is scanned, cut behind its last intact record and sealed. A file
 * without a single record (a crash before the first sync) is removed.
 */
export function recoverSegments(folder: DataFolder, files: Files = DENO_FILES): void {
  for (const { name } of Deno.readDirSync(folder.segments)) {
    const number = segmentNumber(name);
    if (number === null) continue;
    const path = `${folder.segments}/${segmentName(number)}`;
    using file = Deno.openSync(path);
    const header = new Uint8Array(FILE_HEADER_OCTETS);
    const length = readAt(file, 0, header) < header.length ? null : sealedLength(header);
    if (length !== null && length > 0) continue;
    const end = length === null ? FILE_HEADER_OCTETS : intactEnd(file);
    if (end <= FILE_HEADER_OCTETS) {
      Deno.removeSync(path);
      continue;
    }
    const segment = files.open(path);
    segment.truncate(end);
    segment.writeSync(fileHeader(end), 0);
    segment.close();
    using handle = Deno.openSync(path, { write: true });
    handle.syncDataSync();
  }
  files.syncDirectory(folder.segments);
}

/** Where the last record ends before which every record is intact. */
function intactEnd(file: Deno.FsFile): number {
  const scan = scanSegment(file, { checkPayloads: true });
  for (;;) {
    const step = scan.next();
    if (step.done) return step.value;
    // An unsynced record in the middle may be torn while later ones reached the disk: keep going, nothing acknowledged
    // points at it, and a later one may be acknowledged.
  }
}

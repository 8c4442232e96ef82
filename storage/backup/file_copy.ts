/** One file of a copy: read in pieces, written, summed up and made durable; other work of the thread runs between pieces. */
import { createHash } from "node:crypto";
import { basename, dirname, join, resolve } from "node:path";
import { DENO_FILES } from "../files.ts";
import { BackupError } from "./fault.ts";

const PIECE_OCTETS = 1024 * 1024;
/** Between two turns for others. */
const TURN_OCTETS = 8 * PIECE_OCTETS;
/** Files that are synced at the same time: the disk puts them together. */
const MAX_SYNCS = 16;

export interface Pace {
  /** Called with the octets of each piece. */
  readonly moved: (octets: number) => void;
  readonly signal: AbortSignal;
}

export interface FileSpan {
  readonly octets: number;
  /** Instead of the first octets of the source. */
  readonly head?: Uint8Array;
}

export class FileCopier {
  readonly #pace: Pace;
  readonly #buffer: Uint8Array<ArrayBuffer>;
  #sinceTurn: number;
  readonly #syncs: Set<Promise<void>>;
  /** Of the first sync that failed. */
  #failure: unknown;

  constructor(pace: Pace) {
    this.#pace = pace;
    this.#buffer = new Uint8Array(PIECE_OCTETS);
    this.#sinceTurn = 0;
    this.#syncs = new Set();
  }

  /** Copies the first octets into a new file; returns their SHA-256. It is durable after {@linkcode synced}. */
  async copy(source: Deno.FsFile, path: string, span: FileSpan): Promise<string> {
    Deno.mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const target = Deno.openSync(path, { write: true, createNew: true, mode: 0o600 });
    let sum: string;
    try {
      sum = await this.#each(source, span, (piece) => {
        for (let at = 0; at < piece.length;) at += target.writeSync(piece.subarray(at));
      });
    } catch (error) {
      target.close();
      throw error;
    }
    const sync: Promise<void> = target.sync().catch((error) => this.#failure ??= error).finally(() => {
      target.close();
      this.#syncs.delete(sync);
    });
    this.#syncs.add(sync);
    if (this.#syncs.size >= MAX_SYNCS) await Promise.race(this.#syncs);
    return sum;
  }

  /** No file is open any more. Never rejects. */
  async settled(): Promise<void> {
    await Promise.all(this.#syncs);
  }

  /** What was copied is on stable storage (its names are not). Rejects when that failed. */
  async synced(): Promise<void> {
    await this.settled();
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** SHA-256 of the first octets. */
  async sum(source: Deno.FsFile, span: FileSpan): Promise<string> {
    return await this.#each(source, span, () => {});
  }

  async #each(
    source: Deno.FsFile,
    { octets, head = new Uint8Array(0) }: FileSpan,
    use: (piece: Uint8Array) => void,
  ): Promise<string> {
    const hash = createHash("sha256");
    source.seekSync(0, Deno.SeekMode.Start);
    for (let done = 0; done < octets;) {
      this.#pace.signal.throwIfAborted();
      const count = source.readSync(this.#buffer.subarray(0, Math.min(PIECE_OCTETS, octets - done)));
      if (count === null) throw new BackupError(`a file ends after ${done} of ${octets} octets`);
      const piece = this.#buffer.subarray(0, count);
      if (done < head.length) piece.set(head.subarray(done, done + count));
      hash.update(piece);
      use(piece);
      done += count;
      this.#pace.moved(count);
      this.#sinceTurn += count;
      if (this.#sinceTurn < TURN_OCTETS) continue;
      this.#sinceTurn = 0;
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    return hash.digest("hex");
  }
}

/** Makes the names in these folders durable. */
export function syncFolders(paths: Iterable<string>): void {
  for (const path of paths) DENO_FILES.syncDirectory(path);
}

/** What lies in a folder and is no part of a copy: an empty file system has it too. */
const OF_THE_DISK = new Set(["lost+found"]);

/** Null where there is no such folder. */
export function namesIn(path: string): string[] | null {
  try {
    return [...Deno.readDirSync(path)].map(({ name }) => name).filter((name) => !OF_THE_DISK.has(name));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

/** Whether a path, of something that is there or not, is a folder's or lies below it, whatever links lead to it. */
export function liesIn(path: string, folder: string): boolean {
  return `${realPath(resolve(path))}/`.startsWith(`${realPath(resolve(folder))}/`);
}

/** Without links, of what is there of it. */
function realPath(path: string): string {
  try {
    return Deno.realPathSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return join(realPath(dirname(path)), basename(path));
  }
}

/**
 * The folder of the full-text indexes: one SQLite file for each account, `ACCOUNT.fts`.
 *
 * Whoever finds a file that cannot be read moves it aside to `ACCOUNT.bad` (with its log): readers then go without, and
 * the indexer makes a new one at its next look (indexer.ts), which ends the old. Several threads may do so at once.
 */
import { isSqliteError } from "../storage/libsql.ts";

const SIDE_FILES = ["", "-wal", "-shm"] as const;

export class IndexFolder {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  create(): void {
    Deno.mkdirSync(this.path, { recursive: true, mode: 0o700 });
  }

  file(accountId: number): string {
    return `${this.path}/${accountId}.fts`;
  }

  /** Which file it is, so that a new one under the same name is noticed; null when there is none. */
  identity(accountId: number): number | null {
    return inode(this.file(accountId));
  }

  /** Accounts that have a file, and those whose file was moved aside. */
  accounts(): { readonly files: number[]; readonly aside: number[] } {
    const files: number[] = [], aside: number[] = [];
    for (const name of names(this.path)) {
      const match = /^(\d+)\.(fts|bad)$/.exec(name);
      if (match !== null) (match[2] === "fts" ? files : aside).push(Number(match[1]));
    }
    return { files, aside };
  }

  /** Octets of an account's index with its log. */
  octets(accountId: number): number {
    return SIDE_FILES.reduce((sum, side) => sum + size(this.file(accountId) + side), 0);
  }

  /** Octets of all of them. */
  totalOctets(): number {
    let sum = 0;
    for (const name of names(this.path)) sum += size(`${this.path}/${name}`);
    return sum;
  }

  quarantine(accountId: number): void {
    for (const side of SIDE_FILES) {
      try {
        Deno.renameSync(this.file(accountId) + side, `${this.path}/${accountId}.bad${side}`);
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error; // moved by another thread, or never there
      }
    }
  }

  remove(accountId: number): void {
    for (const side of SIDE_FILES) removeIfThere(this.file(accountId) + side);
    this.removeAside(accountId);
  }

  removeAside(accountId: number): void {
    for (const side of SIDE_FILES) removeIfThere(`${this.path}/${accountId}.bad${side}`);
  }
}

/** Of what we put into an index something else came out. */
export class IndexDamage extends Error {
  override readonly name = "IndexDamage";
}

/** Trouble that another try on the same file does not mend. A busy or full disk is none. */
export function isDamage(error: unknown): boolean {
  if (error instanceof IndexDamage) return true;
  if (!isSqliteError(error)) return false;
  return /^SQLITE_(CORRUPT|NOTADB|ERROR|FORMAT|CONSTRAINT|MISMATCH|SCHEMA|INTERNAL|IOERR_SHORT_READ)/.test(
    error.code,
  );
}

function names(path: string): string[] {
  try {
    return [...Deno.readDirSync(path)].map(({ name }) => name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

function inode(path: string): number | null {
  try {
    return Deno.statSync(path).ino;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

function size(path: string): number {
  try {
    return Deno.statSync(path).size;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
}

function removeIfThere(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

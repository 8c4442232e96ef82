/**
 * One process per data folder: a lock file, taken before anything is opened or bound.
 *
 * The lock is the kernel's (flock), so it ends with the process however that ends; the file's text says who holds it.
 */

export class DataFolderLocked extends Error {
  override readonly name = "DataFolderLocked";
}

export class DataLock {
  #file: Deno.FsFile;

  private constructor(file: Deno.FsFile) {
    this.#file = file;
  }

  /** Throws DataFolderLocked with the holder's process id. */
  static take(path: string, purpose: string): DataLock {
    const file = Deno.openSync(path, { read: true, write: true, create: true, mode: 0o600 });
    if (!tryLock(file, path)) {
      const holder = new TextDecoder().decode(Deno.readFileSync(path)).trim();
      file.close();
      throw new DataFolderLocked(`the data folder is in use by ${holder || "another process"} (${path})`);
    }
    file.truncateSync(0);
    file.seekSync(0, Deno.SeekMode.Start);
    file.writeSync(new TextEncoder().encode(`process ${Deno.pid} (${purpose})\n`));
    return new DataLock(file);
  }

  /** True when a process holds the lock. */
  static held(path: string): boolean {
    let file: Deno.FsFile;
    try {
      file = Deno.openSync(path, { read: true, write: true });
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return false;
      throw error;
    }
    const free = tryLock(file, path);
    file.close();
    return !free;
  }

  release(): void {
    this.#file.truncateSync(0);
    this.#file.close();
  }
}

function tryLock(file: Deno.FsFile, path: string): boolean {
  if (typeof file.tryLockSync === "function") return file.tryLockSync(true);
  // A runtime without tryLock (Deno before 2.7): the process id in the file decides.
  const pid = Number(/process (\d+)/.exec(Deno.readTextFileSync(path))?.[1] ?? 0);
  if (pid === 0 || pid === Deno.pid) return true;
  try {
    Deno.statSync(`/proc/${pid}`);
    return false;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return true;
    throw error;
  }
}

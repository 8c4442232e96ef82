/**
 * The file operations that durability rests on, behind one small interface so that tests can make each of them fail.
 *
 * `sync` runs off the event loop on a handle of its own: operations on one Deno file handle run one after the other.
 */

export interface SegmentFile {
  /** Writes all octets at `at`, on the event loop: into preallocated space a 4 kB write costs microseconds. */
  writeSync(bytes: Uint8Array, at: number): void;
  /** The same off the event loop, for long runs of octets; a sync may run beside it, `writeSync` may not. */
  write(bytes: Uint8Array, at: number): Promise<void>;
  /** fdatasync: octets and size are on stable storage when it resolves. */
  sync(): Promise<void>;
  /** The same on this thread, where nothing else can go on before it anyway. */
  syncSync(): void;
  truncate(size: number): void;
  close(): void;
}

export interface Files {
  /** Creates a file that must not exist. Throws Deno.errors.AlreadyExists. */
  create(path: string): SegmentFile;
  open(path: string): SegmentFile;
  syncDirectory(path: string): void;
}

class DenoSegmentFile implements SegmentFile {
  #file: Deno.FsFile;
  #background: Deno.FsFile;
  /** Where the next write of `#file` goes by itself; -1 when nobody knows. */
  #position = 0;

  constructor(path: string, options: Deno.OpenOptions) {
    this.#file = Deno.openSync(path, { read: true, write: true, ...options });
    this.#background = Deno.openSync(path, { write: true });
  }

  writeSync(bytes: Uint8Array, at: number): void {
    // Records follow each other: most writes begin where the last one ended.
    if (this.#position !== at) this.#file.seekSync(at, Deno.SeekMode.Start);
    this.#position = -1;
    for (let done = 0; done < bytes.length;) {
      done += this.#file.writeSync(done === 0 ? bytes : bytes.subarray(done));
    }
    this.#position = at + bytes.length;
  }

  async write(bytes: Uint8Array, at: number): Promise<void> {
    this.#position = -1;
    await this.#file.seek(at, Deno.SeekMode.Start);
    for (let done = 0; done < bytes.length;) {
      done += await this.#file.write(done === 0 ? bytes : bytes.subarray(done));
    }
  }

  sync(): Promise<void> {
    return this.#background.syncData();
  }

  syncSync(): void {
    this.#file.syncDataSync();
  }

  truncate(size: number): void {
    this.#file.truncateSync(size);
  }

  close(): void {
    this.#file.close();
    this.#background.close();
  }
}

export const DENO_FILES: Files = {
  create: (path) => new DenoSegmentFile(path, { createNew: true, mode: 0o600 }),
  open: (path) => new DenoSegmentFile(path, {}),
  syncDirectory(path) {
    using directory = Deno.openSync(path);
    directory.syncSync();
  },
};

/**
 * Files below storage that fail where a test wants it, as disks and kernels do.
 *
 * A failed sync drops what was not synced before: the kernel marks those pages clean, so a later sync that succeeds
 * says nothing of them. Here they become zeros at once, the worst it can do.
 */
import { DENO_FILES, type Files, type SegmentFile } from "../../storage/files.ts";

export type FileCall = "create" | "open" | "write" | "sync" | "truncate" | "directory";

export interface Fault {
  /** Which calls count; all of these kinds together. */
  readonly calls: readonly FileCall[];
  /** The n-th of them fails, from 1. */
  readonly nth: number;
  /** All later ones too. */
  readonly stays?: boolean;
  readonly error: "ENOSPC" | "EIO";
  /** A write that fails has written this share of its octets before. */
  readonly written?: number;
}

const WORDS = {
  ENOSPC: "No space left on device (os error 28)",
  EIO: "Input/output error (os error 5)",
};

export class FaultyFiles implements Files {
  /** Calls made since the fault was set. */
  calls = 0;
  hits = 0;
  #fault: Fault | null = null;
  /** Written and not yet synced, by path: a sync is of a file, whichever handle it goes through. */
  #dirty = new Map<string, Span[]>();

  set(fault: Fault | null): void {
    this.#fault = fault;
    this.calls = 0;
    this.hits = 0;
  }

  create(path: string): SegmentFile {
    this.fails("create");
    return new FaultyFile(this, DENO_FILES.create(path), this.#dirtyOf(path));
  }

  open(path: string): SegmentFile {
    this.fails("open");
    return new FaultyFile(this, DENO_FILES.open(path), this.#dirtyOf(path));
  }

  syncDirectory(path: string): void {
    this.fails("directory");
    DENO_FILES.syncDirectory(path);
  }

  #dirtyOf(path: string): Span[] {
    let spans = this.#dirty.get(path);
    if (spans === undefined) this.#dirty.set(path, spans = []);
    return spans;
  }

  /** Throws when this call is the one that fails. */
  fails(call: FileCall, before: (fault: Fault) => void = () => {}): void {
    const fault = this.#fault;
    if (fault === null || !fault.calls.includes(call)) return;
    this.calls++;
    if (this.calls !== fault.nth && !(fault.stays && this.calls > fault.nth)) return;
    this.hits++;
    before(fault);
    throw new Error(WORDS[fault.error]);
  }
}

interface Span {
  readonly at: number;
  readonly length: number;
}

class FaultyFile implements SegmentFile {
  #files: FaultyFiles;
  #file: SegmentFile;
  readonly #dirty: Span[];

  constructor(files: FaultyFiles, file: SegmentFile, dirty: Span[]) {
    this.#files = files;
    this.#file = file;
    this.#dirty = dirty;
  }

  writeSync(bytes: Uint8Array, at: number): void {
    this.#files.fails("write", (fault) => this.#short(bytes, at, fault));
    this.#file.writeSync(bytes, at);
    this.#dirty.push({ at, length: bytes.length });
  }

  async write(bytes: Uint8Array, at: number): Promise<void> {
    this.#files.fails("write", (fault) => this.#short(bytes, at, fault));
    this.#dirty.push({ at, length: bytes.length });
    await this.#file.write(bytes, at);
  }

  async sync(): Promise<void> {
    const covered = this.#dirty.splice(0);
    this.#files.fails("sync", () => this.#drop(covered));
    await this.#file.sync();
  }

  syncSync(): void {
    const covered = this.#dirty.splice(0);
    this.#files.fails("sync", () => this.#drop(covered));
    this.#file.syncSync();
  }

  truncate(size: number): void {
    this.#files.fails("truncate");
    this.#file.truncate(size);
  }

  close(): void {
    this.#file.close();
  }

  #short(bytes: Uint8Array, at: number, fault: Fault): void {
    this.#file.writeSync(bytes.subarray(0, Math.floor(bytes.length * (fault.written ?? 0))), at);
  }

  #drop(spans: readonly Span[]): void {
    for (const { at, length } of spans) this.#file.writeSync(new Uint8Array(length), at);
  }
}

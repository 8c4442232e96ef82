/**
 * A disk that loses power: from the events of a run it makes states that a real disk could show afterwards.
 *
 * What a returned sync covered is there. Every other write may be there, missing, torn at a sector, in any
 * combination (so also reordered); names that a directory sync did not cover appear or not, in their order. This
 * is stricter than journalling file systems are.
 */
import { dirname } from "node:path";
import type { Random } from "../crash/random.ts";
import type { TraceEvent } from "./trace.ts";

const SECTOR = 512;

interface Change {
  /** Number of the event. */
  readonly at: number;
  readonly offset: number;
  /** Null: a change of size to `offset`. */
  readonly data: Uint8Array | null;
  readonly grow: boolean;
  /** A sync of it failed: no later one makes it sure. */
  doomed?: boolean;
}

class FileImage {
  content = new Uint8Array(0);
  size = 0;
  readonly pending: Change[] = [];

  apply(change: Change): void {
    if (change.data === null) {
      if (change.grow && change.offset <= this.size) return;
      this.#reserve(change.offset);
      if (change.offset < this.size) this.content.fill(0, change.offset, this.size);
      this.size = change.offset;
      return;
    }
    const end = change.offset + change.data.length;
    this.#reserve(end);
    this.content.set(change.data, change.offset);
    this.size = Math.max(this.size, end);
  }

  clone(): FileImage {
    const copy = new FileImage();
    copy.content = this.content.slice(0, this.size);
    copy.size = this.size;
    return copy;
  }

  #reserve(end: number): void {
    if (end <= this.content.length) return;
    const grown = new Uint8Array(Math.max(end, this.content.length * 2));
    grown.set(this.content.subarray(0, this.size));
    this.content = grown;
  }
}

type NameChange =
  & { readonly at: number }
  & ({ readonly put: string; readonly file: FileImage } | { readonly drop: string });

/** One directory: entries that are sure, and changes of names no sync has covered yet. */
class Directory {
  readonly entries = new Map<string, FileImage>();
  readonly pending: NameChange[] = [];
}

export class Disk {
  /** What the running system sees. */
  readonly #live = new Map<string, FileImage>();
  readonly #directories = new Map<string, Directory>();
  #events = 0;

  apply(event: TraceEvent): void {
    const at = this.#events++;
    switch (event.kind) {
      case "sent":
        return;
      case "mkdir":
        this.#directory(event.path);
        return;
      case "create":
        if (!this.#live.has(event.path)) this.#name(at, event.path, new FileImage());
        return;
      case "write":
        this.#file(at, event.path).pending.push({ at, offset: event.offset, data: event.data, grow: false });
        return;
      case "size":
        this.#file(at, event.path).pending.push({ at, offset: event.size, data: null, grow: event.grow });
        return;
      case "rename": {
        const file = this.#file(at, event.from);
        this.#drop(at, event.from);
        this.#name(at, event.to, file);
        return;
      }
      case "unlink":
        this.#drop(at, event.path);
        return;
      case "sync": {
        const file = this.#live.get(event.path);
        if (file !== undefined) settle(file.pending, event.began, (change) => file.apply(change));
        const directory = this.#directories.get(event.path);
        if (directory !== undefined) {
          settle(directory.pending, event.began, (change) => rename(directory.entries, change));
        }
        return;
      }
      case "sync-failed":
        for (const change of this.#live.get(event.path)?.pending ?? []) change.doomed = true;
        return;
      default:
        event satisfies never;
    }
  }

  /** An event that does nothing, as a sync of a disk that ignores it. */
  skip(): void {
    this.#events++;
  }

  /** Writes one possible state after a loss of power now into the empty folder `to` (`root` maps to it). */
  materialize(root: string, to: string, random: Random): void {
    const mood = random.pick(["none", "all", "some", "prefix"] as const);
    const done = new Map<FileImage, FileImage>();
    for (const path of this.#directories.keys()) {
      Deno.mkdirSync(to + path.slice(root.length), { recursive: true });
    }
    for (const [path, directory] of this.#directories) {
      const entries = new Map(directory.entries);
      const kept = mood === "all" ? directory.pending.length : random.between(0, directory.pending.length);
      for (const change of directory.pending.slice(0, kept)) rename(entries, change);
      for (const [name, file] of entries) {
        let image = done.get(file);
        if (image === undefined) done.set(file, image = afterLoss(file, mood, random));
        writeSparse(`${to}${path.slice(root.length)}/${name}`, image);
      }
    }
  }

  #directory(path: string): Directory {
    let directory = this.#directories.get(path);
    if (directory === undefined) this.#directories.set(path, directory = new Directory());
    return directory;
  }

  #file(at: number, path: string): FileImage {
    const file = this.#live.get(path);
    if (file !== undefined) return file;
    const made = new FileImage();
    this.#name(at, path, made);
    return made;
  }

  #name(at: number, path: string, file: FileImage): void {
    this.#live.set(path, file);
    this.#directory(dirname(path)).pending.push({ at, put: path.slice(dirname(path).length + 1), file });
  }

  #drop(at: number, path: string): void {
    this.#live.delete(path);
    this.#directory(dirname(path)).pending.push({ at, drop: path.slice(dirname(path).length + 1) });
  }
}

/** Applies and removes the changes that were made before event number `before`. */
function settle<T extends { readonly at: number; readonly doomed?: boolean }>(
  pending: T[],
  before: number,
  apply: (change: T) => void,
): void {
  const left = pending.filter((change) => {
    if (change.at >= before || change.doomed) return true;
    apply(change);
    return false;
  });
  pending.length = 0;
  pending.push(...left);
}

function rename(entries: Map<string, FileImage>, change: NameChange): void {
  if ("put" in change) entries.set(change.put, change.file);
  else entries.delete(change.drop);
}

function afterLoss(file: FileImage, mood: "none" | "all" | "some" | "prefix", random: Random): FileImage {
  const image = file.clone();
  const keep = mood === "prefix" ? random.between(0, file.pending.length) : file.pending.length;
  file.pending.forEach((change, i) => {
    if (mood === "none" || i >= keep || (mood === "some" && random.chance(0.5))) return;
    const torn = mood !== "all" && change.data !== null && change.data.length > 0 && random.chance(0.2);
    image.apply(
      torn ? { ...change, data: change.data.subarray(0, tearAt(change.data.length, random)) } : change,
    );
  });
  return image;
}

function tearAt(length: number, random: Random): number {
  return length <= SECTOR
    ? random.between(0, length)
    : random.between(0, Math.floor(length / SECTOR)) * SECTOR;
}

function writeSparse(path: string, image: FileImage): void {
  let end = image.size;
  while (end > 0 && image.content[end - 1] === 0) end--;
  using file = Deno.openSync(path, { write: true, create: true, truncate: true });
  for (let at = 0; at < end;) at += file.writeSync(image.content.subarray(at, end));
  file.truncateSync(image.size);
}

/**
 * What a copy of the data holds: `manifest.jsonl`, written last.
 *
 * One line of JSON each: a head (who made it, when, of which schema), a file (path below the folder, octets, SHA-256), and an end
 * with the number of files, their octets, and the SHA-256 of all lines before it. A folder without a whole one is no copy. Lines
 * are written and read one by one: there may be as many files as there are large messages.
 */
import { createHash, type Hash } from "node:crypto";
import { BackupError, diskFault } from "./fault.ts";

export const FORMAT = 1;

export interface ManifestHead {
  readonly veredus: "backup";
  readonly format: number;
  /** Of the program that made it. */
  readonly version: string;
  /** Migrations applied to its database (migrate.ts). */
  readonly schema: number;
  /** RFC 3339. */
  readonly createdAt: string;
}

export interface ManifestFile {
  /** Below the folder, with "/". */
  readonly path: string;
  readonly octets: number;
  /** Lower-case hex. */
  readonly sha256: string;
}

interface ManifestEnd {
  readonly files: number;
  readonly octets: number;
  readonly sha256: string;
}

export class ManifestWriter {
  files = 0;
  octets = 0;
  #file: Deno.FsFile;
  #hash: Hash;

  /** Makes the file, which must not exist. */
  constructor(path: string) {
    this.#file = Deno.openSync(path, { write: true, createNew: true, mode: 0o600 });
    this.#hash = createHash("sha256");
  }

  head(head: ManifestHead): void {
    this.#line(head);
  }

  add(file: ManifestFile): void {
    this.files++;
    this.octets += file.octets;
    this.#line(file);
  }

  /** Writes the end and makes all of it durable. */
  finish(): void {
    const end: ManifestEnd = { files: this.files, octets: this.octets, sha256: this.#hash.digest("hex") };
    this.#write(`${JSON.stringify(end)}\n`);
    this.#file.syncSync();
  }

  close(): void {
    this.#file.close();
  }

  #line(line: object): void {
    const text = `${JSON.stringify(line)}\n`;
    this.#hash.update(text);
    this.#write(text);
  }

  #write(text: string): void {
    const bytes = new TextEncoder().encode(text);
    for (let at = 0; at < bytes.length;) at += this.#file.writeSync(bytes.subarray(at));
  }
}

/** What a whole manifest says of the copy. */
export interface ManifestFacts extends ManifestHead {
  readonly files: number;
  readonly octets: number;
}

/** Reads all of a manifest. Rejects with {@linkcode BackupError} where it is not whole. */
export async function readManifest(path: string): Promise<ManifestFacts> {
  let head: ManifestHead | null = null;
  let end: ManifestEnd | null = null;
  let files = 0;
  let octets = 0;
  const hash = createHash("sha256");
  for await (const line of linesOf(path)) {
    const value = parsed(line, path);
    if (end !== null) throw damaged(path, "something follows its end");
    if (head === null) {
      head = headOf(value, path);
      hash.update(`${line}\n`);
    } else if (typeof value.files === "number") end = value as unknown as ManifestEnd;
    else {
      files++;
      octets += fileOf(value, path).octets;
      hash.update(`${line}\n`);
    }
  }
  if (head === null || end === null) throw damaged(path, "it was cut off");
  if (end.files !== files || end.octets !== octets || end.sha256 !== hash.digest("hex")) {
    throw damaged(path, "it is not what was written");
  }
  return { ...head, files, octets };
}

/** The files of a manifest that {@linkcode readManifest} found whole. */
export async function* filesOf(path: string): AsyncGenerator<ManifestFile> {
  let first = true;
  for await (const line of linesOf(path)) {
    const value = parsed(line, path);
    if (!first && typeof value.files !== "number") yield fileOf(value, path);
    first = false;
  }
}

function headOf(value: Record<string, unknown>, path: string): ManifestHead {
  const { veredus, format, version, schema, createdAt } = value;
  if (veredus !== "backup" || typeof format !== "number" || typeof version !== "string") {
    throw damaged(path, "it does not begin like one");
  }
  if (format > FORMAT) {
    throw new BackupError(`${path} was written by Veredus ${version}, which is newer: use that one`);
  }
  if (typeof schema !== "number" || typeof createdAt !== "string" || Number.isNaN(Date.parse(createdAt))) {
    throw damaged(path, "it does not begin like one");
  }
  return { veredus, format, version, schema, createdAt };
}

/** A path that leads out of the folder is none of ours. */
function fileOf(value: Record<string, unknown>, manifest: string): ManifestFile {
  const { path, octets, sha256 } = value;
  const sound = typeof path === "string" && typeof octets === "number" && Number.isSafeInteger(octets) &&
    octets >= 0 && typeof sha256 === "string" &&
    path.split("/").every((part) => part !== "" && part !== "." && part !== ".." && !part.includes("\0"));
  if (!sound) throw damaged(manifest, "a line of it names no file");
  return { path, octets, sha256 };
}

function parsed(line: string, path: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value === "object" && value !== null) return value as Record<string, unknown>;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw damaged(path, "a line of it is no JSON");
}

function damaged(path: string, what: string): BackupError {
  return new BackupError(`${path} is damaged: ${what}`);
}

async function* linesOf(path: string): AsyncGenerator<string> {
  let file: Deno.FsFile;
  try {
    file = await Deno.open(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw diskFault(error, path);
    throw new BackupError(`${path} is not there: this is no copy made by \`veredus backup\`, or half of one`);
  }
  let rest = "";
  for await (const piece of file.readable.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + piece).split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
  if (rest !== "") throw damaged(path, "it was cut off");
}

/**
 * What every administrative command shares: which server is meant, `--json`, a client, pages, and errors.
 *
 * The server is that of `--data DIR` or `--config FILE`; without either it is /etc/veredus/veredus.yaml when that is
 * there, else ./veredus-data, as `veredus start` uses it.
 */
import type { Command } from "commander";
import { resolve } from "node:path";
import type { AdminClient, AdminRequest } from "./client.ts";
import type { DataFolder } from "../../storage/data_folder.ts";
import { type CliContext, CliFailure } from "./context.ts";
import { fields } from "./output.ts";

export interface CommonOptions {
  readonly data?: string;
  readonly config?: string;
  readonly json?: boolean;
}

/** One run of one command. */
export interface Shell<O> {
  readonly options: O & CommonOptions;
  readonly context: CliContext;
  readonly client: AdminClient;
  /** The JSON of a response; null of one without. */
  get(path: string): Promise<unknown>;
  send(request: AdminRequest): Promise<unknown>;
  /** The value with `--json`, else the words (or the fields of the value). */
  print(value: object, words?: string): void;
}

export type Work<O> = (shell: Shell<O>, ...args: string[]) => Promise<void>;

export interface Leaf<O> {
  /** As in `add <address>`. */
  readonly usage: string;
  readonly about: string;
  /** Makes the data folder when it is missing. */
  readonly create?: boolean;
  readonly work: Work<O>;
}

export class Commands {
  readonly program: Command;
  readonly context: CliContext;

  constructor(program: Command, context: CliContext) {
    this.program = program;
    this.context = context;
  }

  /** Adds a command; its own options are added to what it returns. */
  leaf<O>(parent: Command, leaf: Leaf<O>): Command {
    const command = parent.command(leaf.usage).description(leaf.about);
    return common(command).action(async () => {
      const options = command.opts() as O & CommonOptions;
      const { openClient } = await import("./client.ts");
      const place = { data: await dataOf(options, this.context), create: leaf.create ?? false };
      const client = await openClient(place, this.context);
      try {
        await leaf.work(shellOf(client, { options, context: this.context }), ...words(command));
      } finally {
        await client.close();
      }
    });
  }
}

/** The options that every command has. */
export function common(command: Command): Command {
  return command
    .option("--data <DIR>", "data folder of the server")
    .option("--config <FILE>", "configuration file of the server")
    .option("--json", "print JSON");
}

/** The operands, those of a list one by one. */
export function words(command: Command): string[] {
  return (command.processedArgs as (string | string[] | undefined)[]).flat().filter((word) =>
    word !== undefined
  );
}

export async function dataOf(options: CommonOptions, context: CliContext): Promise<string> {
  if (options.data !== undefined && options.config !== undefined) {
    throw new CliFailure("--data and --config both say which server is meant: give one", { exit: "usage" });
  }
  if (options.data !== undefined) return resolve(options.data);
  if (options.config !== undefined) return await context.dataOf(options.config);
  try {
    Deno.statSync(context.defaultConfigFile);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return resolve(context.defaultData);
    throw error;
  }
  return await context.dataOf(context.defaultConfigFile);
}

/** The data folder, for commands that read it in this process. */
export async function dataFolderOf(options: CommonOptions, context: CliContext): Promise<DataFolder> {
  const { DataFolder } = await import("../../storage/data_folder.ts");
  const folder = new DataFolder(await dataOf(options, context));
  try {
    Deno.statSync(folder.segments);
  } catch (error) {
    if (error instanceof Deno.errors.PermissionDenied) {
      throw new CliFailure(`only the owner of ${folder.path} and root may read it`, { exit: "unavailable" });
    }
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new CliFailure(
      `${folder.path} is not a data folder: --data DIR or --config FILE says which server is meant`,
      { exit: "unavailable" },
    );
  }
  claimTemporary(folder);
  return folder;
}

/** TMPDIR of this command, into which nobody else may lay anything: that of the folder, else one that goes with the command. */
export function claimTemporary(folder: DataFolder): void {
  let path = folder.tmp;
  try {
    Deno.statSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    path = Deno.makeTempDirSync({ prefix: "veredus-" });
    addEventListener("unload", () => Deno.removeSync(path, { recursive: true }));
  }
  Deno.env.set("TMPDIR", path);
}

function shellOf<O>(
  client: AdminClient,
  parts: { options: O & CommonOptions; context: CliContext },
): Shell<O> {
  const send = async (request: AdminRequest) => {
    const response = await client.send(request);
    return response.status === 204 ? null : await response.json() as unknown;
  };
  return {
    ...parts,
    client,
    send,
    get: (path) => send({ method: "GET", path }),
    print(value, text) {
      console.log(parts.options.json ? JSON.stringify(value) : text ?? fields(value));
    },
  };
}

/** Every item of a list, page by page. */
export async function* items<T>(
  shell: Shell<unknown>,
  path: string,
  query: Record<string, string | undefined> = {},
): AsyncGenerator<T> {
  let cursor: string | null = null;
  do {
    const given = Object.entries(query).filter((pair): pair is [string, string] => pair[1] !== undefined);
    const parameters = new URLSearchParams([...given, ["limit", "500"]]);
    if (cursor !== null) parameters.set("cursor", cursor);
    const page = await shell.get(`${path}?${parameters}`) as { items: T[]; nextCursor: string | null };
    yield* page.items;
    cursor = page.nextCursor;
  } while (cursor !== null);
}

/** Prints a list: one JSON array, or a table in pages, or a word about its emptiness. */
export async function printList<T extends object>(
  list: AsyncGenerator<T>,
  how: { json: boolean; table: (rows: T[]) => string; none: string },
): Promise<void> {
  const rows: T[] = [];
  for await (const row of list) rows.push(row);
  if (how.json) console.log(JSON.stringify(rows));
  else console.log(rows.length === 0 ? how.none : how.table(rows));
}

export function segment(text: string): string {
  return encodeURIComponent(text);
}

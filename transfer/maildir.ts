/**
 * A Maildir as a source: Maildir++ folders (`.Sent.2024`) or folders inside of folders, info letters, keywords, dates.
 *
 * The part of a file's name before `:2,` never changes and is the item; the file's time is INTERNALDATE. Dovecot's
 * `dovecot-uidlist` gives UIDs and POP3 ids, its `dovecot-keywords` the names of the letters a to z.
 */
import { decodeUtf7 } from "../protocols/imap/utf7.ts";
import { MAILDIR_LETTERS } from "../storage/maildir_letters.ts";
import {
  cleanKeywords,
  dovecotUidl,
  type Source,
  SourceError,
  type SourceFolder,
  type SourceMessage,
} from "./source.ts";

const PIECE_OCTETS = 256 * 1024;
/** Files up to this size are read at once: handing each to another thread takes three times as long as reading it. */
const SMALL_OCTETS = 64 * 1024;
const MAX_LEVELS = 30;

const FLAG_OF_LETTER: ReadonlyMap<string, number> = new Map(MAILDIR_LETTERS);

export function openMaildir(path: string): Source {
  const root = realPath(path);
  if (!isMaildir(root)) throw new SourceError(`${path} is no Maildir: it has no folder "cur"`);
  return {
    identity: `maildir ${root}`,
    folders: () => Promise.resolve([...foldersOf(root)]),
    close: () => Promise.resolve(),
  };
}

function* foldersOf(root: string): Generator<SourceFolder> {
  yield folder(root, "INBOX");
  for (const name of subfolders(root)) {
    const path = `${root}/${name}`;
    if (name.startsWith(".")) {
      if (isMaildir(path)) yield folder(path, name.slice(1).split(".").map(levelName).join("/"));
    } else yield* below(path, levelName(name), 1);
  }
}

function* below(path: string, name: string, depth: number): Generator<SourceFolder> {
  if (isMaildir(path)) yield folder(path, name);
  if (depth >= MAX_LEVELS) return;
  for (const sub of subfolders(path)) {
    if (!sub.startsWith(".")) yield* below(`${path}/${sub}`, `${name}/${levelName(sub)}`, depth + 1);
  }
}

function subfolders(path: string): string[] {
  return [...Deno.readDirSync(path)].filter(({ isDirectory, name }) =>
    isDirectory && !["cur", "new", "tmp"].includes(name)
  ).map(({ name }) => name).sort();
}

/** Modified UTF-7 as Dovecot and Courier write it, and our own escapes of characters that a name cannot have. */
function levelName(name: string): string {
  const decoded = decodeUtf7(name) ?? name;
  return decoded.replace(/%(2E|2F|25)/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)))
    .replaceAll("/", "_");
}

interface Entry {
  readonly item: string;
  /** Below the folder. */
  readonly file: string;
  readonly letters: string;
}

function folder(path: string, name: string): SourceFolder {
  const entries: Entry[] = [];
  for (const sub of ["cur", "new"]) {
    for (const file of files(`${path}/${sub}`)) {
      const colon = file.indexOf(":2,");
      entries.push({
        item: colon < 0 ? file : file.slice(0, colon),
        file: `${sub}/${file}`,
        letters: sub === "new" || colon < 0 ? "" : file.slice(colon + 3),
      });
    }
  }
  const uids = uidList(`${path}/dovecot-uidlist`);
  const keywords = keywordNames(`${path}/dovecot-keywords`);
  // In order of UIDs where they are known, then of the time in the name.
  const place = ({ item }: Entry) => uids.messages.get(item)?.uid ?? Infinity;
  entries.sort((a, b) =>
    compare(place(a), place(b)) || compare(secondsOf(a), secondsOf(b)) || compare(a.item, b.item)
  );
  return {
    name,
    specialUse: null,
    uidValidity: uids.uidValidity,
    messages: entries.length,
    sequential: false,
    async *list(known) {
      for (const entry of entries) {
        if (!known.has(entry.item)) {
          yield message(path, entry, { keywords, ids: uids.messages.get(entry.item) });
        }
      }
    },
  };
}

function message(
  folder: string,
  { item, file, letters }: Entry,
  parts: { readonly keywords: readonly string[]; readonly ids: KeptIds | undefined },
): SourceMessage {
  let flags = 0;
  const words: string[] = [];
  for (const letter of letters) {
    flags |= FLAG_OF_LETTER.get(letter) ?? 0;
    const word = /[a-z]/.test(letter) ? parts.keywords[letter.charCodeAt(0) - 97] : undefined;
    if (word !== undefined) words.push(word);
  }
  const path = `${folder}/${file}`;
  const { size, mtime } = Deno.statSync(path);
  return {
    item,
    folder: null,
    flags,
    keywords: cleanKeywords(words),
    internalDate: mtime?.getTime() ?? 0,
    uid: parts.ids?.uid ?? null,
    uidl: parts.ids?.uidl ?? null,
    octets: () => size <= SMALL_OCTETS ? [Deno.readFileSync(path)] : pieces(path),
  };
}

export async function* pieces(path: string): AsyncGenerator<Uint8Array> {
  using file = await Deno.open(path);
  for (;;) {
    const piece = new Uint8Array(PIECE_OCTETS);
    const count = await file.read(piece);
    if (count === null) return;
    yield piece.subarray(0, count);
  }
}

interface KeptIds {
  readonly uid: number;
  readonly uidl: string;
}

/**
 * Version 3 of Dovecot's list: `3 V<uidvalidity> N<next> ...`, then `<uid> [P<uidl> ...] :<file name>`. Only POP3 ids that are not
 * made of UID and UIDVALIDITY stand there.
 */
function uidList(
  path: string,
): { readonly uidValidity: number | null; readonly messages: Map<string, KeptIds> } {
  const messages = new Map<string, KeptIds>();
  const [head = "", ...lines] = textOf(path).split("\n");
  const uidValidity = /^3 (?:.* )?V(\d{1,10})\b/.exec(head)?.[1];
  if (uidValidity === undefined) return { uidValidity: null, messages };
  for (const line of lines) {
    const match = /^(\d{1,10}) (?:(.*) )?:([^:]+)/.exec(line);
    if (match === null) continue;
    const uidl = /(?:^| )P([\x21-\x7e]{1,70})(?: |$)/.exec(match[2] ?? "")?.[1];
    const uid = Number(match[1]);
    messages.set(match[3]!, { uid, uidl: uidl ?? dovecotUidl(uid, Number(uidValidity)) });
  }
  return { uidValidity: Number(uidValidity), messages };
}

function keywordNames(path: string): string[] {
  const names: string[] = [];
  for (const line of textOf(path).split("\n")) {
    const match = /^(\d{1,2}) (\S+)$/.exec(line);
    if (match !== null && Number(match[1]) < 26) names[Number(match[1])] = match[2]!;
  }
  return names;
}

function textOf(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}

function files(path: string): string[] {
  try {
    return [...Deno.readDirSync(path)].filter(({ isFile, name }) => isFile && !name.startsWith("."))
      .map(({ name }) => name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

function secondsOf({ item }: Entry): number {
  return Number(/^\d{1,12}/.exec(item)?.[0] ?? 0);
}

function compare<T extends number | string>(a: T, b: T): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function isMaildir(path: string): boolean {
  try {
    return Deno.statSync(`${path}/cur`).isDirectory;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return false;
    throw error;
  }
}

/** Throws SourceError where nothing is, or nothing that this process may read. */
export function realPath(path: string): string {
  try {
    return Deno.realPathSync(path);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    throw new SourceError(`${path} cannot be read: ${error.message}`);
  }
}

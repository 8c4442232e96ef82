/**
 * A zip of .eml files as a source; the folders inside are mailboxes. Read once from its start to its end.
 *
 * Items are path and checksum of an entry. Memory: one message of at most {@linkcode MAX_ENTRY_OCTETS}; the archive goes
 * through in pieces so small that not even a bomb makes more of one than eight megabytes.
 */
import { joined } from "../bytes/joined.ts";
import { Unzip, type UnzipFile, UnzipInflate, UnzipPassThrough } from "fflate";
import { crc32 } from "node:zlib";
import { pieces, realPath } from "./maildir.ts";
import type { Source, SourceFolder, SourceMessage } from "./source.ts";
import { isMessage, messagesInZip } from "./zip_count.ts";

export const MAX_ENTRY_OCTETS = 128 * 1024 * 1024;
const FEED_OCTETS = 8 * 1024;

export function openZip(path: string): Source {
  const file = realPath(path);
  return {
    identity: `zip ${file}`,
    folders: () => Promise.resolve([folderOf(file)]),
    close: () => Promise.resolve(),
  };
}

interface Entry {
  readonly name: string;
  readonly octets: Uint8Array | null;
  readonly modifiedAt: number;
}

function folderOf(path: string): SourceFolder {
  return {
    name: "INBOX",
    specialUse: null,
    uidValidity: null,
    messages: messagesInZip(path),
    sequential: true,
    async *list(known) {
      for await (const entry of entriesOf(path)) {
        const message = messageOf(entry);
        if (!known.has(message.item)) yield message;
      }
    },
  };
}

function messageOf({ name, octets, modifiedAt }: Entry): SourceMessage {
  const levels = name.split("/").slice(0, -1).filter((level) =>
    level !== "" && level !== "." && level !== ".."
  );
  const folder = levels.join("/");
  return {
    item: `${name} ${octets === null ? "large" : crc32(octets).toString(16)}`,
    folder: folder === "" || /^inbox$/i.test(folder) ? "INBOX" : folder,
    flags: 0,
    keywords: [],
    internalDate: modifiedAt,
    uid: null,
    uidl: null,
    *octets() {
      if (octets === null) {
        throw new Error(`it has more than ${MAX_ENTRY_OCTETS} octets, or cannot be unpacked`);
      }
      yield octets;
    },
  };
}

async function* entriesOf(path: string): AsyncGenerator<Entry> {
  const ready: Entry[] = [];
  const unzip = new Unzip((file) => take(file, ready));
  unzip.register(UnzipInflate);
  unzip.register(UnzipPassThrough);
  for await (const piece of pieces(path)) {
    for (let at = 0; at < piece.length; at += FEED_OCTETS) {
      unzip.push(piece.slice(at, at + FEED_OCTETS));
      yield* ready.splice(0);
    }
  }
  unzip.push(new Uint8Array(0), true);
  yield* ready.splice(0);
}

/** Gathers a message; everything else in the archive is passed over. */
function take(file: UnzipFile, ready: Entry[]): void {
  if (!isMessage(file.name)) return;
  const name = file.name.toWellFormed().replaceAll("\\", "/");
  const parts: Uint8Array[] = [];
  let size = 0;
  let ended = false;
  file.ondata = (error, octets, final) => {
    if (ended) return;
    size += octets?.length ?? 0;
    const broken = error !== null || size > MAX_ENTRY_OCTETS;
    if (!broken) parts.push(octets);
    if (!broken && !final) return;
    ended = true;
    ready.push({ name, octets: broken ? null : joined(parts), modifiedAt: 0 });
    parts.length = 0;
  };
  file.start();
}

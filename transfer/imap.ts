/**
 * An account of another server as a source, by IMAP (imapflow): folders, flags, dates, UIDs. Nothing is changed there.
 *
 * Each folder has a connection of its own. An item is UIDVALIDITY and UID. Messages up to {@linkcode SMALL_OCTETS} come
 * many at a time, larger ones one by one, in pieces. POP3 ids are those Dovecot makes of UID and UIDVALIDITY.
 */
import { ImapFlow } from "imapflow";
import { FLAG_ANSWERED, FLAG_DELETED, FLAG_DRAFT, FLAG_FLAGGED, FLAG_SEEN } from "../storage/changes.ts";
import {
  cleanKeywords,
  dovecotUidl,
  type Source,
  SourceError,
  type SourceFolder,
  type SourceMessage,
} from "./source.ts";

const AT_ONCE = 50;
const SMALL_OCTETS = 1024 * 1024;
const TIMEOUT_MS = 60_000;

export interface ImapServer {
  readonly host: string;
  readonly port: number;
  /** `implicit`: TLS from the start; `starttls`: refused without; `none`: in clear. */
  readonly tls: "implicit" | "starttls" | "none";
  readonly user: string;
  readonly password: string;
}

const FLAG_BITS: Readonly<Record<string, number>> = {
  "\\seen": FLAG_SEEN,
  "\\answered": FLAG_ANSWERED,
  "\\flagged": FLAG_FLAGGED,
  "\\deleted": FLAG_DELETED,
  "\\draft": FLAG_DRAFT,
};
const SPECIAL_USES: ReadonlySet<string> = new Set(["\\Archive", "\\Drafts", "\\Junk", "\\Sent", "\\Trash"]);

export function openImap(server: ImapServer): Source {
  const open = new Set<ImapFlow>();
  const connect = async () => {
    const client = new ImapFlow({
      host: server.host,
      port: server.port,
      secure: server.tls === "implicit",
      ...(server.tls !== "implicit" && { doSTARTTLS: server.tls === "starttls" }),
      auth: { user: server.user, pass: server.password },
      logger: false,
      connectionTimeout: TIMEOUT_MS,
      greetingTimeout: TIMEOUT_MS,
      socketTimeout: 5 * TIMEOUT_MS,
    });
    client.on("error", () => {}); // told by the command it breaks
    try {
      await client.connect();
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      const said = "responseText" in error && typeof error.responseText === "string"
        ? error.responseText
        : error.message;
      throw new SourceError(`${server.host}:${server.port}: ${said}`);
    }
    open.add(client);
    return client;
  };
  const leave = async (client: ImapFlow) => {
    open.delete(client);
    try {
      await client.logout();
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      client.close(); // it is gone already
    }
  };
  return {
    identity: `imap ${server.user}@${server.host}:${server.port}`,
    async folders() {
      const client = await connect();
      try {
        const listed = await client.list({ statusQuery: { messages: true, uidValidity: true } });
        return listed.filter(({ flags }) => !flags.has("\\Noselect") && !flags.has("\\NonExistent"))
          .map((entry): SourceFolder => ({
            name: entry.path === "INBOX"
              ? "INBOX"
              : entry.path.split(entry.delimiter).map((level) => level.replaceAll("/", "_")).join("/"),
            specialUse: SPECIAL_USES.has(entry.specialUse ?? "") ? entry.specialUse ?? null : null,
            uidValidity: entry.status?.uidValidity === undefined ? null : Number(entry.status.uidValidity),
            messages: entry.status?.messages ?? 0,
            sequential: true,
            async *list(known) {
              const own = await connect();
              try {
                yield* messagesOf(own, entry.path, known);
              } finally {
                await leave(own);
              }
            },
          }));
      } finally {
        await leave(client);
      }
    },
    async close() {
      for (const client of [...open]) await leave(client);
    },
  };
}

async function* messagesOf(
  client: ImapFlow,
  path: string,
  known: ReadonlySet<string>,
): AsyncGenerator<SourceMessage> {
  const mailbox = await client.mailboxOpen(path, { readOnly: true });
  const uidValidity = Number(mailbox.uidValidity);
  const all = await client.search({ all: true }, { uid: true }) || [];
  const uids = all.filter((uid) => !known.has(`${uidValidity}.${uid}`)).sort((a, b) => a - b);
  for (let at = 0; at < uids.length; at += AT_ONCE) {
    const range = uids.slice(at, at + AT_ONCE).join(",");
    const heads = await client.fetchAll(range, { uid: true, flags: true, internalDate: true, size: true }, {
      uid: true,
    });
    heads.sort((a, b) => a.uid - b.uid);
    const small = heads.filter(({ size }) => (size ?? 0) <= SMALL_OCTETS).map(({ uid }) => uid);
    const sources = new Map<number, Uint8Array>();
    if (small.length > 0) {
      for await (
        const { uid, source } of client.fetch(small.join(","), { uid: true, source: true }, { uid: true })
      ) {
        if (source !== undefined) sources.set(uid, source);
      }
    }
    for (const { uid, flags = new Set<string>(), internalDate } of heads) {
      const words = [...flags];
      yield {
        item: `${uidValidity}.${uid}`,
        folder: null,
        flags: words.reduce((bits, word) => bits | (FLAG_BITS[word.toLowerCase()] ?? 0), 0),
        keywords: cleanKeywords(words.filter((word) => !word.startsWith("\\"))),
        internalDate: internalDate === undefined ? Date.now() : new Date(internalDate).getTime(),
        uid,
        uidl: dovecotUidl(uid, uidValidity),
        octets: () => {
          const source = sources.get(uid);
          sources.delete(uid);
          return source === undefined ? download(client, uid) : [source];
        },
      };
    }
  }
}

async function* download(client: ImapFlow, uid: number): AsyncGenerator<Uint8Array> {
  const { content } = await client.download(String(uid), undefined, { uid: true });
  if (content === undefined) throw new Error("it is not there any more");
  for await (const piece of content) yield piece as Uint8Array;
}

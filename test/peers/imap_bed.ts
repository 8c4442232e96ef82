/**
 * What the tests of real IMAP clients have in common: an account with mail as it comes, what it holds octet by octet and flag
 * by flag, what a Maildir of a client holds, and changes that another client makes meanwhile.
 */
import assert from "node:assert/strict";
import { encodeLatin1 } from "../../bytes/decode.ts";
import { ImapClient, literalText } from "../lib/imap_client.ts";
import { PASSWORD, RunningServer } from "../lib/running_server.ts";

export const ALICE = "alice@example.test";
export const BOB = "bob@example.test";

const WITHOUT_END = "Subject: no body and no end of line";
/** What {@linkcode changeFromElsewhere} puts there. */
const LATER = "From: c@d.test\r\nSubject: later\r\n\r\nput there from elsewhere\r\n";

/** Mail as it comes, with what clients stumble over. */
export const TEXTS: readonly string[] = [
  "From: a@b.test\r\nSubject: plain\r\n\r\nbody\r\n",
  "From: a@b.test\r\nSubject: =?utf-8?q?=C3=BC?=\r\nContent-Type: text/plain; charset=utf-8\r\n" +
  "Content-Transfer-Encoding: 8bit\r\n\r\nGr\u00c3\u00bc\u00c3\u009fe\r\n.dot\r\nFrom the start\r\n",
  WITHOUT_END,
  "From: a@b.test\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\npre\r\n--x\r\n\r\none\r\n--x\r\n" +
  "Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\ninner\r\n--x--\r\n",
  `From: a@b.test\r\nSubject: long\r\n\r\n${"a line that is repeated often\r\n".repeat(5_000)}`,
];
const FLAGS = ["\\Seen", "\\Flagged $Todo", "", "\\Answered", "\\Seen \\Draft"];
export const FOLDER = "Work/&ANw-n&AO8-"; // Ünï

export interface Kept {
  readonly mailbox: string;
  readonly flags: string;
  readonly text: string;
}

export async function connect(server: RunningServer, login: string): Promise<ImapClient> {
  return await ImapClient.connect(server.port("imap"), { login, password: PASSWORD });
}

async function fill(server: RunningServer, login: string): Promise<void> {
  const client = await connect(server, login);
  await client.ok("CREATE Work");
  await client.ok(`CREATE "${FOLDER}"`);
  for (const [at, text] of TEXTS.entries()) {
    await client.ok(`APPEND INBOX (${FLAGS[at]}) "14-Nov-2023 22:13:2${at} +0000"`, text);
  }
  await client.ok(`APPEND "${FOLDER}" (\\Seen)`, TEXTS[1]);
  await client.logout();
}

/** Every message of an account, in an order of its own. */
export async function account(server: RunningServer, login: string): Promise<Kept[]> {
  const client = await connect(server, login);
  const kept: Kept[] = [];
  for (const { line } of (await client.ok('LIST "" *')).untagged) {
    const mailbox = /"\/" "?(.*?)"?$/.exec(line)![1]!;
    await client.ok(`EXAMINE "${mailbox}"`);
    for (const response of (await client.ok("UID FETCH 1:* (FLAGS BODY.PEEK[])")).untagged) {
      if (response.literals.length === 0) continue;
      // \Recent is the session's that was told first, be it ours.
      const flags = /FLAGS \(([^)]*)\)/.exec(response.line)![1]!.split(" ").filter((flag) =>
        flag !== "\\Recent"
      )
        .sort().join(" ");
      kept.push({ mailbox, flags, text: literalText(response) });
    }
  }
  await client.logout();
  return kept.sort((a, b) =>
    a.mailbox < b.mailbox ? -1 : a.mailbox > b.mailbox ? 1 : a.text < b.text ? -1 : 1
  );
}

/** Texts of the messages of a Maildir, with the letters of their flags; its files have the line ends of this system. */
export function maildir(folder: string): { text: string; letters: string }[] {
  const found: { text: string; letters: string }[] = [];
  for (const part of ["cur", "new"]) {
    for (const { name } of Deno.readDirSync(`${folder}/${part}`)) {
      const text = new TextDecoder("latin1").decode(Deno.readFileSync(`${folder}/${part}/${name}`));
      found.push({ text, letters: /:2,([A-Z]*)/.exec(name)?.[1] ?? "" });
    }
  }
  return found.sort((a, b) => a.text < b.text ? -1 : 1);
}

const LETTERS: Record<string, string> = {
  "\\Draft": "D",
  "\\Flagged": "F",
  "\\Answered": "R",
  "\\Seen": "S",
};

/** What a Maildir with the same mail holds. */
export function asMaildir(kept: readonly Kept[], mailbox: string): { text: string; letters: string }[] {
  return kept.filter((message) => message.mailbox === mailbox).map(({ text, flags }) => ({
    text: new TextDecoder("latin1").decode(encodeLatin1(text.replaceAll("\r\n", "\n"))),
    letters: flags.split(" ").map((flag) => LETTERS[flag] ?? "").sort().join(""),
  })).sort((a, b) => a.text < b.text ? -1 : 1);
}

/** Some clients end a last line, or a header, that has no end: one of our messages has none. */
export function ended<T extends { text: string }>(messages: readonly T[]): T[] {
  return messages.map((message) => ({
    ...message,
    text: message.text.startsWith(WITHOUT_END) ? message.text.trimEnd() : message.text,
  }));
}

/**
 * Every mailbox that holds anything, as the client's Maildir has it and as we do; `without` takes from a text what the client
 * adds to it, or is null for what it does not copy.
 */
export function compareMaildirs(
  kept: readonly Kept[],
  pathOf: (mailbox: string) => string,
  without: (text: string) => string | null = (text) => text,
): void {
  const cleaned = <T extends { text: string; letters: string }>(messages: readonly T[]) =>
    ended(messages).flatMap((message) => {
      const text = without(message.text);
      return text === null ? [] : [{ ...message, text }];
    }).sort((a, b) => a.text < b.text ? -1 : a.text > b.text ? 1 : a.letters < b.letters ? -1 : 1);
  for (const mailbox of new Set(kept.map((message) => message.mailbox))) {
    assert.deepEqual(cleaned(maildir(pathOf(mailbox))), cleaned(asMaildir(kept, mailbox)), mailbox);
  }
}

/** An account with one message of ours gone, one moved, one marked and one come, in a mailbox that is new. */
export async function changeFromElsewhere(server: RunningServer, login: string): Promise<void> {
  const client = await connect(server, login);
  await client.ok("CREATE Later");
  await client.ok("APPEND Later (\\Flagged)", LATER);
  await client.ok("SELECT INBOX");
  await client.ok("UID STORE 1 +FLAGS.SILENT (\\Deleted)");
  await client.ok("UID EXPUNGE 1");
  await client.ok("UID STORE 2 +FLAGS.SILENT (\\Answered)");
  await client.ok("UID STORE 2 -FLAGS.SILENT (\\Flagged)");
  await client.ok("UID MOVE 4 Work");
  await client.logout();
}

/** Where the messages are that hold this: their mailbox, a space, and their flags. */
export function placesOf(kept: readonly Kept[], piece: string): string[] {
  return kept.filter(({ text }) => text.includes(piece)).map(({ mailbox, flags }) => `${mailbox} ${flags}`);
}

/** Names of all mailboxes, those without messages too. */
export async function folders(server: RunningServer, login: string): Promise<string[]> {
  const client = await connect(server, login);
  const { untagged } = await client.ok('LIST "" *');
  await client.logout();
  return untagged.map(({ line }) => /"\/" "?(.*?)"?$/.exec(line)![1]!).sort();
}

/** A server with mail, and a folder that any user may write to. */
export async function within(
  run: (bed: { server: RunningServer; folder: string; port: string }) => Promise<void>,
): Promise<void> {
  await using server = await RunningServer.start({ threads: 2 });
  const folder = await Deno.makeTempDir({ prefix: "veredus-clients-" });
  await Deno.chmod(folder, 0o777);
  try {
    await fill(server, ALICE);
    await run({ server, folder, port: String(server.port("imap")) });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

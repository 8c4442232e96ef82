/** What is measured on large mailboxes, each figure by its commands, and its budget. */
import type { Row } from "../row.ts";
import { COMMON, MISSING, RARE } from "./messages.ts";

/** Whose INBOX holds how many messages. */
export const WORK = { user: "u1", count: 10_000 };
export const LIST = { user: "u2", count: 100_000 };
export const DROP = { user: "u3", count: 2_000 };
export const HUGE = { user: "u4", count: 1_000_000, distinct: 100_000 };

export interface LargeFigure {
  readonly name: string;
  readonly what: string;
  readonly user: string;
  readonly messages: number;
  /** The least ratio to the peer. */
  readonly least: number;
  /** Asks the full-text index, which takes its time to be made. */
  readonly indexed?: boolean;
  /**
   * Takes about as long as the way there and back: the load generator asks, whose own part is a fraction of the other client's.
   */
  readonly quick?: boolean;
  /** Not timed: on a connection that has the INBOX open. */
  readonly before?: readonly string[];
  readonly command: string;
  readonly after?: readonly string[];
}

type Inbox = typeof WORK;

function search(
  name: string,
  what: string,
  criteria: string,
  least: number,
  { user, count } = WORK,
): LargeFigure {
  const indexed = /FROM|SUBJECT|TEXT/.test(criteria);
  return {
    name,
    what: `SEARCH ${what}`,
    user,
    messages: count,
    least,
    indexed,
    command: `SEARCH ${criteria}`,
  };
}

/** What puts a mailbox in order. */
export function orders({ user, count: messages }: Inbox): LargeFigure[] {
  const ordered = (name: string, command: string): LargeFigure => ({
    ...{ name, what: command, user, messages, least: 2, command },
  });
  return [
    ordered("sort-subject", "SORT (SUBJECT) UTF-8 ALL"),
    ordered("sort-from", "SORT (FROM) UTF-8 ALL"),
    ordered("sort-arrival", "SORT (REVERSE ARRIVAL) UTF-8 ALL"),
    ordered("sort-date", "SORT (DATE) UTF-8 ALL"),
    ordered("thread-references", "THREAD REFERENCES UTF-8 ALL"),
    ordered("thread-subject", "THREAD ORDEREDSUBJECT UTF-8 ALL"),
  ];
}

/** Commands of some messages in the middle of a mailbox, which `#` stands for. */
export function within(
  { count }: Inbox,
  messages: number,
  { what, ...commands }:
    & Pick<LargeFigure, "what" | "command">
    & Partial<Pick<LargeFigure, "before" | "after">>,
) {
  const named = (command: string) => command.replace("#", `${count / 2 + 1}:${count / 2 + messages}`);
  return {
    what: `${what} in ${count.toLocaleString("en-US")}`,
    messages,
    command: named(commands.command),
    ...(commands.before !== undefined && { before: commands.before.map(named) }),
    ...(commands.after !== undefined && { after: commands.after.map(named) }),
  };
}

const work = { user: WORK.user, messages: WORK.count };
const deleteAll = "STORE 1:* +FLAGS.SILENT (\\Deleted)";

/** What reads a mailbox: of each size, its name behind that of the figure; bodies of so many messages, or of all. */
export function reads(size: string, inbox: Inbox, bodies = inbox.count): LargeFigure[] {
  const { user, count: messages } = inbox;
  const fetch = (name: string, what: string, items: string, least: number): LargeFigure => ({
    ...{ name: `fetch-${name}${size}`, what: `FETCH 1:* ${what}`, user, messages, least },
    command: `FETCH 1:* (${items})`,
  });
  const found = (name: string, what: string, criteria: string) =>
    search(`search-${name}${size}`, what, criteria, 1.5, inbox);
  return [
    fetch("flags", "FLAGS", "UID FLAGS", 1.5),
    fetch(
      "envelope",
      "ENVELOPE BODYSTRUCTURE",
      "UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE",
      1.5,
    ),
    fetch("header", "header fields", "UID BODY.PEEK[HEADER.FIELDS (FROM TO SUBJECT DATE)]", 1),
    {
      ...fetch("bodies", "bodies", "UID BODY.PEEK[]", 1.5),
      ...(bodies < inbox.count &&
        within(inbox, bodies, { what: "FETCH of bodies", command: "FETCH # (UID BODY.PEEK[])" })),
    },
    { ...found("flags", "UNSEEN FLAGGED", "UNSEEN FLAGGED"), quick: true },
    found("dates", "SINCE BEFORE", "SINCE 3-Jan-2024 BEFORE 5-Jan-2024"),
    found("sent", "SENTSINCE", "SENTSINCE 5-Jan-2024"),
    found("from", "FROM", 'FROM "Sender 42"'),
    found("subject", "SUBJECT", 'SUBJECT "winter"'),
  ];
}

/** In the order they are measured. */
export const LARGE_FIGURES: readonly LargeFigure[] = [
  ...reads("", WORK),
  search("search-text-rare", "TEXT, a rare word", `TEXT ${RARE}`, 60),
  search("search-text-miss", "TEXT, a miss", `TEXT ${MISSING}`, 60),
  search("search-text-part", "TEXT, a fragment", `TEXT ${RARE.slice(2, 9)}`, 1),
  search("search-text-common", "TEXT, a common word", `TEXT ${COMMON}`, 1),
  {
    ...work,
    name: "copy",
    what: "COPY",
    least: 1.5,
    before: ["CREATE Copies"],
    command: "COPY 1:* Copies",
    after: ["DELETE Copies"],
  },
  {
    ...work,
    name: "move",
    what: "MOVE",
    least: 1.5,
    before: ["CREATE Copies", "CREATE Moved", "COPY 1:* Copies", "SELECT Copies"],
    command: "MOVE 1:* Moved",
    after: ["SELECT INBOX", "DELETE Copies", "DELETE Moved"],
  },
  {
    ...work,
    name: "store-many",
    what: "STORE 1:*",
    least: 1.5,
    before: ["CREATE Copies", "COPY 1:* Copies", "SELECT Copies"],
    command: deleteAll,
    after: ["SELECT INBOX", "DELETE Copies"],
  },
  {
    ...work,
    name: "expunge",
    what: "EXPUNGE",
    least: 1.5,
    before: ["CREATE Copies", "COPY 1:* Copies", "SELECT Copies", deleteAll],
    command: "EXPUNGE",
    after: ["SELECT INBOX", "DELETE Copies"],
  },
  ...reads("-2k", DROP),
  ...reads("-100k", LIST),
  ...orders(LIST),
];

/** Of one command: until its tagged line, and of the server's processors. */
export interface Times {
  readonly ms: number;
  readonly processorMs: number;
}

/** Rates of messages, and the times themselves as a note. */
export function rowOf(
  figure: LargeFigure,
  times: { readonly ours: Times; readonly peer: Times | null },
): Row {
  const rate = ({ ms }: Times) => figure.messages / ms * 1000;
  const { ours, peer } = times;
  const shown = (ms: number) => ms.toFixed(ms < 1 ? 2 : 1);
  const text = ({ ms, processorMs }: Times) => `${shown(ms)} (${shown(processorMs)}) ms`;
  return {
    figure: figure.name,
    what: `${figure.what}, ${figure.messages.toLocaleString("en-US")} messages`,
    unit: "messages/s",
    ours: rate(ours),
    peer: peer === null ? null : rate(peer),
    budget: { kind: "ratio", least: figure.least },
    note: peer === null ? text(ours) : `${text(ours)}; peer ${text(peer)}`,
  };
}

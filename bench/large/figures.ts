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
  /** Not timed: on a connection that has the INBOX open. */
  readonly before?: readonly string[];
  readonly command: string;
  readonly after?: readonly string[];
}

function search(name: string, what: string, criteria: string, least: number): LargeFigure {
  return {
    name,
    what: `SEARCH ${what}`,
    user: WORK.user,
    messages: WORK.count,
    least,
    command: `SEARCH ${criteria}`,
  };
}

function onList(name: string, command: string, least: number): LargeFigure {
  return { name, what: command, user: LIST.user, messages: LIST.count, least, command };
}

const work = { user: WORK.user, messages: WORK.count };
const deleteAll = "STORE 1:* +FLAGS.SILENT (\\Deleted)";

/** In the order they are measured. */
export const LARGE_FIGURES: readonly LargeFigure[] = [
  { ...work, name: "fetch-flags", what: "FETCH 1:* FLAGS", least: 1.5, command: "FETCH 1:* (UID FLAGS)" },
  {
    ...work,
    name: "fetch-envelope",
    what: "FETCH 1:* ENVELOPE BODYSTRUCTURE",
    least: 1.5,
    command: "FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)",
  },
  {
    ...work,
    name: "fetch-header",
    what: "FETCH 1:* header fields",
    least: 1,
    command: "FETCH 1:* (UID BODY.PEEK[HEADER.FIELDS (FROM TO SUBJECT DATE)])",
  },
  {
    ...work,
    name: "fetch-bodies",
    what: "FETCH 1:* bodies",
    least: 1.5,
    command: "FETCH 1:* (UID BODY.PEEK[])",
  },
  search("search-flags", "UNSEEN FLAGGED", "UNSEEN FLAGGED", 1.5),
  search("search-dates", "SINCE BEFORE", "SINCE 3-Jan-2024 BEFORE 5-Jan-2024", 1.5),
  search("search-sent", "SENTSINCE", "SENTSINCE 5-Jan-2024", 1.5),
  search("search-from", "FROM", 'FROM "Sender 42"', 1.5),
  search("search-subject", "SUBJECT", 'SUBJECT "winter"', 1.5),
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
  onList("sort-subject", "SORT (SUBJECT) UTF-8 ALL", 2),
  onList("sort-from", "SORT (FROM) UTF-8 ALL", 2),
  onList("sort-arrival", "SORT (REVERSE ARRIVAL) UTF-8 ALL", 2),
  onList("sort-date", "SORT (DATE) UTF-8 ALL", 2),
  onList("thread-references", "THREAD REFERENCES UTF-8 ALL", 2),
  onList("thread-subject", "THREAD ORDEREDSUBJECT UTF-8 ALL", 2),
];

/** Rates of messages, and the times themselves as a note. */
export function rowOf(
  figure: LargeFigure,
  times: { readonly ours: number; readonly peer: number | null },
): Row {
  const rate = (ms: number) => figure.messages / ms * 1000;
  const { ours, peer } = times;
  return {
    figure: figure.name,
    what: `${figure.what}, ${figure.messages.toLocaleString("en-US")} messages`,
    unit: "messages/s",
    ours: rate(ours),
    peer: peer === null ? null : rate(peer),
    budget: { kind: "ratio", least: figure.least },
    note: `${ours.toFixed(1)} ms${peer === null ? "" : `; peer ${peer.toFixed(1)} ms`}`,
  };
}

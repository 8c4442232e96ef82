/** NOTIFY (RFC 5465 8). Pure. */
import { LPAREN, RPAREN, SP } from "../../../bytes/ascii.ts";
import type { Command } from "../command.ts";
import type { FetchItem } from "../fetch_plan.ts";
import { atom, type CommandCursor, list } from "../lexer.ts";
import { type MailboxFilter, parseMailboxFilter } from "../mailbox_filter.ts";
import { fetchItemList } from "./fetch.ts";

const KINDS = [
  "selected",
  "selected-delayed",
  "inboxes",
  "personal",
  "subscribed",
  "subtree",
  "mailboxes",
] as const;
const MAX_GROUPS = 100;
const MAX_EVENTS = 20;

/** The events that there are, in lower case by their names. */
export const NOTIFY_EVENTS = {
  messagenew: "MessageNew",
  messageexpunge: "MessageExpunge",
  flagchange: "FlagChange",
  mailboxname: "MailboxName",
  subscriptionchange: "SubscriptionChange",
  mailboxmetadatachange: "MailboxMetadataChange",
  servermetadatachange: "ServerMetadataChange",
} as const;

export type NotifyEvent = keyof typeof NOTIFY_EVENTS;

export interface EventGroup {
  readonly filter: MailboxFilter;
  readonly events: ReadonlySet<NotifyEvent>;
  /** Told of new messages in the selected mailbox. */
  readonly items: readonly FetchItem[];
}

/** event-group as it stands; names that we do not know are kept apart. */
export function parseNotify(cursor: CommandCursor): Command {
  cursor.space();
  if (cursor.word("none")) return { name: "NOTIFY", groups: null, status: false, unknown: false };
  if (!cursor.word("set")) cursor.fail("SET or NONE");
  const status = cursor.word(" status");
  const groups: EventGroup[] = [];
  const seen = { unknown: false };
  do {
    cursor.space();
    groups.push(eventGroup(cursor, seen));
    if (groups.length > MAX_GROUPS) cursor.fail(`at most ${MAX_GROUPS} event groups`);
  } while (cursor.ok && cursor.peek() === SP);
  if (groups.filter(({ filter }) => filter.kind.startsWith("selected")).length > 1) {
    cursor.fail("one of SELECTED and SELECTED-DELAYED");
  }
  return { name: "NOTIFY", groups, status, unknown: seen.unknown };
}

function eventGroup(cursor: CommandCursor, seen: { unknown: boolean }): EventGroup {
  cursor.expect(LPAREN, "an event group");
  const filter = parseMailboxFilter(cursor, KINDS);
  const selected = filter.kind === "selected" || filter.kind === "selected-delayed";
  cursor.space();
  const events = new Set<NotifyEvent>();
  let items: readonly FetchItem[] = [];
  const event = () => {
    const word = atom(cursor, "an event").toLowerCase();
    if (!isEvent(word)) {
      seen.unknown = true;
      return;
    }
    if (selected && !word.startsWith("message") && word !== "flagchange") {
      cursor.fail("an event of messages beside SELECTED"); // 6.1
    }
    events.add(word);
    if (word !== "messagenew" || cursor.bytes[cursor.at + 1] !== LPAREN || !cursor.take(SP)) return;
    if (!selected) cursor.fail("attributes beside SELECTED only");
    items = fetchItemList(cursor);
  };
  if (cursor.peek() !== LPAREN && cursor.word("none")) { /* no event */ }
  else if (cursor.peek() === LPAREN) {
    list(cursor, event, { least: 1, most: MAX_EVENTS });
  } else {
    // The RFC's own example has a single event without parentheses.
    event();
  }
  cursor.expect(RPAREN, ")");
  // 5: who asks for one of these asks for the others.
  if (events.has("messagenew") !== events.has("messageexpunge")) {
    cursor.fail("MessageNew and MessageExpunge together");
  }
  if (events.has("flagchange") && !events.has("messagenew")) {
    cursor.fail("MessageNew and MessageExpunge beside FlagChange");
  }
  return { filter, events, items };
}

function isEvent(word: string): word is NotifyEvent {
  return Object.hasOwn(NOTIFY_EVENTS, word);
}

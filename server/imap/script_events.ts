/**
 * Events of IMAP commands that scripts may run on (RFC 6785 2.2): told behind the change and before the command's answer,
 * only where the mailbox has a script, so that others pay one look-up.
 */
import { eventScript } from "../../delivery/scripts/imap_events.ts";
import { flagNames } from "../../delivery/scripts/flag_bits.ts";
import type { Mailbox } from "../../storage/mailboxes.ts";
import type { Store } from "../../storage/store.ts";
import { accountOf, type ImapContext, type Selected } from "./context.ts";

/** A mailbox under its owner's name for it. */
type Owned = Pick<Mailbox, "id" | "accountId"> & { readonly ownName: string };

/** New messages of a mailbox. */
export async function messagesCame(
  context: ImapContext,
  mailbox: Owned,
  { cause, uids }: { readonly cause: "APPEND" | "COPY"; readonly uids: readonly number[] },
): Promise<void> {
  if (!hasScript(context, mailbox)) return;
  await tell(context, mailbox, { cause, uids, changedFlags: () => [] });
}

/** Flags of messages as they were; null where no script wants to know. */
export type FlagsBefore = ReadonlyMap<number, string>;

export function flagsBefore(
  context: ImapContext,
  selected: Selected,
  uids: Iterable<number>,
): FlagsBefore | null {
  if (!hasScript(context, selected.mailbox)) return null;
  const before = new Map<number, string>();
  for (const uid of uids) {
    const flags = flagsOf(selected, uid);
    if (flags !== null) before.set(uid, flags);
  }
  return before;
}

/** Tells of those whose flags are others than before. */
export async function flagsChanged(
  context: ImapContext,
  selected: Selected,
  before: FlagsBefore,
): Promise<void> {
  const changed = new Map<number, string[]>();
  for (const [uid, old] of before) {
    const now = flagsOf(selected, uid);
    if (now !== null && now !== old) changed.set(uid, difference(old, now));
  }
  if (changed.size === 0) return;
  await tell(context, selected.mailbox, {
    cause: "FLAG",
    uids: [...changed.keys()],
    changedFlags: (uid) => changed.get(uid) ?? [],
  });
}

/** Whether a mailbox has a script, until an annotation of any changes: STORE asks each time. */
const answers = new WeakMap<Store, Map<number, boolean>>();
const MAX_ANSWERS = 10_000;

function hasScript({ scriptEvent, store }: ImapContext, { accountId, id }: Owned): boolean {
  if (scriptEvent === null) return false;
  let known = answers.get(store);
  if (known === undefined) {
    const made = known = new Map<number, boolean>();
    answers.set(store, made);
    store.onChange(({ kind }) => {
      if (kind === "annotations" || kind === "directory") made.clear();
    });
  }
  let answer = known.get(id);
  if (answer === undefined) {
    answer = eventScript(store, accountId, id) !== null;
    if (known.size >= MAX_ANSWERS) known.clear();
    known.set(id, answer);
  }
  return answer;
}

async function tell(
  context: ImapContext,
  { id, accountId, ownName }: Owned,
  event: Pick<Parameters<NonNullable<ImapContext["scriptEvent"]>>[0], "cause" | "uids" | "changedFlags">,
): Promise<void> {
  const user = accountOf(context);
  try {
    await context.scriptEvent!({ ...event, user, ownerId: accountId, mailboxId: id, mailbox: ownName });
  } catch (error) {
    // The change itself is done: the command says so.
    context.log.error("a script on an IMAP event could not be carried out: {error}", { error });
  }
}

function flagsOf({ index }: Selected, uid: number): string | null {
  const at = index.positionOf(uid);
  return at < 0 ? null : [...flagNames(index.flagsAt(at)), index.keywordsAt(at)].join(" ").trim();
}

function difference(a: string, b: string): string[] {
  const words = (text: string) => new Set(text.split(" ").filter((word) => word !== ""));
  return [...words(a).symmetricDifference(words(b))];
}

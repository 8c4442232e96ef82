/** STORE and EXPUNGE (RFC 3501 6.4.3, 6.4.6; RFC 4315 2.1). Durable before the OK. */
import type { Command } from "../../protocols/imap/command.ts";
import { fetchHead } from "../../protocols/imap/format/fetch.ts";
import {
  formatRanges,
  type Ranges,
  rangesOf,
  SAVED_RESULT,
  type SequenceSet,
} from "../../protocols/imap/sequence_set.ts";
import type { Reply } from "../../protocols/imap/reply.ts";
import type { ReaderRights } from "../../storage/ops.ts";
import { accountOf, bad, type ImapContext, no, ok, type Selected, selectedOf } from "./context.ts";
import { refusal } from "./fault.ts";
import { flagsAllowed, NOT_PERMITTED } from "./names.ts";
import { limited, limitedDeleted, withCode } from "./message_limit.ts";
import { flagsBefore, flagsChanged } from "./script_events.ts";
import { flagsTeach } from "./teaches.ts";
import { writeFlags } from "./unsolicited.ts";

/** Answers between two looks at the output buffer. */
const BATCH = 1_000;

export const OUT_OF_RANGE = bad("A message number is out of range");
export const READ_ONLY = no("The mailbox is open read-only");

/** Sequence ranges of a command's set; null when a number is out of range. */
export function resolveSet(
  selected: Selected,
  command: { readonly uid: boolean; readonly set: SequenceSet },
): Ranges | null {
  const { view } = selected;
  if (command.set === SAVED_RESULT) return view.resolveUids(selected.saved);
  return command.uid ? view.resolveUids(command.set) : view.resolveSequence(command.set);
}

export async function storeFlags(
  context: ImapContext,
  command: Extract<Command, { name: "STORE" }>,
): Promise<Reply> {
  const selected = selectedOf(context);
  const { view, mailbox } = selected;
  const ranges = resolveSet(selected, command);
  if (ranges === null) return OUT_OF_RANGE;
  if (selected.readOnly) return READ_ONLY;
  if (!mayChange(selected, command)) return NOT_PERMITTED;
  if (ranges.length === 0) return ok("Store completed");
  const some = limited(context, selected, ranges);
  const before = flagsBefore(context, selected, uidsOf(selected, some.ranges));
  view.beginStore();
  let modSeq: number | null = null;
  let modified: readonly number[] = [];
  try {
    const result = await context.store.write({
      kind: "store-flags",
      mailboxId: mailbox.id,
      uids: view.uidRanges(some.ranges),
      mode: command.mode,
      flags: command.flags.flags,
      keywords: command.flags.keywords.map((keyword) =>
        selected.keywords.get(keyword.toLowerCase()) ?? keyword
      ),
      unchangedSince: command.unchangedSince,
      ...flagsTeach(mailbox, { mode: command.mode, ...command.flags }),
      ...readerField(context, selected),
    });
    if (!result.ok) return refusal(result);
    if (result.kind === "flags") {
      modified = result.modified;
      // Where nothing changed the MODSEQ is that of another's change, which is still to be told.
      if (result.changed.length > 0) modSeq = result.modSeq;
    }
  } finally {
    view.endStore(modSeq);
  }
  if (before !== null) await flagsChanged(context, selected, before);
  const { silent, uid } = command;
  const conditional = command.unchangedSince !== null;
  const reply = await answerStore(context, {
    selected,
    ranges: some.ranges,
    silent,
    skip: new Set(modified),
    conditional,
  });
  if (modified.length === 0) return withCode(context, some.code, reply);
  // RFC 7162 3.1.3: the numbers are of the kind the command used.
  const refused = uid ? modified : modified.map((number) => view.sequenceOf(number)).filter((n) => n > 0);
  const code = `MODIFIED ${formatRanges(rangesOf(refused))}`;
  return withCode(context, some.code, ok("Some messages have changed since", code));
}

function* uidsOf({ view, index }: Selected, ranges: Ranges): Generator<number> {
  for (const [first, last] of view.uidRanges(ranges)) {
    for (let at = index.lowerBound(first); at < index.count && index.uidAt(at) <= last; at++) {
      yield index.uidAt(at);
    }
  }
}

/** RFC 4314 4: it is enough that one of the flags may be changed; the others stay as they are. */
function mayChange(
  { rights }: Selected,
  { mode, flags: named }: Extract<Command, { name: "STORE" }>,
): boolean {
  const { flags, keywords } = flagsAllowed(rights);
  if (mode === "replace") return flags !== 0 || keywords;
  return (named.flags & flags) !== 0 || (keywords && named.keywords.length > 0) ||
    (named.flags === 0 && named.keywords.length === 0);
}

/** For writes of flags: who stores, where it is not the owner. */
export function readerField(context: ImapContext, selected: Selected): { readonly reader?: ReaderRights } {
  const { mailbox: { own }, rights } = selected;
  return own ? {} : { reader: { readerId: accountOf(context).id, ...flagsAllowed(rights) } };
}

/**
 * The new flags of every message named, unless `.SILENT` (RFC 3501 6.4.6); then still its MODSEQ when the client
 * knows it (RFC 7162 3.1.3).
 */
async function answerStore(
  context: ImapContext,
  stored: {
    readonly selected: Selected;
    readonly ranges: Ranges;
    readonly silent: boolean;
    /** UIDs that UNCHANGEDSINCE refused. */
    readonly skip: ReadonlySet<number>;
    readonly conditional: boolean;
  },
): Promise<Reply> {
  const { selected, ranges, silent, skip, conditional } = stored;
  const { index } = selected;
  const { uidOnly } = context.session.enabled;
  const onlyModSeq = silent && context.session.enabled.condstore;
  const quiet = silent && !onlyModSeq;
  let gone = false;
  for (const [from, to] of ranges) {
    for (let start = from; start <= to; start += BATCH) {
      selected.view.walk(start, Math.min(to, start + BATCH - 1), (sequence, uid, position) => {
        if (position < 0) gone = true;
        else if (skip.has(uid)) return;
        else if (!silent) writeFlags(context, selected, uid);
        else if (onlyModSeq) {
          const head = fetchHead(uidOnly, sequence, uid);
          const named = uidOnly ? "" : `UID ${uid} `;
          context.out.text(`${head}${named}MODSEQ (${index.modSeqAt(position)}))\r\n`);
        }
      });
      const full = quiet && start + BATCH > to ? undefined : context.drain();
      if (full !== undefined) await full;
    }
  }
  if (!gone) return ok("Store completed");
  // RFC 7162 3.1.3: a conditional STORE says NO when a message is gone.
  return conditional
    ? no("Some messages are gone", "EXPUNGEISSUED")
    : ok("Some messages are gone", "EXPUNGEISSUED");
}

/** The code for a client that knows MODSEQ, where it took messages away (RFC 7162 3.2.7, RFC 6851 4.4, RFC 8508 4.5). */
export function highestModSeq({ session }: ImapContext, { index }: Selected): string {
  return session.enabled.condstore ? `HIGHESTMODSEQ ${index.highestModSeq}` : "";
}

export async function expunge(
  context: ImapContext,
  command: { readonly uids: SequenceSet | null },
): Promise<Reply> {
  const selected = selectedOf(context);
  if (selected.readOnly) return READ_ONLY;
  if (!selected.rights.includes("e")) return NOT_PERMITTED;
  const { view, mailbox } = selected;
  const named = command.uids === null ? null : limitedDeleted(
    context,
    selected,
    view.resolveUids(command.uids === SAVED_RESULT ? selected.saved : command.uids),
  );
  const ranges = named === null ? null : view.uidRanges(named.ranges);
  if (ranges !== null && ranges.length === 0) return ok("Expunge completed");
  const result = await context.store.write({
    kind: "expunge",
    mailboxId: mailbox.id,
    uids: ranges,
    onlyDeleted: true,
  });
  // The EXPUNGE responses come with all other news before the tagged reply.
  if (!result.ok) return refusal(result);
  const some = result.kind === "expunged" && result.uids.length > 0;
  const reply = ok("Expunge completed", some ? highestModSeq(context, selected) : "");
  return withCode(context, named?.code ?? "", reply);
}

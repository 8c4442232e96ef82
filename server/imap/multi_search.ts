/**
 * ESEARCH (RFC 7377): one search in many mailboxes, one after the other, each with an ESEARCH response of its own.
 *
 * A mailbox that is not selected is looked at through a view of its own, which lives as long as the search in it and is
 * told of what is expunged meanwhile.
 */
import type { Command } from "../../protocols/imap/command.ts";
import { formatMailbox } from "../../protocols/imap/format/list.ts";
import type { Reply } from "../../protocols/imap/reply.ts";
import { MailboxView } from "../../protocols/imap/view.ts";
import { accountOf, bad, type ImapContext, no, ok, type Selected } from "./context.ts";
import type { NamedMailbox } from "./names.ts";
import { filteredMailboxes } from "./mailbox_filter.ts";
import { beginUpdates, NO_UPDATES, type Updates } from "./search_context.ts";
import { findMessages } from "./search.ts";
import { answerFound, refusedSearch, savedOf } from "./search_result.ts";

export async function multiSearch(
  context: ImapContext,
  command: Extract<Command, { name: "ESEARCH" }>,
): Promise<Reply> {
  const { returns } = command;
  const sources = command.sources ?? [{ kind: "selected" as const }];
  const withSelected = sources.some(({ kind }) => kind === "selected");
  const { selected } = context;
  if ((withSelected || returns.update !== null) && selected === null) return bad("Select a mailbox first");
  if (returns.save && !(withSelected && sources.length === 1)) {
    return bad("SAVE is for the selected mailbox only");
  }
  let updates: Updates = NO_UPDATES;
  if (returns.update !== null && selected !== null) {
    const begun = beginUpdates(context, selected, { ...command, name: "SEARCH", uid: true });
    if ("status" in begun) return begun;
    updates = begun;
  }
  const mailboxes = filteredMailboxes(context, sources).filter(({ id }) =>
    !(withSelected && id === selected?.mailbox.id)
  );
  let broken = false;
  const run = async (scene: Selected): Promise<Reply | null> => {
    const found = await findMessages(context, scene, command);
    if ("status" in found) {
      updates.cancel();
      return refusedSearch(scene, returns, found);
    }
    broken ||= found.broken;
    // Of many mailboxes: each is said before its answer.
    if (found.code !== "") {
      context.out.text(`* NO [${found.code}] Only the newest messages were looked at\r\n`);
    }
    if (found.hits.count > 0) {
      await answerFound(context, scene, { ...command, name: "SEARCH", uid: true }, found.hits, {
        mailbox: formatMailbox(scene.mailbox.name, context.session.enabled.utf8),
        uidValidity: scene.mailbox.uidValidity,
      });
    }
    if (scene !== selected) return null;
    if (returns.save) scene.saved = found.broken ? [] : savedOf(returns, found.hits);
    updates.start(found.hits);
    return null;
  };
  if (withSelected && selected !== null) {
    const refused = await run(selected);
    if (refused !== null) return refused;
  }
  for (const mailbox of mailboxes) {
    const refused = await elsewhere(context, mailbox, run);
    if (refused !== null) return refused;
  }
  return broken ? no("Some messages could not be read", "SERVERBUG") : ok("Esearch completed");
}

/** Runs a search in a mailbox that is not selected; one that is gone meanwhile is left out. */
async function elsewhere(
  context: ImapContext,
  mailbox: NamedMailbox,
  run: (scene: Selected) => Promise<Reply | null>,
): Promise<Reply | null> {
  const index = await context.store.mailboxes.openFor(mailbox, accountOf(context).id);
  if (index === null) return null;
  const view = new MailboxView(index, mailbox.own ? mailbox.recentUid : Infinity);
  const stop = index.subscribe((change) => {
    if (change.kind === "expunged") view.noteExpunged(change.uids, change.modSeq);
  });
  try {
    return await run({
      mailbox,
      rights: mailbox.rights,
      index,
      view,
      readOnly: true,
      keywords: new Map(),
      saved: [],
      searches: new Map(),
      modSeqTold: true,
      stop,
    });
  } finally {
    stop();
    index.release();
  }
}

/**
 * A script over mail that is in a mailbox already: filed, flagged and discarded as if it came now, a page at a time.
 *
 * What would go out (redirects, answers, notices) is not sent for old mail, and a message that would be refused stays;
 * both are told. Each message's actions are one transaction, in which it may move to several mailboxes.
 */
import { encode } from "../../bytes/decode.ts";
import { MessageView } from "../../sieve/message_view.ts";
import type { Action } from "../../sieve/outcome.ts";
import { compileScript, type Program } from "../../sieve/program.ts";
import { faultText } from "../../sieve/fault.ts";
import type { WriteOp } from "../../storage/ops.ts";
import type { ScriptRow } from "../../storage/scripts.ts";
import type { Account } from "../../storage/directory_view.ts";
import type { Mailbox } from "../../storage/mailboxes.ts";
import type { MessageRow } from "../../storage/messages.ts";
import type { Store } from "../../storage/store.ts";
import { MAX_SEEN_OCTETS } from "./carry_out.ts";
import { finder } from "./chain.ts";
import { flagBits } from "./flag_bits.ts";
import { scriptHost } from "./host.ts";
import { destinationOf } from "./destination.ts";

export interface ExistingOptions {
  readonly store: Store;
  readonly account: Account;
  readonly mailbox: Mailbox;
  readonly script: ScriptRow;
  readonly hostname: string;
  readonly now: number;
  /** Tells what would happen and does nothing. */
  readonly dryRun: boolean;
}

export interface ExistingPage {
  /** UIDs above it are still to come; null: that was all. */
  readonly next: number | null;
  readonly looked: number;
  readonly changed: number;
  readonly results: readonly { readonly uid: number; readonly actions: readonly string[] }[];
}

/** Messages with UIDs above `after`. A text is why the script cannot run. */
export async function runOverExisting(
  options: ExistingOptions,
  { after, limit }: { readonly after: number; readonly limit: number },
): Promise<ExistingPage | string> {
  const { store, mailbox, script } = options;
  const compiled = await compileScript(encode(script.content), {
    name: script.name,
    find: finder(script, store.scripts),
  });
  if ("faults" in compiled) return compiled.faults.map(faultText).join("; ");
  const rows = store.messages.rows(mailbox.id, [[after + 1, 0xffffffff]], { limit, withImap: false });
  const results: { uid: number; actions: readonly string[] }[] = [];
  let changed = 0;
  for (const row of rows) {
    const { actions, ops, changes } = await decided(options, compiled.program, row);
    results.push({ uid: row.uid, actions });
    if (!changes) continue;
    changed++;
    if (!options.dryRun) await store.write({ kind: "batch", ops });
  }
  const last = rows.at(-1)?.uid;
  return {
    next: last === undefined || rows.length < limit ? null : last,
    looked: rows.length,
    changed,
    results,
  };
}

async function decided(
  options: ExistingOptions,
  program: Program,
  row: MessageRow,
): Promise<{ readonly actions: readonly string[]; readonly ops: WriteOp[]; readonly changes: boolean }> {
  const { store, account, mailbox, hostname, now, dryRun } = options;
  const { prefix, blob, headerOctets } = row;
  const wanted = Math.min(program.needsBody ? MAX_SEEN_OCTETS : headerOctets, blob.length);
  const octets = await store.blobs.read(blob, 0, wanted);
  const all = new Uint8Array(prefix.length + octets.length);
  all.set(prefix);
  all.set(octets, prefix.length);
  const view = new MessageView(all, { sizeOctets: row.sizeOctets });
  const host = scriptHost({
    ...{ store, account, hostname, now, client: { address: "", name: "" } },
    envelope: { from: view.addressIn("return-path"), to: account.address },
  });
  const { actions, implicitKeep, fault, trace } = program.run(view, host);
  if (fault !== null) return { actions: [`fault: ${faultText(fault)}`], ops: [], changes: false };
  const uids = [[row.uid, row.uid]] as const;
  const ops: WriteOp[] = [];
  let stays = implicitKeep !== null;
  const flag = (flags: readonly string[] | null) => {
    if (flags === null || flags.length === 0) return;
    const bits = flagBits(flags);
    ops.push({
      ...{ kind: "store-flags", mailboxId: mailbox.id, uids, mode: "add", flags: bits.flags },
      ...{ keywords: bits.keywords.split(" ").filter((word) => word !== ""), unchangedSince: null },
    });
  };
  flag(implicitKeep?.flags ?? null);
  const copies: WriteOp[] = [];
  /** A copy into a mailbox that a dry run does not make. */
  let planned = false;
  for (const action of actions) {
    if (action.kind === "fileinto") {
      const to = await destinationOf(store, account, dryRun ? { ...action, create: false } : action);
      if (to === null && dryRun && action.create) planned = true;
      else if (to === null || to === mailbox.id) stays = true;
      else copies.push({ kind: "copy", from: mailbox.id, to, uids, move: false });
      flag(action.flags);
    } else if (action.kind === "keep") {
      stays = true;
      flag(action.flags);
    } else if (isOutgoing(action)) stays = true;
  }
  ops.push(...copies);
  if (!stays) ops.push({ kind: "expunge", mailboxId: mailbox.id, uids, onlyDeleted: false });
  return { actions: trace, ops, changes: planned || ops.length > 0 };
}

function isOutgoing({ kind }: Action): boolean {
  return kind === "redirect" || kind === "reject";
}

/**
 * Scripts on IMAP events (RFC 6785): a message came by APPEND or COPY, or its flags changed.
 *
 * The script is the one of the mailbox's owner that the annotation `/shared/imapsieve/script` of the mailbox names, else
 * that of the account. It runs behind the change, each message for itself, and its actions are one transaction: copies,
 * flags, mail of its own, what is remembered. `fileinto`, `redirect` and `discard` without a keep mark the message \Deleted
 * (2.2.4); nothing that a script does is an event. What is for deliveries alone (reject, vacation, envelope) is a fault
 * (3.11, 4.6): nothing happens then, and the owner is told once.
 */
import { getLogger } from "@logtape/logtape";
import { encode, utf8 } from "../../bytes/decode.ts";
import { faultText } from "../../sieve/fault.ts";
import { MessageView } from "../../sieve/message_view.ts";
import type { Action, Outcome, Redirect } from "../../sieve/outcome.ts";
import type { Program } from "../../sieve/program.ts";
import { FLAG_DELETED } from "../../storage/changes.ts";
import type { WriteOp } from "../../storage/ops.ts";
import type { ScriptRow } from "../../storage/scripts.ts";
import type { Account } from "../../storage/directory_view.ts";
import type { MessageRow } from "../../storage/messages.ts";
import type { Store } from "../../storage/store.ts";
import { counter } from "../../telemetry/metrics.ts";
import { type PostOptions, prepareOwnMail } from "../post.ts";
import type { MailboxTarget } from "../recipients.ts";
import { MAX_SEEN_OCTETS } from "./carry_out.ts";
import { compiledScript, type Decision } from "./chain.ts";
import { destinationOf } from "./destination.ts";
import { flagBits, flagNames } from "./flag_bits.ts";
import { scriptHost } from "./host.ts";
import { remember, stateKey } from "./memory.ts";
import { OwnMail } from "./own_mail.ts";

const log = getLogger(["veredus", "sieve"]);
const runs = counter(
  "veredus_sieve_imap_events_total",
  "Runs of scripts on IMAP events, by cause and outcome",
  [
    "cause",
    "outcome",
  ],
);

const ENTRY = "/shared/imapsieve/script";
/** Annotations of the account itself. */
const SERVER = 0;
const FOR_DELIVERIES = ["envelope", "ereject", "reject", "vacation"];
/** Messages of one event whose scripts run. */
const MAX_MESSAGES = 1_000;
/** Redirected at most so large. */
const MAX_REDIRECTED = 25_000_000;
const REDIRECT_MS = 86_400_000;

export interface ImapEvent {
  readonly cause: "APPEND" | "COPY" | "FLAG";
  /** Whose session it was. */
  readonly user: Account;
  readonly ownerId: number;
  readonly mailboxId: number;
  /** As its owner calls it. */
  readonly mailbox: string;
  readonly uids: readonly number[];
  /** Of `FLAG`: names of what changed. */
  readonly changedFlags: (uid: number) => readonly string[];
}

export interface ImapEventParts {
  readonly post: PostOptions;
  readonly hostname: string;
}

/** The script that events of this mailbox run; null: none (2.3.1). */
export function eventScript(
  { mailboxes, scripts }: Pick<Store, "mailboxes" | "scripts">,
  ownerId: number,
  mailboxId: number,
): ScriptRow | null {
  const entryOf = (id: number) => mailboxes.annotations(ownerId, id).find(({ entry }) => entry === ENTRY);
  const entry = entryOf(mailboxId) ?? entryOf(SERVER);
  const name = entry === undefined ? "" : utf8(entry.value).trim();
  return name === "" ? null : scripts.script("user", String(ownerId), name);
}

/** Runs it; never rejects for what a script or a message is. Rejects with StorageError. */
export async function runImapEvent(parts: ImapEventParts, event: ImapEvent): Promise<void> {
  const { store } = parts.post;
  const script = eventScript(store, event.ownerId, event.mailboxId);
  const owner = store.directory.accountById(event.ownerId);
  if (script === null || owner === null) return;
  const compiled = await compiledScript(script, store.scripts);
  const forbidden = "program" in compiled
    ? FOR_DELIVERIES.find((name) => compiled.program.extensions.has(name))
    : undefined;
  if ("faults" in compiled || forbidden !== undefined) {
    const why = "faults" in compiled
      ? faultText(compiled.faults[0]!)
      : `${forbidden} is for deliveries alone`;
    runs.inc({ cause: event.cause, outcome: "failed" });
    log.warn("script {script} cannot run on IMAP events: {why}", {
      script: script.name,
      account: owner.address,
      why,
    });
    await write(store, await new EventRun(parts, event, { owner, script, program: null }).faultNote(why));
    return;
  }
  const run = new EventRun(parts, event, { owner, script, program: compiled.program });
  if (event.uids.length > MAX_MESSAGES) {
    log.warn("an IMAP event of {count} messages runs its script for {most}", {
      ...{ count: event.uids.length, most: MAX_MESSAGES, account: owner.address },
    });
  }
  for (const uid of event.uids.slice(0, MAX_MESSAGES)) {
    const row = store.messages.row(event.mailboxId, uid, { withImap: false });
    if (row !== null) await write(store, await run.message(row));
  }
}

async function write(store: Store, ops: readonly WriteOp[]): Promise<void> {
  if (ops.length === 0) return;
  const result = await store.write({ kind: "batch", ops });
  if (!result.ok) log.warn("what a script wanted was refused: {detail}", { detail: result.detail });
}

class EventRun {
  readonly #parts: ImapEventParts;
  readonly #event: ImapEvent;
  readonly #owner: Account;
  readonly #script: ScriptRow;
  readonly #program: Program | null;
  readonly #now: number;

  constructor(
    parts: ImapEventParts,
    event: ImapEvent,
    { owner, script, program }: {
      readonly owner: Account;
      readonly script: ScriptRow;
      readonly program: Program | null;
    },
  ) {
    this.#parts = parts;
    this.#event = event;
    this.#owner = owner;
    this.#script = script;
    this.#program = program;
    this.#now = parts.post.clock();
  }

  /** What the script wants done with one message. */
  async message(row: MessageRow): Promise<WriteOp[]> {
    const { store } = this.#parts.post;
    const { cause } = this.#event;
    const program = this.#program!;
    const view = await viewOf(store, row, program.needsBody);
    const before = await this.#flagsOf(row.uid);
    if (before === null) return [];
    const outcome = program.run(view, this.#host(row), { flags: before });
    if (outcome.fault !== null) {
      runs.inc({ cause, outcome: "failed" });
      return await this.faultNote(faultText(outcome.fault));
    }
    runs.inc({ cause, outcome: "done" });
    log.debug("script on an IMAP event", () => ({
      ...{ account: this.#owner.address, script: this.#script.name, cause, uid: row.uid },
      actions: outcome.trace.join("; "),
    }));
    return await this.#operations(row, view, { outcome, before });
  }

  /** As they are now; null: the message is gone. */
  async #flagsOf(uid: number): Promise<string[] | null> {
    const index = await this.#parts.post.store.mailboxes.open(this.#event.mailboxId);
    if (index === null) return null;
    try {
      const at = index.positionOf(uid);
      if (at < 0) return null;
      return [
        ...flagNames(index.flagsAt(at)),
        ...index.keywordsAt(at).split(" ").filter((word) => word !== ""),
      ];
    } finally {
      index.release();
    }
  }

  /** The owner is told once of each fault. */
  faultNote(text: string): Promise<WriteOp[]> {
    return this.#own(EMPTY_VIEW, { actions: [], remembered: [], fault: { script: this.#script, text } });
  }

  #host(row: MessageRow) {
    const { post: { store }, hostname } = this.#parts;
    const { cause, user, mailbox, changedFlags } = this.#event;
    const host = scriptHost({
      ...{ store, account: this.#owner, hostname, now: this.#now },
      ...{ envelope: { from: "", to: this.#owner.address }, client: { address: "", name: "" } },
    });
    const items: Readonly<Record<string, string>> = {
      "location": "MS",
      "phase": "post",
      "imap.user": user.address,
      "imap.email": user.address,
      "imap.cause": cause,
      "imap.mailbox": mailbox,
      "imap.changedflags": cause === "FLAG" ? changedFlags(row.uid).join(" ") : "",
    };
    return { ...host, environment: (item: string) => items[item] ?? host.environment(item) };
  }

  async #operations(
    row: MessageRow,
    view: MessageView,
    { outcome, before }: { readonly outcome: Outcome; readonly before: readonly string[] },
  ): Promise<WriteOp[]> {
    const { store } = this.#parts.post;
    const { mailboxId } = this.#event;
    const uids = [[row.uid, row.uid]] as const;
    const ops: WriteOp[] = [];
    const setFlags = (flags: readonly string[], deleted: boolean) => {
      const bits = flagBits(flags);
      ops.push({
        ...{ kind: "store-flags", mailboxId, uids, mode: "replace", unchangedSince: null },
        flags: bits.flags | (deleted ? FLAG_DELETED : 0),
        keywords: bits.keywords.split(" ").filter((word) => word !== ""),
      });
    };
    let kept: readonly string[] | null = outcome.implicitKeep === null
      ? null
      : outcome.implicitKeep.flags ?? before;
    let flagsNow = before;
    for (const action of outcome.actions) {
      switch (action.kind) {
        case "keep":
          kept = action.flags ?? before;
          break;
        case "fileinto": {
          const to = await destinationOf(store, this.#owner, action);
          if (to === null || to === mailboxId) {
            kept ??= before;
            break;
          }
          // The copy has the flags that the script chose for it: they are the message's own for a moment.
          const flags = action.flags ?? before;
          if (!sameFlags(flags, flagsNow)) setFlags(flagsNow = flags, false);
          ops.push({ kind: "copy", from: mailboxId, to, uids, move: false });
          break;
        }
        case "redirect": {
          const sent = await this.#redirect(row, view, action);
          if (sent.length === 0) kept ??= before;
          ops.push(...sent);
          break;
        }
        case "discard":
        case "notify":
          break;
        case "reject":
        case "vacation":
          kept ??= before; // its extension was refused before
          break;
        default:
          action satisfies never;
      }
    }
    const flags = kept ?? before;
    if (kept === null) setFlags(flags, true);
    else if (!sameFlags(flags, flagsNow)) setFlags(flags, false);
    const notices = outcome.actions.filter((action): action is Extract<Action, { kind: "notify" }> =>
      action.kind === "notify"
    );
    ops.push(...await this.#own(view, { actions: notices, remembered: outcome.remembered, fault: null }));
    return ops;
  }

  /** By submission in the owner's name (3.4); none where it went there lately or cannot go. */
  async #redirect(row: MessageRow, view: MessageView, { address }: Redirect): Promise<WriteOp[]> {
    const { post } = this.#parts;
    const messageId = view.fields.find(({ name }) => name === "message-id")?.value ??
      `segment ${row.blob.segment} ${row.blob.offset}`;
    const key = stateKey(this.#owner.id, `redirect ${address} ${messageId}`);
    if (row.blob.length > MAX_REDIRECTED || post.store.policy.get("duplicate", key, this.#now) !== null) {
      return [];
    }
    const octets = await post.store.blobs.read(row.blob, 0, row.blob.length);
    const mark = encode(`Delivered-To: ${this.#owner.address}\r\n`);
    const whole = new Uint8Array(mark.length + octets.length);
    whole.set(mark);
    whole.set(octets, mark.length);
    const prepared = await prepareOwnMail(post, {
      octets: whole,
      sender: this.#owner.address,
      recipients: [address],
    });
    if ("refused" in prepared) return [];
    return [prepared.operation, remember("duplicate", key, { now: this.#now, forMs: REDIRECT_MS })];
  }

  /** Notices, memory and the note of a fault, as at a delivery. */
  async #own(
    view: MessageView,
    decided: Pick<Decision, "actions" | "remembered" | "fault">,
  ): Promise<WriteOp[]> {
    const { post, hostname } = this.#parts;
    const { address } = this.#owner;
    const target: MailboxTarget = {
      ...{ kind: "mailbox", mailboxId: this.#event.mailboxId, account: address, owner: this.#owner },
      ...{ newFolder: "", masked: "", deliveredTo: address, captured: false },
    };
    const own = new OwnMail(post, {
      hostname,
      now: this.#now,
      given: { sender: "", junk: false, traceId: "" },
    });
    return await own.of({
      copy: { target, deliveredTo: [] },
      view: () => Promise.resolve(view),
      traceOctets: 0,
      decision: { ...decided, keep: null, explicitKeep: false, header: null, trace: [] },
    });
  }
}

const EMPTY_VIEW = new MessageView(encode("\r\n"));

async function viewOf({ blobs }: Store, row: MessageRow, needsBody: boolean): Promise<MessageView> {
  const { prefix, blob, headerOctets } = row;
  const octets = await blobs.read(blob, 0, Math.min(needsBody ? MAX_SEEN_OCTETS : headerOctets, blob.length));
  const all = new Uint8Array(prefix.length + octets.length);
  all.set(prefix);
  all.set(octets, prefix.length);
  return new MessageView(all, { sizeOctets: row.sizeOctets });
}

function sameFlags(a: readonly string[], b: readonly string[]): boolean {
  const folded = (flags: readonly string[]) =>
    [...new Set(flags.map((flag) => flag.toLowerCase()))].sort().join(" ");
  return folded(a) === folded(b);
}

/**
 * APPEND (RFC 3501 6.3.11), of several messages at once (RFC 3502), and REPLACE (RFC 8508).
 *
 * The store is asked before each upload. A message goes to disk as soon as it is whole, so that a command of many keeps
 * no octets in memory; all of them are filed, and the replaced one goes, in one transaction after the last, or nothing
 * happens. What was written for nothing is dead room for compaction. APPENDUID: RFC 4315 3.
 */
import { overQuota } from "../../delivery/quota.ts";
import type { AppendMessage, AppendStart } from "../../protocols/imap/command.ts";
import type { Reply } from "../../protocols/imap/reply.ts";
import { formatNumbers, LARGEST } from "../../protocols/imap/sequence_set.ts";
import type { NewContent, WriteOp, WriteResult } from "../../storage/ops.ts";
import { FLAG_SEEN } from "../../storage/changes.ts";
import { accountOf, type ImapContext, no, ok, selectedOf } from "./context.ts";
import { refusal } from "./fault.ts";
import { saveLimit } from "./message_limit.ts";
import { flagsAllowed, type NamedMailbox, NOT_PERMITTED, targetMailbox } from "./names.ts";
import { copyTeaches } from "./teaches.ts";
import { highestModSeq, OUT_OF_RANGE, READ_ONLY } from "./store.ts";
import { messagesCame } from "./script_events.ts";
import { Upload } from "./upload.ts";

/** Messages of one command, and octets of their packed structures: what is kept until the end. */
export const MAX_MESSAGES = 1_000;
const MAX_KEPT_OCTETS = 8 * 1024 * 1024;

const NO_PREFIX = new Uint8Array(0);
const GONE = no("The message is gone already", "EXPUNGEISSUED");

/** An upload that may begin, or the reply that refuses it. */
export function beginAppend(context: ImapContext, start: AppendStart): Appending | Reply {
  let replaced: number | null = null;
  if (start.replaces !== null) {
    const uid = replacedUid(context, start.replaces);
    if (typeof uid !== "number") return uid;
    replaced = uid;
  }
  const mailbox = targetMailbox(context, start.mailbox);
  if ("status" in mailbox) return mailbox;
  const appending = new Appending(context, mailbox, replaced);
  return appending.next(start.message) ?? appending;
}

/** The UID of the message that is to go. */
function replacedUid(
  context: ImapContext,
  { uid, number }: { readonly uid: boolean; readonly number: number },
): number | Reply {
  const { view, index, readOnly, rights } = selectedOf(context);
  const sequence = number === LARGEST ? view.exists : uid ? view.sequenceOf(number) : number;
  if (!uid && (sequence === 0 || sequence > view.exists)) return OUT_OF_RANGE;
  if (readOnly) return READ_ONLY;
  if (!(rights.includes("t") && rights.includes("e"))) return NOT_PERMITTED; // RFC 8508 4.1
  if (sequence === 0) return GONE;
  const replaced = view.uidOf(sequence);
  return index.positionOf(replaced) < 0 ? GONE : replaced;
}

export class Appending {
  #context: ImapContext;
  #mailbox: NamedMailbox;
  /** UID of the message that goes; null for APPEND. */
  #replaced: number | null;
  #upload: Upload | null = null;
  #stored: { readonly message: AppendMessage; readonly content: Promise<NewContent | Reply> }[] = [];
  #octets = 0;
  #keptOctets = 0;

  constructor(context: ImapContext, mailbox: NamedMailbox, replaced: number | null) {
    this.#context = context;
    this.#mailbox = mailbox;
    this.#replaced = replaced;
  }

  /** Octets of the message in hand. */
  get sizeOctets(): number {
    return this.#upload?.message.sizeOctets ?? 0;
  }

  /** Ends the message in hand and begins one; the reply refuses it, and with it the command. */
  next(message: AppendMessage): Reply | null {
    this.#endUpload();
    const { store } = this.#context;
    const { sizeOctets } = message;
    this.#octets += sizeOctets;
    // RFC 3502: this is also how a client cancels.
    if (sizeOctets === 0) return no("The message is empty");
    if (this.#stored.length >= MAX_MESSAGES) return no(`At most ${MAX_MESSAGES} messages at once`, "LIMIT");
    const limit = saveLimit(this.#context);
    if (limit > 0 && this.#stored.length >= limit) {
      return no("Too many messages at once", `MESSAGELIMIT ${limit}`);
    }
    if (this.#keptOctets > MAX_KEPT_OCTETS) return no("Too many parts for one command", "LIMIT");
    if (store.diskFull()) return no("The server has no space left just now", "UNAVAILABLE");
    // As it is now: the session's account is as it was at login. What REPLACE frees only the transaction knows.
    const account = this.#replaced === null ? store.directory.accountById(this.#mailbox.accountId) : null;
    if (account !== null && overQuota(store.directory, account, this.#octets) !== null) {
      return no("The mailbox is full", "OVERQUOTA");
    }
    this.#upload = new Upload(store, message);
    return null;
  }

  /** Takes the span `[start, end)`; awaiting the result is backpressure. */
  async write(bytes: Uint8Array, start: number, end: number): Promise<void> {
    await this.#upload?.write(bytes, start, end);
  }

  /** All messages are here: files them. */
  async finish(): Promise<Reply> {
    this.#endUpload();
    const ops: WriteOp[] = [];
    if (this.#replaced !== null) ops.push(this.#removal(this.#replaced));
    for (const { message, content } of this.#stored) {
      const outcome = await content;
      if ("status" in outcome) return outcome;
      ops.push(this.#filing(message, outcome));
    }
    const [only] = ops;
    const result = await this.#context.store.write(
      ops.length === 1 && only !== undefined ? only : { kind: "batch", ops },
    );
    if (!result.ok) return refusal(result, { target: true });
    const results = result.kind === "batch" ? result.results : [result];
    const uids = results.flatMap((one) =>
      one.ok && one.kind === "delivered" ? one.uids.map(({ uid }) => uid) : []
    );
    await messagesCame(this.#context, this.#mailbox, { cause: "APPEND", uids });
    return this.#answer(results);
  }

  /** Forgets the octets. */
  discard(): void {
    this.#upload?.discard();
    this.#upload = null;
  }

  #endUpload(): void {
    const upload = this.#upload;
    if (upload === null) return;
    this.#upload = null;
    const { message } = upload;
    const content = upload.store({
      accounts: [this.#owner()],
      mailbox: this.#mailbox.ownName,
      internalDate: message.internalDate ?? this.#context.now(),
      traceId: this.#context.newTraceId(),
      sender: "",
      recipients: [],
    }).finally(() => upload.discard());
    content.then((stored) => this.#keptOctets += "imap" in stored ? stored.imap.length : 0)
      .catch(() => {}); // told by `finish`; of no interest when the command comes to nothing
    this.#stored.push({ message, content });
  }

  /** First in the transaction, so that its room counts (RFC 8508 3.4). */
  #removal(uid: number): WriteOp {
    const { mailbox: { id: mailboxId } } = selectedOf(this.#context);
    return { kind: "expunge", mailboxId, uids: [[uid, uid]], onlyDeleted: false, strict: true };
  }

  /** The address of the account whose mailbox it is. */
  #owner(): string {
    const { store } = this.#context;
    return store.directory.accountById(this.#mailbox.accountId)?.address ?? "";
  }

  #filing(message: AppendMessage, content: NewContent): WriteOp {
    const { own, rights } = this.#mailbox;
    // RFC 4314 4: flags without the right for them are left out.
    const allowed = flagsAllowed(rights);
    const flags = message.flags.flags & allowed.flags;
    const target = {
      mailboxId: this.#mailbox.id,
      flags: own ? flags : flags & ~FLAG_SEEN,
      keywords: allowed.keywords ? [...message.flags.keywords].sort().join(" ") : "",
      internalDate: message.internalDate ?? this.#context.now(),
      prefix: NO_PREFIX,
      ...(!own && (flags & FLAG_SEEN) !== 0 && { seenBy: accountOf(this.#context).id }),
    };
    const teaches = copyTeaches(null, this.#mailbox);
    return { kind: "deliver", content, targets: [target], queue: null, enforceQuota: true, ...teaches };
  }

  #answer(results: readonly WriteResult[]): Reply {
    const appended = results.flatMap((result) =>
      result.ok && result.kind === "delivered" ? [...result.uids] : []
    );
    const [first] = appended;
    if (first === undefined) throw new Error("a delivery without a UID");
    // RFC 4315 3: UIDs tell nothing of a mailbox that the client may not read.
    const code = this.#mailbox.rights.includes("r")
      ? `APPENDUID ${first.uidValidity} ${formatNumbers(appended.map(({ uid }) => uid))}`
      : "";
    if (this.#replaced === null) return ok("Append completed", code);
    // RFC 8508 4.3: before the EXPUNGE of the old one.
    if (code !== "") this.#context.out.text(`* OK [${code}] Replacement is there\r\n`);
    return ok("Replace completed", highestModSeq(this.#context, selectedOf(this.#context)));
  }
}

/** Every write operation by its kind, run inside the transaction of a group. */
import * as addresses from "./addresses.ts";
import { setAcl } from "./acl.ts";
import * as annotations from "./annotations.ts";
import { abandonCopy, copy } from "./copy.ts";
import { DeliverOperation } from "./deliver.ts";
import type { MailboxCounters } from "./mailbox_counters.ts";
import * as credentials from "./credentials.ts";
import * as directory from "./directory.ts";
import { expunge } from "./expunge.ts";
import { adoptUidValidity, importMessages } from "./import.ts";
import { storeFlags } from "./flags.ts";
import { storeSharedFlags } from "./shared_flags.ts";
import * as groups from "./groups.ts";
import * as mailbox from "./mailbox.ts";
import * as policyState from "./policy_state.ts";
import * as spam from "./spam.ts";
import * as scripts from "./scripts.ts";
import * as senderDomains from "./sender_domains.ts";
import * as quarantine from "./quarantine.ts";
import * as queue from "./queue.ts";
import { relocate } from "./relocate.ts";
import { noteQuota, settleUsage } from "./usage.ts";
import { DONE, type OperationContext } from "./context.ts";
import type { WriteOp, WriteResult } from "../ops.ts";

export class Operations {
  readonly #context: OperationContext;
  readonly #deliver: DeliverOperation;

  constructor(context: OperationContext) {
    this.#context = context;
    this.#deliver = new DeliverOperation(context);
  }

  /** Counters that deliveries moved, in memory until {@linkcode settle}. */
  get counters(): MailboxCounters {
    return this.#deliver.counters;
  }

  /** Before the commit: what was only noted so far. */
  settle(): void {
    this.counters.settle();
    settleUsage(this.#context);
  }

  /** What it wrote stays in the transaction when it is refused: the caller takes it back. */
  run(op: WriteOp): WriteResult {
    const context = this.#context;
    if (op.kind !== "deliver" && op.kind !== "batch") this.counters.release();
    switch (op.kind) {
      case "batch": {
        const results: WriteResult[] = [];
        for (const part of op.ops) {
          const result = this.run(part);
          if (!result.ok) return result;
          results.push(result);
        }
        return { ok: true, kind: "batch", results };
      }
      case "deliver":
        return this.#deliver.run(op);
      case "import":
        return importMessages(context, this.#deliver, op);
      case "adopt-uid-validity":
        return adoptUidValidity(context, op);
      case "store-flags":
        return op.reader === undefined ? storeFlags(context, op) : storeSharedFlags(context, op, op.reader);
      case "copy":
        return copy(context, op);
      case "abandon-copy":
        return abandonCopy(context, op);
      case "expunge":
        return expunge(context, op);
      case "claim-recent":
        return mailbox.claimRecent(context, op);
      case "create-mailbox":
        return mailbox.createMailbox(context, op);
      case "rename-mailbox":
        return mailbox.renameMailbox(context, op);
      case "delete-mailbox":
        return mailbox.deleteMailbox(context, op);
      case "set-acl":
        return setAcl(context, op);
      case "put-annotations":
        return annotations.putAnnotations(context, op);
      case "subscribe":
        return mailbox.subscribe(context, op);
      case "queue-outcomes":
        return queue.queueOutcomes(context, op);
      case "queue-control":
        return queue.queueControl(context, op);
      case "put-events":
        return queue.putEvents(context, op);
      case "event-outcomes":
        return queue.eventOutcomes(context, op);
      case "quarantine-control":
        return quarantine.quarantineControl(context, op);
      case "quarantine-expire":
        return quarantine.quarantineExpire(context, op);
      case "relocate":
        return relocate(context, op);
      case "put-domain":
        return directory.putDomain(context, op);
      case "remove-domain":
        return directory.removeDomain(context, op);
      case "put-account":
        return directory.putAccount(context, op);
      case "remove-account":
        return directory.removeAccount(context, op);
      case "put-scram":
        return credentials.putScram(context, op);
      case "put-certificate":
        return credentials.putCertificate(context, op);
      case "remove-certificate":
        return credentials.removeCertificate(context, op);
      case "put-alias":
        return directory.putAlias(context, op);
      case "remove-alias":
        return directory.removeAlias(context, op);
      case "put-address":
        return addresses.putAddress(context, op);
      case "remove-address":
        return addresses.removeAddress(context, op);
      case "touch-address":
        return addresses.touchAddress(context, op);
      case "put-group":
        return groups.putGroup(context, op);
      case "remove-group":
        return groups.removeGroup(context, op);
      case "change-members":
        return groups.changeMembers(context, op);
      case "note-quota":
        return noteQuota(context, op);
      case "rotate-secret":
        return directory.rotateSecret(context, op);
      case "put-dkim-key":
        return senderDomains.putDkimKey(context, op);
      case "set-dkim-key-state":
        return senderDomains.setDkimKeyState(context, op);
      case "remove-dkim-key":
        return senderDomains.removeDkimKey(context, op);
      case "put-report":
        return senderDomains.putReport(context, op);
      case "remove-reports":
        return senderDomains.removeReports(context, op);
      case "observe":
        return senderDomains.observe(context, op);
      case "remove-observed":
        return senderDomains.removeObserved(context, op);
      case "put-state":
        return policyState.putState(context, op);
      case "remove-state":
        return policyState.removeState(context, op);
      case "sweep-state":
        return policyState.sweepState(context, op);
      case "once":
        return policyState.claim(context, op.row) ? this.run({ kind: "batch", ops: op.ops }) : DONE;
      case "put-script":
        return scripts.putScript(context, op);
      case "activate-script":
        return scripts.activateScript(context, op);
      case "rename-script":
        return scripts.renameScript(context, op);
      case "remove-script":
        return scripts.removeScript(context, op);
      case "teach":
        return spam.teach(context, op);
      case "drop-wishes":
        return spam.dropWishes(context, op);
      case "put-knowledge":
        return spam.putKnowledge(context, op);
      case "forget-lessons":
        return spam.forgetLessons(context, op);
      case "sweep-lessons":
        return spam.sweepLessons(context, op);
      case "put-token":
        return directory.putToken(context, op);
      case "remove-token":
        return directory.removeToken(context, op);
      default:
        return op satisfies never;
    }
  }
}

/** What still runs on a full disk: it removes mail, or a client cannot remove mail without it. */
export function removes(op: WriteOp): boolean {
  switch (op.kind) {
    case "batch":
      return op.ops.every(removes);
    case "copy":
      return op.move; // to the trash
    case "abandon-copy":
    case "expunge":
    case "store-flags":
    case "claim-recent":
    case "delete-mailbox":
    case "queue-outcomes":
    case "queue-control":
    case "event-outcomes":
    case "quarantine-control":
    case "quarantine-expire":
    case "remove-account":
    case "remove-address":
    case "remove-alias":
    case "remove-certificate":
    case "remove-domain":
    case "remove-group":
    case "remove-script":
    case "remove-state":
    case "remove-token":
    case "sweep-state":
    case "drop-wishes":
    case "forget-lessons":
    case "sweep-lessons":
      return true;
    default:
      return false;
  }
}

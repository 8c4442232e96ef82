/**
 * Mail that scripts send of their own, made durable as part of the delivery: vacation, notifications, refusals, the note of
 * a fault; and what is remembered of a message. What was sent already is not composed again, and an answer is sent once
 * however many deliveries find at the same moment that it is due.
 */
import { getLogger } from "@logtape/logtape";
import { addressesOf } from "../../message/address.ts";
import { parseMailto } from "../../sieve/mailto.ts";
import type { Notify, Vacation } from "../../sieve/outcome.ts";
import { normalizeAddress } from "../../storage/address_form.ts";
import type { WriteOp } from "../../storage/ops.ts";
import { counter } from "../../telemetry/metrics.ts";
import { Filing } from "../filing.ts";
import { type PostOptions, prepareOwnMail } from "../post.ts";
import {
  composeFaultNote,
  composeNotification,
  composeRejection,
  composeVacation,
  noVacation,
  type Writer,
} from "./answer.ts";
import type { Decision } from "./chain.ts";
import { destinationOf } from "./destination.ts";
import { flagBits } from "./flag_bits.ts";
import { remember, stateKey, stateRow } from "./memory.ts";
import { isJunk, type Run, type ScriptedMessage } from "./scripted.ts";
import { fileWritten, writeAnew } from "./written.ts";

const log = getLogger(["veredus", "sieve"]);
const answers = counter("veredus_sieve_answers_total", "Answers of vacation, sent and left", ["outcome"]);
const FAULT_MS = 30 * 86_400_000;

export class OwnMail {
  readonly #post: PostOptions;
  readonly #hostname: string;
  readonly #given: Pick<ScriptedMessage, "sender" | "junk" | "traceId">;
  readonly #now: number;

  constructor(
    post: PostOptions,
    { hostname, given, now }: {
      readonly hostname: string;
      readonly given: Pick<ScriptedMessage, "sender" | "junk" | "traceId">;
      readonly now: number;
    },
  ) {
    this.#post = post;
    this.#hostname = hostname;
    this.#given = given;
    this.#now = now;
  }

  /** Vacation, notifications, memory, and the note of a fault. */
  async of(run: Run): Promise<WriteOp[]> {
    const operations: WriteOp[] = [];
    const { copy, decision } = run;
    const { id } = copy.target.owner;
    for (const action of decision.actions) {
      if (action.kind === "vacation") operations.push(...await this.#vacation(run, action));
      else if (action.kind === "notify") operations.push(...await this.#notify(run, action));
    }
    for (const { id: what, seconds } of decision.remembered) {
      const forMs = seconds * 1_000;
      operations.push(remember("duplicate", stateKey(id, what), { now: this.#now, forMs }));
    }
    if (decision.fault !== null) operations.push(...await this.#faultNote(run, decision.fault));
    return operations;
  }

  async #vacation(run: Run, vacation: Vacation): Promise<WriteOp[]> {
    const { sender } = this.#given;
    const view = await run.view(false);
    const own = this.#ownAddresses(run, vacation.addresses);
    const left = isJunk(this.#given, run.copy.target.owner.id)
      ? "junk"
      : noVacation(view, { sender, own, now: this.#now });
    if (left !== null) {
      answers.inc({ outcome: left });
      return [];
    }
    const key = stateKey(run.copy.target.owner.id, `${vacation.handle}\0${sender.toLowerCase()}`);
    if (this.#post.store.policy.get("vacation", key, this.#now) !== null) {
      answers.inc({ outcome: "answered-lately" });
      return [];
    }
    answers.inc({ outcome: "sent" });
    const ownFrom = vacation.from !== null && this.#isOwn(vacation.from, own);
    const octets = composeVacation(view, vacation, { writer: this.#writer(run), sender, ownFrom });
    const mail = await this.#mail(run, { octets, to: [sender], copyTo: vacation.copyTo });
    if (vacation.againAfterSeconds === 0) return mail;
    return [{
      kind: "once",
      row: stateRow("vacation", key, { now: this.#now, forMs: vacation.againAfterSeconds * 1_000 }),
      ops: mail,
    }];
  }

  async #notify(run: Run, notify: Notify): Promise<WriteOp[]> {
    const view = await run.view(false);
    // RFC 5436 2.7: automatic mail is notified of only where it says it is none.
    const automatic = view.fields.find(({ name }) => name === "auto-submitted")?.value ?? "no";
    const mailto = parseMailto(notify.method);
    if (mailto === null || !/^\s*no\s*(?:$|[;(])/i.test(automatic)) return [];
    const own = this.#ownAddresses(run, []);
    const ownFrom = notify.from !== null && this.#isOwn(notify.from, own);
    const octets = composeNotification(view, notify, { writer: this.#writer(run), mailto, ownFrom });
    return await this.#mail(run, { octets, to: [...mailto.to, ...mailto.cc], copyTo: notify.copyTo });
  }

  async refusalNotice(run: Run, reason: string): Promise<WriteOp[]> {
    const { sender } = this.#given;
    const octets = composeRejection(await run.view(false), { writer: this.#writer(run), sender, reason });
    return await this.#mail(run, { octets, to: [sender], copyTo: null });
  }

  async #faultNote(run: Run, { script, text }: NonNullable<Decision["fault"]>): Promise<WriteOp[]> {
    const key = stateKey(run.copy.target.owner.id, `${script.content}\0${text}`);
    if (this.#post.store.policy.get("script-fault", key, this.#now) !== null) return [];
    const octets = composeFaultNote({ writer: this.#writer(run), script: script.name, why: text });
    const ops = await this.#mail(run, { octets, to: [run.copy.target.account], copyTo: null });
    return [{ kind: "once", row: stateRow("script-fault", key, { now: this.#now, forMs: FAULT_MS }), ops }];
  }

  /** Mail of ours, and the copy of it that `:fcc` asks for. What has nobody to go to is left. */
  async #mail(
    run: Run,
    { octets, to, copyTo }: {
      readonly octets: Uint8Array;
      readonly to: readonly string[];
      readonly copyTo: Vacation["copyTo"];
    },
  ): Promise<WriteOp[]> {
    const prepared = await prepareOwnMail(this.#post, { octets, sender: "", recipients: to });
    if ("refused" in prepared) {
      log.info("mail of a script has nobody to go to: {why}", {
        trace: this.#given.traceId,
        account: run.copy.target.account,
        why: prepared.refused,
      });
      return [];
    }
    if (copyTo === null) return [prepared.operation];
    const { owner } = run.copy.target;
    const mailboxId = await destinationOf(this.#post.store, owner, copyTo) ??
      this.#post.store.mailboxes.inboxOf(owner.id);
    if (mailboxId === null) return [prepared.operation];
    const filing = new Filing();
    // RFC 8580 3.3: a copy for the owner, which the owner has seen.
    filing.put({
      ...{ target: { ...run.copy.target, mailboxId, newFolder: "" }, deliveredTo: [] },
      ...flagBits(copyTo.flags ?? ["\\Seen"]),
    });
    const written = await writeAnew(this.#post.store, [octets], null);
    const operation = await fileWritten(written, filing, {
      ...{ traceId: this.#post.newId(), sender: "", accountId: null, eightBit: false, smtputf8: false },
      ...{ at: this.#now, expiresAt: this.#now, senderFor: () => "" },
    });
    return [prepared.operation, operation];
  }

  #writer({ copy: { target } }: Run): Writer {
    return {
      messageId: `<${this.#post.newId()}.sieve@${this.#hostname}>`,
      date: this.#now,
      hostname: this.#hostname,
      address: target.deliveredTo,
      displayName: target.owner.displayName,
    };
  }

  /** Every address of the owner, in normal form. */
  #ownAddresses({ copy: { target } }: Run, more: readonly string[]): string[] {
    const { directory } = this.#post.store;
    const { owner } = target;
    return [
      owner.address,
      ...directory.addressesOf(owner.id, { after: "", limit: 1_000 }).map(({ address }) => address),
      ...directory.aliasesOf(owner.address),
      target.deliveredTo,
      ...more,
    ].map((address) => normalizeAddress(address) ?? address);
  }

  /** A sender that a script chose may be used where it is the owner's (RFC 5230 4.3). */
  #isOwn(text: string, own: readonly string[]): boolean {
    const addresses = addressesOf(text);
    return addresses.length === 1 && own.includes(normalizeAddress(addresses[0]!) ?? "");
  }
}

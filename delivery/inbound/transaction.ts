/**
 * The story of one message: MAIL has opened it, RCPT adds recipients, DATA streams into the spool behind our `Received`,
 * and at its end the {@linkcode STEPS} follow one another until one of them has the answer, or the message is stored.
 *
 * `Received` is written before the first octet, so it is known how many recipients there are. The 250 carries the trace id
 * and is sent after the commit. Mail from port 25 is stored octet for octet behind the trace fields. Hot:
 * bench/micro/inbound_bench.ts.
 */
import { getLogger } from "@logtape/logtape";
import type { RcptParameters } from "../../protocols/smtp/parameters.ts";
import type { Path } from "../../protocols/smtp/path.ts";
import type { Reply } from "../../protocols/smtp/reply.ts";
import { errorReply } from "../faults.ts";
import { MAIL_LOOP } from "../policy.ts";
import type { MessageFound, Transaction } from "../reception.ts";
import { SubmissionHeader } from "../submission.ts";
import { receivedField } from "../trace.ts";
import { askChecks } from "./ask_checks.ts";
import { askSpamFilter } from "./ask_spam.ts";
import { addCopies } from "./copies.ts";
import { authenticate, startSenderCheck } from "./authenticate.ts";
import type { Mail, Step } from "./mail.ts";
import { settleRecipients, takeRecipient } from "./rcpt.ts";
import { reencode } from "./reencode.ts";
import { sign } from "./sign.ts";
import { store } from "./store.ts";
import { tellAnswer } from "./tell.ts";

/** Received fields of a message that has been going round (RFC 5321 6.3). */
const MAX_RECEIVED = 100;

const log = getLogger(["veredus", "delivery"]);

/** What happens to a message behind its last octet, before it is stored. */
const STEPS: readonly Step[] = [
  ({ content }) => content.complete(),
  refuseLoops,
  authenticate,
  askChecks,
  askSpamFilter,
  addCopies,
  hold,
  reencode,
  sign,
];

export class InboundTransaction implements Transaction {
  readonly #mail: Mail;
  #finishing: boolean;

  constructor(mail: Mail) {
    this.#mail = mail;
    this.#finishing = false;
  }

  get traceId(): string {
    return this.#mail.traceId;
  }

  rcpt(path: Path, parameters: RcptParameters): Reply | Promise<Reply> {
    return takeRecipient(this.#mail, { path, parameters });
  }

  begin(): Reply | null | Promise<Reply | null> {
    const screened = this.#mail.screen?.data() ?? null;
    if (screened instanceof Promise) return screened.then((refusal) => refusal ?? this.#begun());
    return screened ?? this.#begun();
  }

  #begun(): null {
    const mail = this.#mail;
    const { traceId, client, envelope: { recipients, smtputf8, filing, parameters }, content } = mail;
    const { hostname, clock, store: { directory } } = mail.setting.options;
    const { account } = client;
    mail.beganMs = performance.now();
    content.open({
      received: receivedField({
        client,
        hostname,
        traceId,
        smtputf8,
        recipient: recipients.length === 1 ? recipients[0]!.path : null,
        receivedAt: clock(),
        priority: parameters.priority,
        hideLogin: mail.setting.config.hideLogins === true,
      }),
      gate: account === null ? null : new SubmissionHeader({
        account,
        directory,
        date: clock(),
        messageId: `<${traceId}@${hostname}>`,
      }),
      senderCheck: startSenderCheck(mail),
      seeksEightBit: filing.remote > 0,
    });
    return null;
  }

  write(bytes: Uint8Array, start: number, end: number): Promise<void> | undefined {
    return this.#mail.content.write(bytes, start, end);
  }

  async finish(found?: MessageFound): Promise<Reply> {
    const mail = this.#mail;
    mail.content.holdsNul = found?.holdsNul ?? false;
    let answer: Reply;
    this.#finishing = true;
    try {
      answer = await finished(mail);
    } catch (error) {
      answer = errorReply(error);
      log.error("a message could not be stored: {error}", {
        trace: mail.traceId,
        session: mail.client.sessionId,
        error,
      });
    }
    mail.content.forget();
    tellAnswer(mail, answer);
    return answer;
  }

  async finishEach(found?: MessageFound): Promise<readonly Reply[]> {
    const answer = await this.finish(found);
    return this.#mail.envelope.recipients.map(({ refusal }) => refusal ?? answer);
  }

  discard(refusal?: Reply): void {
    // A client that is lost while its message is made durable does not take the octets away: it is stored or not, whole.
    if (this.#finishing) return;
    this.#mail.screen?.aborted();
    this.#mail.content.forget();
    if (refusal !== undefined) tellAnswer(this.#mail, refusal);
  }
}

async function finished(mail: Mail): Promise<Reply> {
  mail.time = mail.verdictTime();
  for (const step of STEPS) {
    const done = step(mail);
    const answer = done instanceof Promise ? await done : done;
    if (answer !== null) return answer;
  }
  return await store(mail);
}

/** A message that has been going round, or has been where it is to go; LMTP tells each recipient by itself. */
function refuseLoops(mail: Mail): Reply | null {
  const { receivedCount, deliveredTo, messageId } = mail.content.message;
  if (receivedCount - 1 > MAX_RECEIVED) return MAIL_LOOP;
  const refusal = mail.client.service === "lmtp"
    ? settleRecipients(mail)
    : mail.envelope.filing.loops(deliveredTo)
    ? MAIL_LOOP
    : null;
  if (refusal === null) mail.messageId = messageId ?? "";
  return refusal;
}

/** What waits for the operator is filed by the queue when it is let go. */
function hold(mail: Mail): Promise<null> | null {
  if (mail.heldFor === "") return null;
  mail.envelope.filing.hold();
  return mail.front === "" ? null : mail.moveFrontInside().then(() => null);
}

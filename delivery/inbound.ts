/**
 * Mail on its way in: answers MAIL, RCPT and the end of data for the SMTP session, and makes what it takes durable.
 *
 * While DATA streams, octets go side by side to the spool and to the facts that IMAP will need. Our `Received` is
 * written before the first of them, so it is known how many recipients there are. Mail of a login passes a gate that holds
 * its header back until it is complete (submission.ts). The 250 carries the trace id and is sent after the commit.
 * Mail from port 25 is stored octet for octet behind the trace fields. Hot: bench/micro/inbound_bench.ts.
 */
import { eventsOf, type Webhook } from "./queue/webhooks.ts";
import type { RecipientGate } from "./recipient_gate.ts";
import { getLogger } from "@logtape/logtape";
import { encode, isAscii, latin1 } from "../bytes/decode.ts";
import { FactsBuilder, type MessageFacts } from "../message/facts.ts";
import type { MailParameters, RcptParameters } from "../protocols/smtp/parameters.ts";
import { formatPath, type Path } from "../protocols/smtp/path.ts";
import {
  BINARY_OUTSIDE_PARTS,
  LOCAL_ERROR,
  NEEDS_SMTPUTF8,
  RECIPIENT_OK,
  type Reply,
  reply,
  TOO_BIG,
  TOO_MANY_RECIPIENTS,
} from "../protocols/smtp/reply.ts";
import type { BlobAddress, QueueTls, WriteOp, WriteResult } from "../storage/ops.ts";
import type { Account, Spool, Store } from "../storage/store.ts";
import { type Chains, type MailScreen, SessionScreen, verdictField } from "../filter/screen.ts";
import type { MessageSource } from "../filter/message_source.ts";
import type { Resolver } from "../dns/resolver.ts";
import { resultsField, resultsValue } from "../mailauth/authentication_results.ts";
import { methodResults } from "../mailauth/findings_text.ts";
import type { SenderCheck, SenderFindings } from "../mailauth/sender_check.ts";
import { applyChanges } from "./apply_changes.ts";
import {
  type AuthenticationConfig,
  decide,
  finishCheck,
  mayDefer,
  refusalOf,
  type SenderVerdict,
  startCheck,
} from "./authentication.ts";
import { reencodeBinaryParts } from "./binary_parts.ts";
import { dmarcObservation } from "./dmarc_observation.ts";
import { noticeOperation } from "./dsn.ts";
import { dsnDuty } from "./dsn_request.ts";
import { changedEnvelope } from "./envelope_changes.ts";
import { errorReply, faultReply } from "./faults.ts";
import { Filing, type FilingFacts } from "./filing.ts";
import { bodyDigest, hasEightBitFrom, writeWithFields } from "./front_fields.ts";
import { forwardedSender, freshKeys } from "./forwarding.ts";
import { MAX_LINE_OCTETS } from "./header_fold.ts";
import { reencodeLongLines, reencodeSevenBit } from "./long_lines.ts";
import { noteUse } from "./masked.ts";
import { type LookupPolicy, lookupReply } from "./lookup.ts";
import { MAIL_LOOP, mailRefusal, mayRelay } from "./policy.ts";
import { type OwnMail, type PostOptions, prepareOwnMail } from "./post.ts";
import { possibleReport, takeReport } from "./report_intake.ts";
import type { Observations } from "./reports/observations.ts";
import { QuotaNotices } from "./quota_notice.ts";
import { type ClientFacts, type Reception, type Transaction, viewOf } from "./reception.ts";
import {
  countMailRefused,
  countMended,
  countMessage,
  countRecipient,
  observeAccepted,
} from "./reception_metrics.ts";
import {
  type MailboxTarget,
  type RcptFacts,
  RecipientResolver,
  type RecipientTarget,
  REFUSALS,
} from "./recipients.ts";
import { refuseRecipients } from "./scripts/refuse_one.ts";
import { fileByScripts, hasScripts, provesSender, rejection } from "./scripts/file.ts";
import { authorKeys, sealFront, signFront } from "./signing.ts";
import { judgeSpam, NOT_JUDGED, type SpamConfig, type SpamOutcome, type SpamParts } from "./spam/judge.ts";
import { type HeldMail, judgeOutgoing } from "./spam/outgoing.ts";
import { startQueue } from "./start_queue.ts";
import { SubmissionHeader } from "./submission.ts";
import { receivedField } from "./trace.ts";
import type { TraceEvent, Tracer } from "./tracer.ts";

/** Received fields of a message that has been going round (RFC 5321 6.3). */
export const MAX_RECEIVED = 100;

const log = getLogger(["veredus", "delivery"]);

/** What the operator decides; all of it may change while the server runs. */
export interface InboundConfig extends LookupPolicy {
  readonly messageOctets: number;
  /** Recipients of one message. */
  readonly recipients: number;
  /** Account whose INBOX gets all mail for other servers; "" sends it on. */
  readonly captureOutbound: string;
  /** Addresses of this host: `user@[address]` is for us. */
  readonly ownAddresses: readonly string[];
  /** How long mail for other servers stays in the queue, and with the null reverse-path. */
  readonly queueLifetimeMs: number;
  readonly bounceLifetimeMs: number;
  /** How long mail is kept in the quarantine. */
  readonly quarantineMs: number;
  /** Checks of who sent a message; left out: none. */
  readonly authentication?: AuthenticationConfig;
  /** Left out: nothing is judged. */
  readonly spam?: SpamConfig;
}

export interface InboundOptions {
  readonly store: Store;
  /** Our name in `Received`. */
  readonly hostname: string;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
  /** A new trace id. */
  readonly newId: () => string;
  readonly config: InboundConfig;
  /** Checks of strangers and logins; left out: none. */
  readonly chains?: Chains;
  /** For checks of who sent a message; left out: none are made. */
  readonly resolver?: Resolver;
  /** The life of each message is told here; left out: nowhere. */
  readonly tracer?: Tracer;
  /** What was seen of strangers' domains, for the reports to them; left out: none are sent. */
  readonly observations?: Observations;
  /** Is it wanted; left out: not asked. */
  readonly spam?: Pick<SpamParts, "filter" | "linkHits"> & {
    /** Mail of a login is held. */
    readonly notify: (held: HeldMail) => void;
  };
  /** Whom mail that leaves is taken for; left out: everybody. */
  readonly gate?: RecipientGate;
  /** Told of every message that is taken; left out: none. */
  readonly webhooks?: readonly Webhook[];
}

/** What one reception and its transactions share; replaced as a whole by a reload. */
interface Setting {
  readonly options: InboundOptions;
  readonly config: InboundConfig;
  readonly resolver: RecipientResolver;
  readonly quotaNotices: QuotaNotices;
  readonly post: PostOptions;
}

export class InboundReception implements Reception {
  #setting: Setting;

  constructor(options: InboundOptions) {
    this.#setting = settingOf(options, options.config);
  }

  /** For mail of our own. */
  get post(): PostOptions {
    return this.#setting.post;
  }

  /** Files a message of our own; nobody waits for it. */
  noticed(mail: OwnMail): void {
    const { post, options: { store } } = this.#setting;
    prepareOwnMail(post, mail).then(async (prepared) => {
      if ("operation" in prepared) await store.write(prepared.operation);
      else {log.warn("a notice to {to} has nobody to go to: {why}", {
          to: mail.recipients[0],
          why: prepared.refused,
        });}
    }).catch((error) => log.error("a notice could not be written: {error}", { error }));
  }

  screen(): SessionScreen | null {
    const { chains } = this.#setting.options;
    return chains === undefined ? null : new SessionScreen(chains);
  }

  /** New settings; transactions under way keep the old ones. */
  configure(config: InboundConfig): void {
    this.#setting = settingOf(this.#setting.options, config);
  }

  mail(
    client: ClientFacts,
    mail: { readonly reversePath: Path | null; readonly parameters: MailParameters },
  ): Transaction | Reply {
    const { options: { store }, config } = this.#setting;
    const refusal = mailRefusal(client, mail, {
      directory: store.directory,
      diskFull: store.diskFull(),
      messageOctets: config.messageOctets,
    });
    if (refusal !== null) {
      countMailRefused(refusal.enhanced);
      return refusal;
    }
    return new InboundTransaction(this.#setting, client, mail);
  }

  lookup(client: ClientFacts, question: { readonly verb: "VRFY" | "EXPN"; readonly text: string }): Reply {
    const { options: { store }, config, resolver } = this.#setting;
    return lookupReply(client, question, { directory: store.directory, resolver, policy: config });
  }

  etrn(_client: ClientFacts, text: string): Promise<Reply> {
    const { store, clock } = this.#setting.options;
    return startQueue(store, text, clock());
  }
}

function settingOf(options: InboundOptions, config: InboundConfig): Setting {
  const { store, hostname, clock, newId } = options;
  const { directory, mailboxes, access } = store;
  const { ownAddresses, captureOutbound, queueLifetimeMs, bounceLifetimeMs } = config;
  const resolver = new RecipientResolver({
    directory,
    mailboxes,
    access,
    hostname,
    ownAddresses,
    captureOutbound,
    clock,
  });
  const post = { store, clock, newId, resolver, queueLifetimeMs, bounceLifetimeMs };
  return { options, config, resolver, post, quotaNotices: new QuotaNotices(post, hostname) };
}

/** A recipient as the client gave it, and what LMTP says to it behind the data; null: what the message is told. */
interface NamedRecipient {
  readonly path: Path;
  readonly parameters: RcptParameters;
  /** Where it leads; known behind the data of LMTP. */
  targets: readonly RecipientTarget[];
  refusal: Reply | null;
}

/** A recipient whose success is ours to report. */
interface Report {
  readonly address: string;
  readonly action: "delivered" | "expanded";
  readonly originalRecipient: string;
}

class InboundTransaction implements Transaction {
  readonly traceId: string;
  #setting: Setting;
  #client: ClientFacts;
  #sender: string;
  #smtputf8: boolean;
  #parameters: MailParameters;
  /** RFC 4865; null at once. */
  #holdUntil: number | null;
  /** Recipients whose success we report ourselves. */
  #reports: Report[];
  #rcptFacts: RcptFacts;
  #filing: Filing;
  #recipients: number;
  /** Those that were taken; with LMTP each has a reply of its own. */
  #named: NamedRecipient[];
  #spool: Spool | null;
  #facts: FactsBuilder | null;
  /** Octets of the message as the client sent them. */
  #octets: number;
  #eightBit: boolean;
  #gate: SubmissionHeader | null;
  #beganMs: number;
  /** Why the rest of the message is read and forgotten. */
  #refusal: Reply | null;
  #finishing: boolean;
  readonly #screen: MailScreen | null;
  /** Octets of our Received. */
  #ownOctets: number;
  #senderCheck: SenderCheck | null;
  #findings: SenderFindings | null;
  /** A check sent it to Junk. */
  #junk: boolean;
  #spam: SpamOutcome;
  #spamHeld: string;
  /** Header lines that copies in mailboxes get in front: what the checks found. */
  #front: string;
  #messageId: string;

  constructor(
    setting: Setting,
    client: ClientFacts,
    mail: { readonly reversePath: Path | null; readonly parameters: MailParameters },
  ) {
    this.traceId = setting.options.newId();
    this.#setting = setting;
    this.#client = client;
    this.#sender = formatPath(mail.reversePath);
    this.#smtputf8 = mail.parameters.smtputf8;
    this.#parameters = mail.parameters;
    this.#holdUntil = holdUntil(mail.parameters, setting.options.clock);
    this.#reports = [];
    const known = mayRelay(client);
    this.#rcptFacts = {
      mayRelay: known,
      sender: this.#sender,
      senderKnown: known,
      octets: mail.parameters.size ?? 1,
    };
    this.#filing = new Filing({ held: this.#holdUntil !== null });
    this.#recipients = 0;
    this.#named = [];
    this.#spool = null;
    this.#facts = null;
    this.#octets = 0;
    this.#eightBit = mail.parameters.body !== "7BIT";
    this.#gate = null;
    this.#beganMs = 0;
    this.#refusal = null;
    this.#finishing = false;
    this.#ownOctets = 0;
    this.#senderCheck = null;
    this.#findings = null;
    this.#junk = false;
    this.#spam = NOT_JUDGED;
    this.#spamHeld = "";
    this.#front = "";
    this.#messageId = "";
    this.#screen = client.screen?.transaction(viewOf(client), {
      traceId: this.traceId,
      sender: this.#sender,
      trusted: client.trusted || client.service === "lmtp",
    }) ?? null;
  }

  rcpt(path: Path, parameters: RcptParameters): Reply | Promise<Reply> {
    if (this.#recipients >= this.#setting.config.recipients) {
      countRecipient("too-many");
      return TOO_MANY_RECIPIENTS;
    }
    if (path.international && !this.#smtputf8) {
      countRecipient("needs-smtputf8");
      return NEEDS_SMTPUTF8;
    }
    const resolution = this.#setting.resolver.resolve(path, this.#rcptFacts);
    if (resolution.kind === "refused") {
      for (const account of resolution.full ?? NOBODY) this.#setting.quotaNotices.look(account, true);
      countRecipient(resolution.reason);
      log.debug("recipient refused: {reason}", () => ({
        session: this.#client.sessionId,
        trace: this.traceId,
        recipient: formatPath(path),
        reason: resolution.reason,
      }));
      return REFUSALS[resolution.reason];
    }
    const { targets } = resolution;
    const gated = this.#setting.options.gate?.refusal(targets) ?? null;
    if (gated !== null) {
      const settle = (refusal: Reply | null) =>
        refusal === null ? this.#screened(path, { parameters, targets }) : this.#checkRefused(path, refusal);
      return gated instanceof Promise ? gated.then(settle) : settle(gated);
    }
    return this.#screened(path, { parameters, targets });
  }

  #screened(
    path: Path,
    { parameters, targets }: { parameters: RcptParameters; targets: readonly RecipientTarget[] },
  ): Reply | Promise<Reply> {
    const screened = this.#screen?.rcpt(formatPath(path)) ?? null;
    if (screened === null) return this.#addRecipient(path, { parameters, targets });
    const answer = (refusal: Reply | null) =>
      refusal === null
        ? this.#addRecipient(path, { parameters, targets })
        : this.#checkRefused(path, refusal);
    return screened instanceof Promise ? screened.then(answer) : answer(screened);
  }

  #checkRefused(path: Path, refusal: Reply): Reply {
    countRecipient("check");
    this.#traced(outcomeOf(refusal), { to: [formatPath(path)], reply: textOf(refusal) });
    return refusal;
  }

  #addRecipient(
    path: Path,
    { parameters, targets }: { parameters: RcptParameters; targets: readonly RecipientTarget[] },
  ): Reply {
    if (!this.#enlist(path, { parameters, targets })) {
      countRecipient("too-many");
      return TOO_MANY_RECIPIENTS;
    }
    const [first] = targets;
    countRecipient(
      first?.kind === "mailbox" ? first.captured ? "captured" : "local" : first?.kind ?? "local",
    );
    this.#recipients++;
    this.#named.push({ path, parameters, targets: [], refusal: null });
    return RECIPIENT_OK;
  }

  /** False when there are too many targets: nothing was added then. */
  #enlist(
    path: Path,
    { parameters, targets }: { parameters: RcptParameters; targets: readonly RecipientTarget[] },
  ): boolean {
    const duty = dsnDuty(parameters, formatPath(path), { targets, held: this.#holdUntil !== null });
    if (!this.#filing.add(targets, duty.request)) return false;
    if (duty.report !== null && this.#sender !== "") {
      this.#reports.push({
        address: formatPath(path),
        action: duty.report,
        originalRecipient: parameters.originalRecipient,
      });
    }
    return true;
  }

  /**
   * LMTP: asks for each recipient again, now that size and header are known, and leaves out what has no room, leads round
   * in a circle, or has gone meanwhile (RFC 2033 4.2). What the first is refused with when nobody is left, else null.
   */
  #settleRecipients(recipients: readonly NamedRecipient[], { deliveredTo }: MessageFacts): Reply | null {
    this.#filing = new Filing({ held: this.#holdUntil !== null });
    this.#reports = [];
    const facts = { ...this.#rcptFacts, octets: this.#octets };
    for (const recipient of recipients) {
      const { path, parameters } = recipient;
      const resolution = this.#setting.resolver.resolve(path, facts);
      if (resolution.kind === "refused") {
        for (const account of resolution.full ?? NOBODY) this.#setting.quotaNotices.look(account, true);
        recipient.refusal = REFUSALS[resolution.reason];
      } else if (leadsBack(resolution.targets, deliveredTo)) recipient.refusal = MAIL_LOOP;
      else if (!this.#enlist(path, { parameters, targets: resolution.targets })) {
        recipient.refusal = TOO_MANY_RECIPIENTS;
      }
      if (resolution.kind === "accepted") recipient.targets = resolution.targets;
      if (recipient.refusal === null) continue;
      this.#traced(outcomeOf(recipient.refusal), {
        to: [formatPath(path)],
        reply: textOf(recipient.refusal),
      });
    }
    return recipients.some(({ refusal }) => refusal === null) ? null : recipients[0]!.refusal;
  }

  begin(): Reply | null | Promise<Reply | null> {
    const screened = this.#screen?.data() ?? null;
    if (screened instanceof Promise) return screened.then((refusal) => refusal ?? this.#begun());
    return screened ?? this.#begun();
  }

  #begun(): null {
    const { options } = this.#setting;
    this.#beganMs = performance.now();
    this.#spool = options.store.spool();
    this.#facts = new FactsBuilder();
    const received = receivedField({
      client: this.#client,
      hostname: options.hostname,
      traceId: this.traceId,
      smtputf8: this.#smtputf8,
      recipient: this.#recipients === 1 ? this.#named[0]!.path : null,
      receivedAt: options.clock(),
    });
    const { account } = this.#client;
    if (account !== null) {
      this.#gate = new SubmissionHeader({
        account,
        directory: options.store.directory,
        date: options.clock(),
        messageId: `<${this.traceId}@${options.hostname}>`,
      });
    }
    this.#ownOctets = received.length;
    this.#senderCheck = this.#startSenderCheck();
    this.#take(received, 0, received.length);
    return null;
  }

  #startSenderCheck(): SenderCheck | null {
    const { options: { resolver, hostname, clock }, config } = this.#setting;
    if (resolver === undefined || config.authentication === undefined) return null;
    const options = { resolver, hostname, config: config.authentication, random: Math.random };
    return startCheck(options, this.#client, { sender: this.#sender, now: clock() });
  }

  write(bytes: Uint8Array, start: number, end: number): Promise<void> | undefined {
    this.#octets += end - start;
    if (this.#refusal !== null) return undefined;
    if (this.#octets > this.#setting.config.messageOctets) return this.#refuse(TOO_BIG);
    if (!this.#eightBit && this.#filing.remote > 0) this.#eightBit = hasEightBit(bytes, start, end);
    this.#senderCheck?.write(bytes, start, end);
    if (this.#gate === null) return this.#take(bytes, start, end);
    return this.#passed(this.#gate.push(bytes, start, end), bytes, end);
  }

  async finish(): Promise<Reply> {
    let answer: Reply;
    this.#finishing = true;
    try {
      answer = await this.#finish();
    } catch (error) {
      answer = errorReply(error);
      log.error("a message could not be stored: {error}", {
        trace: this.traceId,
        session: this.#client.sessionId,
        error,
      });
    }
    this.#forget();
    this.#logAnswer(answer);
    return answer;
  }

  async finishEach(): Promise<readonly Reply[]> {
    const answer = await this.finish();
    return this.#named.map(({ refusal }) => refusal ?? answer);
  }

  discard(refusal?: Reply): void {
    // A client that is lost while its message is made durable does not take the octets away: it is stored or not, whole.
    if (this.#finishing) return;
    this.#screen?.aborted();
    this.#forget();
    if (refusal !== undefined) this.#logAnswer(refusal);
  }

  #forget(): void {
    this.#senderCheck?.discard();
    this.#spool?.discard();
    this.#spool = null;
  }

  async #finish(): Promise<Reply> {
    if (this.#gate !== null && this.#refusal === null) {
      const header = this.#gate.end();
      if (header !== null) await this.#passed(header, NOTHING, 0);
    }
    if (this.#refusal !== null) return this.#refusal;
    if (this.#spool === null || this.#facts === null) return LOCAL_ERROR;
    let message = this.#facts.finish();
    if (message.receivedCount - 1 > MAX_RECEIVED) return MAIL_LOOP;
    if (this.#client.service === "lmtp") {
      const refusal = this.#settleRecipients(this.#named, message);
      if (refusal !== null) return refusal;
    } else if (this.#filing.loops(message.deliveredTo)) return MAIL_LOOP;
    this.#messageId = message.messageId ?? "";
    if (this.#senderCheck !== null) {
      const authenticated = await this.#authenticate(this.#spool, { check: this.#senderCheck, message });
      if ("code" in authenticated) return authenticated;
      message = authenticated;
    }
    if (this.#screen !== null) {
      const refusal = this.#screen.message(this.#source(this.#spool, message));
      const answer = refusal instanceof Promise ? await refusal : refusal;
      if (answer !== null) return answer;
      const { disposition } = this.#screen;
      if (disposition === "discard") return reply(250, "2.6.0", `${this.traceId} Message accepted`);
      message = await this.#mark(this.#spool, message);
      if (this.#screen.changes.envelope.length > 0) {
        const changed = await this.#changeEnvelope(message);
        if ("code" in changed) return changed;
        message = changed;
      }
    }
    const unwanted = await this.#judgeSpam(this.#spool, message);
    if (unwanted !== null) return unwanted;
    if (this.#heldFor !== "") {
      this.#filing.hold();
      message = await this.#resultsInside(this.#spool, message);
    }
    if (this.#parameters.body === "BINARYMIME") {
      const reencoded = await this.#rewrite(this.#spool, reencodeBinaryParts);
      if (reencoded === "unmendable") return BINARY_OUTSIDE_PARTS;
      message = reencoded ?? message;
      if (reencoded !== null) countMended("binary");
    } else if (this.#gate !== null && message.longestLineOctets > MAX_LINE_OCTETS) {
      const reencoded = await this.#rewrite(this.#spool, reencodeLongLines);
      message = reencoded ?? message;
      if (reencoded !== null) countMended("long-lines");
    }
    message = await this.#sign(this.#spool, message);
    return await this.#store(this.#spool, message);
  }

  /** Is it wanted: a refusal, or copies that lie where they should; what is held waits for the operator. */
  async #judgeSpam(spool: Spool, message: MessageFacts): Promise<Reply | null> {
    const { options: { spam, clock }, config } = this.#setting;
    const { account } = this.#client;
    if (spam === undefined || config.spam?.enabled !== true) return null;
    const parts = { ...spam, ...this.#setting.options, config: config.spam };
    const own = this.#ownOctets;
    const octets = spool.octets - own;
    const read = (length: number) => spool.read(own, own + Math.min(length, octets));
    if (account !== null) {
      this.#spamHeld = this.#filing.remote === 0 ? "" : await judgeOutgoing(parts, { octets, read });
      if (this.#spamHeld === "") return null;
      this.#traced("checked", { reply: this.#spamHeld });
      const facts = { login: account.address, reason: this.#spamHeld, traceId: this.traceId, now: clock() };
      spam.notify(facts);
      return null;
    }
    if (this.#findings === null) return null; // trusted, or of those whose mail is not checked
    const { address, heloName } = this.#client;
    this.#spam = await judgeSpam(parts, {
      ...{ filing: this.#filing, read, octets, from: message.from, sender: this.#sender },
      ...{
        client: { address, heloName },
        findings: this.#findings,
        decisions: this.#screen?.decisions ?? [],
      },
    });
    const { trace, heldFor, refusal } = this.#spam;
    if (trace.length > 0) this.#traced("checked", { reply: `spam: ${trace.join("; ")}` });
    this.#spamHeld = heldFor;
    return refusal;
  }

  /** Why it waits for the operator; "" it does not. */
  get #heldFor(): string {
    return this.#screen?.disposition === "quarantine" ? this.#screen.quarantineReason : this.#spamHeld;
  }

  /**
   * DKIM for what leaves by us in the name of a domain of ours. What a login submits is made 7-bit first, so that no relay
   * has to (RFC 6376 5.3); what a trusted network sends is signed as it came.
   */
  async #sign(spool: Spool, message: MessageFacts): Promise<MessageFacts> {
    if (this.#filing.remote === 0 || !mayRelay(this.#client)) return message;
    const { store, clock } = this.#setting.options;
    const keys = authorKeys(store, await spool.read(0, message.headerOctets));
    if (keys.length === 0) return message;
    let facts = message;
    if (this.#gate !== null && this.#eightBit) {
      facts = await this.#rewrite(spool, reencodeSevenBit) ?? message;
      this.#eightBit = await hasEightBitFrom(this.#spool!, 0);
    }
    const { headerOctets } = facts;
    const signed = this.#spool!;
    const header = await signed.read(0, headerOctets);
    const bodyHash = await bodyDigest(signed, headerOctets);
    const front = await signFront(keys, { header, bodyHash, now: clock() });
    return await this.#rewrite(signed, (from, to) => writeWithFields({ from, to }, { front, removed: [] }));
  }

  /** For the report to the owner of the domain. */
  #observe(
    facts: { readonly findings: SenderFindings; readonly verdict: SenderVerdict; readonly subject: string },
  ): void {
    const { options: { observations }, config } = this.#setting;
    // What is put off comes again.
    if (observations === undefined || facts.verdict.action === "defer") return;
    const method = config.authentication!.dmarc === "rfc7489" ? "psl" : "treewalk";
    const found = dmarcObservation({ ...facts, sender: this.#sender, method });
    if (found !== null) observations.add(found.policyDomain, found.seen);
  }

  /** Who sent it: a refusal, or the facts of the message as it is now. */
  async #authenticate(
    spool: Spool,
    { check, message }: { readonly check: SenderCheck; readonly message: MessageFacts },
  ): Promise<Reply | MessageFacts> {
    const { options: { hostname, store, clock }, config } = this.#setting;
    const findings = await finishCheck(check, { traceId: this.traceId, session: this.#client.sessionId });
    this.#findings = findings;
    const attempt = { store, address: this.#client.address, sender: this.#sender, now: clock() };
    const verdict = decide(findings, config.authentication!, () => mayDefer(attempt));
    this.#observe({ findings, verdict, subject: message.subject });
    if (verdict.reason !== "") {
      log.info("sender: {action}, {reason}", { ...verdict, trace: this.traceId });
      this.#traced("checked", { reply: `${verdict.action}: ${verdict.reason}` });
    }
    const refusal = refusalOf(verdict);
    if (refusal !== null) return refusal;
    if (verdict.action === "junk") {
      this.#junk = true;
      await this.#filing.toJunk(store);
    }
    const results = methodResults(findings, { sender: this.#sender });
    const field = resultsField(hostname, results);
    if (this.#filing.remote === 0) this.#front = field;
    if (findings.forged.length === 0 && this.#filing.remote === 0) return message;
    const own = this.#ownOctets;
    const removed = findings.forged.map(({ start, end }) => ({ start: own + start, end: own + end }));
    const front = this.#filing.remote === 0 ? "" : await this.#seal(spool, {
      findings,
      headerOctets: message.headerOctets,
      results: resultsValue(hostname, results),
    }) + field;
    this.#ownOctets += front.length;
    return await this.#rewrite(spool, (from, to) => writeWithFields({ from, to }, { front, removed }));
  }

  /** Copies that wait in the queue get their front there: what the checks found goes into the message itself. */
  async #resultsInside(spool: Spool, message: MessageFacts): Promise<MessageFacts> {
    const front = this.#front;
    if (front === "") return message;
    this.#front = "";
    return await this.#rewrite(spool, (from, to) => writeWithFields({ from, to }, { front, removed: [] }));
  }

  /** ARC for what goes on to others from here; "" where it does not, or nothing can seal it. */
  async #seal(
    spool: Spool,
    { findings: { arc }, headerOctets, results }: {
      readonly findings: SenderFindings;
      readonly headerOctets: number;
      readonly results: string;
    },
  ): Promise<string> {
    const domains = this.#filing.forwardingDomains();
    if (arc === null || domains.length === 0) return "";
    const { store, clock } = this.#setting.options;
    const header = await spool.read(0, headerOctets);
    const bodyHash = await bodyDigest(spool, headerOctets);
    return await sealFront(store, { domains, header, bodyHash, chain: arc, results, now: clock() });
  }

  /** The message as checks see it: without our own Received. */
  #source(spool: Spool, { headerOctets }: MessageFacts): MessageSource {
    const own = this.#ownOctets;
    return {
      octets: spool.octets - own,
      headerOctets: headerOctets - own,
      read: (offset, length) => spool.read(own + offset, Math.min(own + offset + length, spool.octets)),
    };
  }

  /** What checks found goes in front, what they want changed is changed. */
  async #mark(spool: Spool, message: MessageFacts): Promise<MessageFacts> {
    const { decisions, disposition, changes } = this.#screen!;
    const front = verdictField(decisions, disposition);
    if (front === null && !changes.some) return message;
    const plan = {
      front: front ?? "",
      changes,
      ownOctets: this.#ownOctets,
      headerOctets: message.headerOctets,
    };
    return await this.#rewrite(spool, (from, to) => applyChanges(from, to, plan));
  }

  /**
   * Sender and recipients as milters want them. A recipient they add may be anywhere; one that cannot be reached is told
   * and left out. When nobody is left the message is taken and forgotten, as they asked.
   */
  async #changeEnvelope(message: MessageFacts): Promise<Reply | MessageFacts> {
    const { options: { store }, resolver } = this.#setting;
    const recipients = this.#named.filter(({ refusal }) => refusal === null);
    const changed = changedEnvelope({ sender: this.#sender, recipients }, this.#screen!.changes.envelope);
    const faults = [...changed.faults];
    const before = this.#sender;
    this.#sender = changed.sender;
    this.#smtputf8 ||= !isAscii(encode(changed.sender));
    if (changed.wishes !== null) this.#parameters = { ...this.#parameters, ...changed.wishes };
    this.#filing = new Filing({ held: this.#holdUntil !== null });
    this.#reports = [];
    for (const { path, parameters } of changed.kept) {
      const resolution = resolver.resolve(path, this.#rcptFacts);
      if (resolution.kind === "refused") return REFUSALS[resolution.reason];
      if (!this.#enlist(path, { parameters, targets: resolution.targets })) return TOO_MANY_RECIPIENTS;
    }
    const facts = { ...this.#rcptFacts, mayRelay: true, octets: this.#octets };
    for (const { path, parameters } of changed.added) {
      const resolution = resolver.resolve(path, facts);
      const fault = resolution.kind === "refused"
        ? REFUSALS[resolution.reason]
        : leadsBack(resolution.targets, message.deliveredTo)
        ? MAIL_LOOP
        : this.#enlist(path, { parameters, targets: resolution.targets })
        ? null
        : TOO_MANY_RECIPIENTS;
      if (fault !== null) faults.push(`add-recipient: ${formatPath(path)}: ${textOf(fault)}`);
    }
    for (const fault of faults) {
      log.warn("a milter's change of the envelope is left out: {fault}", { trace: this.traceId, fault });
    }
    const words = [
      ...(before === this.#sender ? [] : [`sender <${this.#sender}>`]),
      ...changed.added.map(({ path }) => `and <${formatPath(path)}>`),
      ...recipients.filter((one) => !changed.kept.includes(one)).map(({ path }) =>
        `not <${formatPath(path)}>`
      ),
      ...faults.map((fault) => `left out: ${fault}`),
    ];
    this.#traced("checked", { reply: `envelope: ${words.join("; ")}`, to: this.#filing.addresses() });
    if (this.#filing.mailboxes + this.#filing.remote === 0) {
      return reply(250, "2.6.0", `${this.traceId} Message accepted`);
    }
    if (this.#junk) await this.#filing.toJunk(store);
    if (this.#filing.remote === 0) return message;
    this.#eightBit ||= await hasEightBitFrom(this.#spool!, 0);
    return await this.#resultsInside(this.#spool!, message);
  }

  async #store(spool: Spool, message: MessageFacts): Promise<Reply> {
    const { options, config } = this.#setting;
    const at = options.clock();
    const tls = await this.#tlsNeed(spool, message);
    const lifetimeMs = this.#sender === "" ? config.bounceLifetimeMs : config.queueLifetimeMs;
    if (this.#filing.forwards) await freshKeys(options.store, at);
    if (!this.#mayAskForSuccess()) {
      this.#reports = [];
      this.#filing.withoutSuccess();
    }
    const report = await possibleReport(spool, message, this.#findings);
    const facts: FilingFacts = {
      traceId: this.traceId,
      sender: this.#sender,
      accountId: this.#client.account?.id ?? null,
      eightBit: this.#eightBit,
      smtputf8: this.#smtputf8,
      at,
      expiresAt: (this.#holdUntil ?? at) + lifetimeMs,
      envelopeId: this.#parameters.envelopeId,
      ret: this.#parameters.ret,
      tls,
      ...(this.#holdUntil !== null && { notBefore: this.#holdUntil }),
      front: this.#front,
      ...(this.#heldFor !== "" && {
        quarantine: {
          reason: this.#heldFor,
          dangerous: this.#screen?.disposition === "quarantine" && this.#screen.dangerous,
          expiresAt: at + config.quarantineMs,
        },
      }),
      ...(this.#reports.length + (options.webhooks?.length ?? 0) > 0 &&
        { beside: (blob) => this.#beside(blob, { message, at, tls }) }),
      senderFor: (domain) =>
        forwardedSender(options.store, {
          sender: this.#sender,
          domain,
          now: at,
          isLocal: (address) => this.#setting.resolver.isLocal(address),
        }),
    };
    let result: WriteResult;
    if (hasScripts(options.store, this.#filing)) {
      const filed = await this.#byScripts(spool, message, facts);
      if ("code" in filed) return filed;
      result = await options.store.write(filed);
    } else result = await this.#filing.store({ store: options.store, spool }, message, facts);
    if (result.ok) this.#filed(at);
    if (result.ok && report !== null) {
      const sender = this.#findings?.dmarc?.authorDomain ?? "";
      takeReport(options.store, { octets: report, sender, now: at }); // nobody waits for it; it does not reject
    }
    if (result.ok) return reply(250, "2.6.0", `${this.traceId} Message accepted`);
    log.error("the writer refused a message: {fault}: {detail}", {
      trace: this.traceId,
      fault: result.fault,
      detail: result.detail,
    });
    return faultReply(result.fault);
  }

  /** The operation that files a message whose recipients have scripts, or the answer where there is nothing to file. */
  async #byScripts(spool: Spool, message: MessageFacts, facts: FilingFacts): Promise<WriteOp | Reply> {
    const { options: { hostname }, post } = this.#setting;
    const sealed = this.#filing.forwardingDomains().length > 0;
    const filed = await fileByScripts({
      post,
      hostname,
      frontOf: (domain, redirected, its) => this.#redirectFront(redirected, its, sealed ? null : domain),
    }, {
      ...{ filing: this.#filing, spool, message, traceId: this.traceId, sender: this.#sender },
      senderProven: mayRelay(this.#client) || provesSender(this.#findings, this.#sender),
      junk: this.#junk,
      spam: this.#spam.verdicts,
      virusLevel: this.#screen?.findings.virusLevel ?? null,
      client: { address: this.#client.address, name: this.#client.heloName },
      front: this.#front,
      ...(this.#client.service === "lmtp" && {
        refuseOne: (target: MailboxTarget, reason: string) => this.#refuseOne(target, rejection(reason)),
      }),
    }, facts);
    if (filed.trace.length > 0) this.#traced("checked", { reply: `scripts: ${filed.trace.join("; ")}` });
    if ("rejected" in filed) return rejection(filed.rejected);
    return filed.operation ?? reply(250, "2.6.0", `${this.traceId} Message accepted`);
  }

  /** LMTP: those who lead to this mailbox alone are told behind the data; of them nothing is reported. */
  #refuseOne(target: MailboxTarget, refusal: Reply): boolean {
    if (!refuseRecipients(this.#named, target, refusal)) return false;
    const told = this.#named.filter((one) => one.refusal !== null).map(({ path }) => formatPath(path));
    this.#reports = this.#reports.filter(({ address }) => !told.includes(address));
    this.#traced(outcomeOf(refusal), { to: [target.deliveredTo], reply: textOf(refusal) });
    return true;
  }

  /** What goes in front of redirected mail: our signature where it is ours to sign, else a seal. */
  async #redirectFront(spool: Spool, { headerOctets }: MessageFacts, domain: string | null): Promise<string> {
    const { store, clock, hostname } = this.#setting.options;
    const now = clock();
    const header = await spool.read(0, headerOctets);
    if (mayRelay(this.#client)) {
      const keys = authorKeys(store, header);
      return keys.length === 0
        ? ""
        : await signFront(keys, { header, bodyHash: await bodyDigest(spool, headerOctets), now });
    }
    const chain = this.#findings?.arc ?? null;
    if (chain === null || domain === null) return "";
    const results = resultsValue(hostname, methodResults(this.#findings!, { sender: this.#sender }));
    const bodyHash = await bodyDigest(spool, headerOctets);
    return await sealFront(store, { domains: [domain], header, bodyHash, chain, results, now });
  }

  /** What follows a delivery; nobody waits for it. */
  #filed(at: number): void {
    const { options: { store }, quotaNotices } = this.#setting;
    for (const { owner, masked } of this.#filing.targets()) {
      quotaNotices.look(owner);
      if (masked !== "") noteUse(store, masked, at);
    }
  }

  /** Writes the message anew; the facts then describe what is stored. Null: it stays as it is. */
  async #rewrite<T extends MessageFacts | string | null>(
    from: Spool,
    rewrite: (from: Spool, to: Spool) => Promise<T>,
  ): Promise<T> {
    const to = this.#setting.options.store.spool();
    try {
      const rewritten = await rewrite(from, to);
      if (rewritten === null || typeof rewritten === "string") {
        to.discard();
        return rewritten;
      }
      this.#spool = to;
      from.discard();
      return rewritten;
    } catch (error) {
      to.discard();
      throw error;
    }
  }

  /** RFC 8689: REQUIRETLS goes before the field, which only matters to mail that leaves. */
  async #tlsNeed(spool: Spool, { headerOctets }: MessageFacts): Promise<QueueTls> {
    if (this.#parameters.requireTls) return "require";
    if (this.#filing.remote === 0) return "";
    const header = await spool.read(0, Math.min(headerOctets, MAX_SEARCHED_HEADER));
    return TLS_REQUIRED_NO.test(latin1(header)) ? "optional" : "";
  }

  /**
   * A stranger's address may be forged: what it asks to be told of success goes to it only where SPF, or a signature of its
   * domain, says that it sent the message.
   */
  #mayAskForSuccess(): boolean {
    // Null: a login, or a client that the operator has not checked. DMARC vouches for another address, that of From.
    return this.#findings === null || provesSender(this.#findings, this.#sender);
  }

  /** What is filed in one transaction with the message: reports of success, events for webhooks. */
  async #beside(
    blob: BlobAddress,
    facts: { readonly message: MessageFacts; readonly at: number; readonly tls: QueueTls },
  ): Promise<WriteOp | null> {
    const report = this.#reports.length === 0 ? null : await this.#report(blob, facts);
    const events = eventsOf(this.#setting.options.webhooks ?? [], {
      ...{ event: "accepted", at: facts.at, traceId: this.traceId, sender: this.#sender },
      recipients: this.#named.filter(({ refusal }) => refusal === null).map(({ path }) => formatPath(path)),
      ...{ reply: "", remote: this.#client.address },
    });
    if (events.length === 0) return report;
    const told: WriteOp = { kind: "put-events", events, at: facts.at };
    return report === null ? told : { kind: "batch", ops: [report, told] };
  }

  /** The report of success to the sender, filed together with the message. */
  async #report(
    blob: BlobAddress,
    { message, at, tls }: { readonly message: MessageFacts; readonly at: number; readonly tls: QueueTls },
  ): Promise<WriteOp | null> {
    if (this.#reports.length === 0) return null;
    const { options: { store, hostname }, post } = this.#setting;
    const { envelopeId, ret } = this.#parameters;
    return await noticeOperation({ store, post, hostname }, {
      kind: "success",
      message: {
        ...{
          queueId: 0,
          traceId: this.traceId,
          sender: this.#sender,
          accountId: this.#client.account?.id ?? null,
        },
        ...{
          envelopeId,
          ret,
          eightBit: this.#eightBit,
          smtputf8: this.#smtputf8,
          createdAt: at,
          expiresAt: at,
        },
        ...{ blob, headerOctets: message.headerOctets, tls, priority: 0 },
      },
      recipients: this.#reports.map(({ address, action, originalRecipient }) => ({
        recipient: {
          ...{ recipientId: 0, queueId: 0, recipient: address, destination: "", notify: "SUCCESS" },
          ...{ originalRecipient, attempts: 0, delayNotified: false, nextAttemptAt: at },
        },
        ...{ action, enhanced: "2.0.0", text: "", fromPeer: false, remote: "" },
      })),
    });
  }

  /** Octets that go into the store, ours and the client's. */
  #take(bytes: Uint8Array, start: number, end: number): Promise<void> | undefined {
    const spool = this.#spool;
    const facts = this.#facts;
    if (spool === null || facts === null) return undefined;
    try {
      const pending = spool.write(bytes, start, end);
      facts.push(bytes, start, end);
      return pending?.catch((error) => this.#refuse(errorReply(error)));
    } catch (error) {
      this.#refuse(errorReply(error));
      return undefined;
    }
  }

  /** What the gate let through: a complete header or its refusal, and the rest of the span behind it. */
  #passed(
    gate: ReturnType<SubmissionHeader["push"]>,
    bytes: Uint8Array,
    end: number,
  ): Promise<void> | undefined {
    switch (gate.kind) {
      case "held":
        return undefined;
      case "refused":
        return this.#refuse(gate.reply);
      case "header": {
        if (gate.mended) countMended("header");
        const pending = this.#take(gate.header, 0, gate.header.length);
        if (gate.bodyStart >= end) return pending;
        if (pending === undefined) return this.#take(bytes, gate.bodyStart, end);
        const body = bytes.slice(gate.bodyStart, end);
        return pending.then(() => this.#take(body, 0, body.length));
      }
      case "open":
        return this.#take(bytes, gate.bodyStart, end);
      default:
        return gate satisfies never;
    }
  }

  #refuse(answer: Reply): undefined {
    this.#refusal ??= answer;
    this.#forget();
    return undefined;
  }

  #traced(event: TraceEvent["event"], facts: Partial<TraceEvent>): void {
    const { tracer, clock } = this.#setting.options;
    const { sessionId, address, heloName, service, account, tls } = this.#client;
    const { decisions = [] } = this.#screen ?? {};
    tracer?.note({
      at: clock(),
      trace: this.traceId,
      event,
      session: sessionId,
      client: address,
      helo: heloName,
      service,
      ...(account !== null && { login: account.address }),
      ...(tls !== null && { tls: tls.protocol ?? "yes" }),
      from: this.#sender,
      ...(decisions.length > 0 && {
        checks: decisions.map(({ check, stage, action, reason }) => ({ check, stage, action, reason })),
      }),
      ...facts,
    });
  }

  /** The one line about this message. */
  #logAnswer(answer: Reply): void {
    const tookMs = this.#beganMs === 0 ? 0 : performance.now() - this.#beganMs;
    const outcome = outcomeOf(answer);
    countMessage(outcome, this.#client.service);
    if (outcome === "accepted") observeAccepted(tookMs);
    const disposition = this.#screen?.disposition ?? "deliver";
    if (this.#setting.options.tracer !== undefined) {
      this.#traced(outcome, {
        to: this.#filing.addresses(),
        messageId: this.#messageId,
        size: this.#octets,
        mailboxes: this.#filing.mailboxes,
        queued: this.#filing.remote,
        ms: Math.round(tookMs),
        ...(disposition !== "deliver" && { disposition }),
        reply: textOf(answer),
      });
    }
    log.info("message {outcome}", {
      outcome,
      trace: this.traceId,
      session: this.#client.sessionId,
      from: this.#sender,
      recipients: this.#recipients,
      size: this.#octets,
      mailboxes: this.#filing.mailboxes,
      queued: this.#filing.remote,
      ms: Math.round(tookMs),
      ...(disposition !== "deliver" && { disposition }),
      ...(outcome !== "accepted" && { reply: `${answer.code} ${answer.enhanced} ${answer.text}` }),
    });
  }
}

/** What the quarantine keeps of the verdict. */
/** A Delivered-To of ours for one of these targets stands in the message already. */
function leadsBack(targets: readonly RecipientTarget[], deliveredTo: readonly string[]): boolean {
  const filing = new Filing();
  filing.add(targets);
  return filing.loops(deliveredTo);
}

function outcomeOf({ code }: Reply): "accepted" | "deferred" | "refused" {
  return code < 300 ? "accepted" : code < 500 ? "deferred" : "refused";
}

function textOf({ code, enhanced, text }: Reply): string {
  return `${code} ${enhanced} ${text}`;
}

/** RFC 8689 5. */
const TLS_REQUIRED_NO = /^tls-required:[ \t]*no[ \t]*\r$/im;
const MAX_SEARCHED_HEADER = 64 * 1024;

/** RFC 4865 3; a time that has passed holds nothing. */
function holdUntil({ hold }: MailParameters, clock: () => number): number | null {
  if (hold === null) return null;
  const now = clock();
  const until = "untilMs" in hold ? hold.untilMs : now + hold.forSeconds * 1_000;
  return until > now ? until : null;
}

const NOTHING = new Uint8Array(0);
const NOBODY: readonly Account[] = [];

function hasEightBit(bytes: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (bytes[i]! >= 0x80) return true;
  return false;
}

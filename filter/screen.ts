/**
 * The checks of one session and its transactions, put together to what the client is answered and the message gets.
 *
 * What checks of connect, EHLO and MAIL refuse is said at RCPT, where it is known whom it concerns: postmaster and abuse
 * get their mail whatever the checks say (RFC 5321 4.5.1, RFC 2142 4). Such a recipient is not mixed with others in one
 * transaction when the message itself is to be checked, because that has one answer for all: the others wait for
 * their own (452). Logins and trusted networks pass the checks of strangers; those that say `logins` see them too.
 */
import type { Reply } from "../protocols/smtp/reply.ts";
import type { Chain } from "./chain.ts";
import type { CheckFacts, ClientView } from "./check.ts";
import { MessageFindings } from "./findings.ts";
import { MessageChanges, type MessageSource } from "./message_source.ts";
import { seconds } from "./metrics.ts";
import type { Decision, Stage } from "./verdict.ts";
import type { VerdictTime } from "./verdict_time.ts";

const EXEMPT = /^(postmaster|abuse)(@|$)/i;
/** Decisions kept of one transaction; the rest is in the log. */
const MAX_DECISIONS = 100;

export const REFUSED: Reply = reply(550, "5.7.1", "Refused by policy");
export const PUT_OFF: Reply = reply(451, "4.7.1", "Try again later");
const SEND_APART: Reply = reply(452, "4.5.3", "Send this recipient a message of its own");

function reply(code: number, enhanced: string, text: string): Reply {
  return { code, enhanced, text };
}

/** What is known of a message besides its octets. */
export type KnownOfMessage = Pick<CheckFacts, "sent" | "staysHere">;
const NOBODY: readonly string[] = [];
const NOTHING_KNOWN: KnownOfMessage = { sent: null, staysHere: false };

/** What becomes of a message that was not refused. */
export type Disposition = "deliver" | "quarantine" | "discard";

/** The checks that look at strangers, and those that look at logins. */
export interface Chains {
  readonly strangers: Chain;
  readonly logins: Chain;
}

/** One session. */
export class SessionScreen {
  readonly notes = new Map<string, string>();
  #chains: Chains;
  #connect: Decisions | null;
  #ehlo: { readonly name: string; readonly decisions: Decisions } | null;

  constructor(chains: Chains) {
    this.#chains = chains;
    this.#connect = null;
    this.#ehlo = null;
  }

  /** There is something to ask as soon as a connection is there. */
  get asksAtConnect(): boolean {
    return this.#chains.strangers.has("connect");
  }

  /** The connection is there. Answers come in while the client goes on. */
  connected(client: ClientView): void {
    if (this.#connect !== null || !this.asksAtConnect) return;
    this.#connect = this.#chains.strangers.run(this.#facts("connect", client));
  }

  /** EHLO or HELO was given; asked again for another name only. */
  greeted(client: ClientView): void {
    this.connected(client);
    if (!this.#chains.strangers.has("ehlo") || this.#ehlo?.name === client.heloName) return;
    this.#ehlo = {
      name: client.heloName,
      decisions: this.#chains.strangers.run(this.#facts("ehlo", client)),
    };
  }

  transaction(
    client: ClientView,
    facts: { traceId: string; sender: string; trusted: boolean },
  ): MailScreen | null {
    const known = client.login !== null || facts.trusted;
    const chain = known ? this.#chains.logins : this.#chains.strangers;
    if (chain.checks.length === 0) return null;
    if (!known) this.greeted(client);
    return new MailScreen(chain, {
      client,
      notes: this.notes,
      connect: known ? NO_DECISIONS : this.#connect ?? NO_DECISIONS,
      ehlo: known ? NO_DECISIONS : this.#ehlo?.decisions ?? NO_DECISIONS,
      traceId: facts.traceId,
      sender: facts.sender,
    });
  }

  /** It speaks for another client from now on: what was found about the one before says nothing. */
  another(sessionId: string): void {
    this.ended(sessionId);
    this.notes.clear();
    this.#connect = null;
    this.#ehlo = null;
  }

  ended(sessionId: string): void {
    this.#chains.strangers.ended(sessionId);
    if (this.#chains.logins !== this.#chains.strangers) this.#chains.logins.ended(sessionId);
  }

  #facts(stage: Stage, client: ClientView): CheckFacts {
    return {
      stage,
      client,
      notes: this.notes,
      traceId: "",
      sender: null,
      recipient: "",
      recipients: NOBODY,
      message: null,
      changes: null,
      findings: null,
      sent: null,
      staysHere: false,
    };
  }
}

interface MailFacts {
  readonly client: ClientView;
  readonly traceId: string;
  readonly sender: string;
  readonly notes: Map<string, string>;
  /** What these stages said. */
  readonly connect: Decisions;
  readonly ehlo: Decisions;
}

type Decisions = readonly Decision[] | Promise<readonly Decision[]>;
const NO_DECISIONS: readonly Decision[] = [];

/** One behind the other; at once where both are there. */
function joined(first: Decisions, second: Decisions): Decisions {
  if (first instanceof Promise || second instanceof Promise) {
    return Promise.all([first, second]).then(([one, other]) => [...one, ...other]);
  }
  return first.length === 0 ? second : second.length === 0 ? first : [...first, ...second];
}

/** One transaction. */
export class MailScreen {
  readonly decisions: Decision[] = [];
  readonly changes = new MessageChanges();
  readonly findings = new MessageFindings();
  readonly #chain: Chain;
  readonly #facts: MailFacts;
  /** Everything up to MAIL, joined when the first recipient comes. */
  #early: Decisions;
  #joined: boolean;
  #refusal: Reply | null;
  #accepted: boolean;
  #exempt: boolean | null;
  #recipients: string[];

  constructor(chain: Chain, facts: MailFacts) {
    this.#chain = chain;
    this.#facts = facts;
    this.#joined = false;
    this.#refusal = null;
    this.#accepted = false;
    this.#exempt = null;
    this.#recipients = [];
    const mail = chain.has("mail") ? chain.run(this.#stage("mail", "", null)) : NO_DECISIONS;
    this.#early = joined(joined(facts.connect, facts.ehlo), mail);
  }

  /** Null takes the recipient, as far as checks go. Call it for those that exist. */
  rcpt(recipient: string): Reply | null | Promise<Reply | null> {
    if (this.#joined) return this.#rcpt(recipient);
    if (!(this.#early instanceof Promise)) {
      this.#join(this.#early);
      return this.#rcpt(recipient);
    }
    return this.#waited(this.#early).then((decisions) => {
      this.#join(decisions);
      return this.#rcpt(recipient);
    });
  }

  /** Before the 354. */
  data(): Reply | null | Promise<Reply | null> {
    if (this.#passes || !this.#chain.has("data")) return null;
    return this.#decided(this.#chain.run(this.#stage("data", "", null)));
  }

  /** The message is there; what is not answered in `time` is not waited for. */
  message(
    source: MessageSource,
    known: KnownOfMessage,
    time: VerdictTime | null = null,
  ): Reply | null | Promise<Reply | null> {
    if (this.#passes || !this.#chain.has("message")) return null;
    return this.#decided(this.#chain.run(this.#stage("message", "", source, known), time));
  }

  /** Recipients are postmaster or abuse only, or a check has taken the message. */
  get #passes(): boolean {
    return this.#accepted || this.#exempt === true;
  }

  get disposition(): Disposition {
    return this.#passes ? "deliver" : this.#wanted;
  }

  /** What checks want, whoever the recipients are. */
  get #wanted(): Disposition {
    let wanted: Disposition = "deliver";
    for (const { action } of this.decisions) {
      if (action === "discard") return "discard";
      if (action === "quarantine") wanted = "quarantine";
    }
    return wanted;
  }

  /** Why the message is held. */
  get quarantineReason(): string {
    const { check, reason } = this.decisions.find(({ action }) => action === "quarantine") ??
      { check: "", reason: "" };
    return `${check}: ${reason}`;
  }

  /** A check found that it does harm. */
  get dangerous(): boolean {
    return this.decisions.some(({ dangerous }) => dangerous === true);
  }

  aborted(): void {
    this.#chain.aborted(this.#facts.client.sessionId);
  }

  #rcpt(recipient: string): Reply | null | Promise<Reply | null> {
    const exempt = EXEMPT.test(recipient);
    const checksMessage = this.#chain.has("message") || this.#chain.has("data") ||
      this.#wanted !== "deliver";
    if (this.#exempt !== null && this.#exempt !== exempt && checksMessage && !this.#accepted) {
      return SEND_APART;
    }
    if (exempt || this.#accepted) return this.#took(recipient, exempt);
    if (this.#refusal !== null) return this.#refusal;
    if (!this.#chain.has("rcpt")) return this.#took(recipient, exempt);
    const decisions = this.#decidedOnce(this.#chain.run(this.#stage("rcpt", recipient, null)));
    return decisions instanceof Promise
      ? decisions.then((refusal) => refusal ?? this.#took(recipient, exempt))
      : decisions ?? this.#took(recipient, exempt);
  }

  #took(recipient: string, exempt: boolean): null {
    this.#exempt ??= exempt;
    this.#recipients.push(recipient);
    return null;
  }

  #join(decisions: readonly Decision[]): void {
    this.#joined = true;
    this.#refusal = this.#apply(decisions);
  }

  #decided(decisions: Decisions): Reply | null | Promise<Reply | null> {
    return this.#decidedOnce(decisions);
  }

  #decidedOnce(decisions: Decisions): Reply | null | Promise<Reply | null> {
    return decisions instanceof Promise
      ? this.#waited(decisions).then((all) => this.#apply(all))
      : this.#apply(decisions);
  }

  async #waited(decisions: Promise<readonly Decision[]>): Promise<readonly Decision[]> {
    const began = performance.now();
    const all = await decisions;
    seconds.observe((performance.now() - began) / 1000);
    return all;
  }

  /** Takes note; the refusal among them. */
  #apply(decisions: readonly Decision[]): Reply | null {
    if (decisions.length === 0) return null;
    for (const decision of decisions) {
      if (this.decisions.length < MAX_DECISIONS && !this.#knows(decision)) this.decisions.push(decision);
      if (decision.action === "accept") {
        this.#accepted = true;
        this.#refusal = null;
        return null;
      }
      if (decision.action === "reject") return decision.reply ?? REFUSED;
      if (decision.action === "defer") return decision.reply ?? PUT_OFF;
    }
    return null;
  }

  /** What counts nothing is told once: who does not answer would say so for each recipient. */
  #knows({ check, action, reason, points }: Decision): boolean {
    return points === 0 &&
      this.decisions.some((one) => one.check === check && one.action === action && one.reason === reason);
  }

  #stage(
    stage: Stage,
    recipient: string,
    message: MessageSource | null,
    { sent, staysHere }: KnownOfMessage = NOTHING_KNOWN,
  ): CheckFacts {
    const { client, notes, traceId, sender } = this.#facts;
    return {
      stage,
      client,
      notes,
      traceId,
      sender,
      recipient,
      recipients: this.#recipients,
      message,
      changes: message === null ? null : this.changes,
      findings: message === null ? null : this.findings,
      sent,
      staysHere,
    };
  }
}

/** The header field that tells the recipient what checks have found; null when there is nothing to tell. */
export function verdictField(decisions: readonly Decision[], disposition: Disposition): string | null {
  if (decisions.length === 0) return null;
  const parts = decisions.map(({ check, action, reason }) =>
    `${check}=${action} (${reason.replace(/[()\\;]/g, "_")})`
  );
  return `${VERDICT_HEADER}: ${disposition};\r\n\t${parts.slice(0, MAX_SHOWN).join(";\r\n\t")}\r\n`;
}

const VERDICT_HEADER = "X-Veredus-Verdict";
const MAX_SHOWN = 20;

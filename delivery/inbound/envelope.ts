/** The envelope of one message on its way in: from whom, to whom, and what the client asked of us with it. */
import type { MailParameters } from "../../protocols/smtp/parameters.ts";
import { formatPath, type Path } from "../../protocols/smtp/path.ts";
import type { Reply } from "../../protocols/smtp/reply.ts";
import { dsnDuty } from "../dsn_request.ts";
import type { EnvelopeRecipient } from "../envelope_changes.ts";
import { Filing } from "../filing.ts";
import type { RcptFacts, RecipientTarget } from "../recipients.ts";

/** A recipient as the client gave it, and what LMTP says to it behind the data; null: what the message is told. */
export interface NamedRecipient extends EnvelopeRecipient {
  /** Where it leads; known behind the data of LMTP. */
  targets: readonly RecipientTarget[];
  refusal: Reply | null;
}

/** A recipient and where it leads. */
export interface ResolvedRecipient extends EnvelopeRecipient {
  readonly targets: readonly RecipientTarget[];
}

/** A recipient whose success is ours to report. */
export interface SuccessReport {
  readonly address: string;
  readonly action: "delivered" | "expanded";
  readonly originalRecipient: string;
}

export interface EnvelopeFacts {
  readonly reversePath: Path | null;
  readonly parameters: MailParameters;
  /** It may name recipients anywhere. */
  readonly mayRelay: boolean;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

export class Envelope {
  /** "" is the null path. */
  sender: string;
  smtputf8: boolean;
  parameters: MailParameters;
  /** RFC 4865; null at once. */
  readonly holdUntil: number | null;
  /** What recipients are resolved with. */
  readonly rcptFacts: RcptFacts;
  /** Those that were taken; with LMTP each has a reply of its own. */
  readonly recipients: NamedRecipient[];
  /** Where the message goes. */
  filing: Filing;
  /** Recipients whose success we report ourselves. */
  reports: SuccessReport[];

  constructor({ reversePath, parameters, mayRelay, now }: EnvelopeFacts) {
    this.sender = formatPath(reversePath);
    this.smtputf8 = parameters.smtputf8;
    this.parameters = parameters;
    this.holdUntil = holdUntil(parameters, now);
    this.rcptFacts = {
      mayRelay,
      sender: this.sender,
      senderKnown: mayRelay,
      octets: parameters.size ?? 1,
    };
    this.recipients = [];
    this.filing = new Filing({ held: this.holdUntil !== null });
    this.reports = [];
  }

  /** Forgets where the message goes, to resolve its recipients once more. */
  startAgain(): void {
    this.filing = new Filing({ held: this.holdUntil !== null });
    this.reports = [];
  }

  /** False when there are too many targets: nothing was added then. */
  enlist({ path, parameters, targets }: ResolvedRecipient): boolean {
    const address = formatPath(path);
    const duty = dsnDuty(parameters, address, { targets, held: this.holdUntil !== null });
    if (!this.filing.add(targets, duty.request)) return false;
    if (duty.report !== null && this.sender !== "") {
      this.reports.push({ address, action: duty.report, originalRecipient: parameters.originalRecipient });
    }
    return true;
  }

  /** Recipients that have no refusal of their own. */
  taken(): NamedRecipient[] {
    return this.recipients.filter(({ refusal }) => refusal === null);
  }
}

/** A Delivered-To of ours for one of these targets stands in the message already. */
export function leadsBack(targets: readonly RecipientTarget[], deliveredTo: readonly string[]): boolean {
  const filing = new Filing();
  filing.add(targets);
  return filing.loops(deliveredTo);
}

/** RFC 4865 3; a time that has passed holds nothing. */
function holdUntil({ hold }: MailParameters, now: number): number | null {
  if (hold === null) return null;
  const until = "untilMs" in hold ? hold.untilMs : now + hold.forSeconds * 1_000;
  return until > now ? until : null;
}

/**
 * One message on its way in, as the steps of its reception see it: who sends it, its envelope, its octets, and what the
 * steps have found so far. Belongs to one transaction; steps run one after the other.
 */
import { getLogger } from "@logtape/logtape";
import { networkOf } from "../../filter/address_block.ts";
import { MAX_SCAN_DEFERRAL_MS, mayPutOff } from "../../filter/deferral.ts";
import type { MailScreen } from "../../filter/screen.ts";
import { VerdictTime } from "../../filter/verdict_time.ts";
import type { SenderFindings } from "../../mailauth/sender_check.ts";
import type { MailParameters } from "../../protocols/smtp/parameters.ts";
import type { Path } from "../../protocols/smtp/path.ts";
import { type Reply, reply } from "../../protocols/smtp/reply.ts";
import { mayRelay } from "../policy.ts";
import { type ClientFacts, viewOf } from "../reception.ts";
import { NOT_JUDGED, type SpamOutcome } from "../spam/judge.ts";
import { Content } from "./content.ts";
import { Envelope } from "./envelope.ts";
import type { Setting } from "./setting.ts";

/** Does its part, at once where it can: null goes on, a reply (of whatever code) is the answer to the message. */
export type Step = (mail: Mail) => Reply | null | Promise<Reply | null>;

/** Where nothing is said of it. */
const DEFAULT_TIME = { deadlineMs: 30_000, onTimeout: "mark" } as const;
/** No check is called so. */
const VERDICT_LATE = "";
const log = getLogger(["veredus", "delivery"]);

export class Mail {
  readonly traceId: string;
  readonly setting: Setting;
  readonly client: ClientFacts;
  /** A login, or a network that is trusted: it may send anywhere. */
  readonly mayRelay: boolean;
  readonly screen: MailScreen | null;
  readonly envelope: Envelope;
  readonly content: Content;
  /** For the verdict; begins anew when the message is there. */
  time: VerdictTime;
  /** By `performance.now()`; 0 before DATA. */
  beganMs: number;
  messageId: string;
  /** Who sent it; null where nobody asked. */
  findings: SenderFindings | null;
  /** A check sent it to Junk. */
  junk: boolean;
  spam: SpamOutcome;
  spamHeld: string;
  /** Header lines that copies in mailboxes get in front: what the checks found. */
  front: string;

  constructor(
    setting: Setting,
    client: ClientFacts,
    { reversePath, parameters }: { readonly reversePath: Path | null; readonly parameters: MailParameters },
  ) {
    const { options, config } = setting;
    this.traceId = options.newId();
    this.setting = setting;
    this.client = client;
    this.mayRelay = mayRelay(client);
    this.envelope = new Envelope({ reversePath, parameters, mayRelay: this.mayRelay, now: options.clock() });
    this.content = new Content({
      newSpool: () => options.store.spool(),
      limitOctets: config.messageOctets,
      eightBit: parameters.body !== "7BIT",
    });
    this.screen = client.screen?.transaction(viewOf(client), {
      traceId: this.traceId,
      sender: this.envelope.sender,
      trusted: client.trusted || client.service === "lmtp",
    }) ?? null;
    this.time = this.verdictTime();
    this.beganMs = 0;
    this.messageId = "";
    this.findings = null;
    this.junk = false;
    this.spam = NOT_JUDGED;
    this.spamHeld = "";
    this.front = "";
  }

  /** A new one, that begins now. */
  verdictTime(): VerdictTime {
    const { deadlineMs: ms, onTimeout } = this.setting.config.spam ?? DEFAULT_TIME;
    return new VerdictTime({
      ms,
      whenLate: () => onTimeout === "defer" && this.#mayComeAgain() ? "defer" : "mark",
    });
  }

  /** Why it waits for the operator; "" it does not. */
  get heldFor(): string {
    return this.screen?.disposition === "quarantine" ? this.screen.quarantineReason : this.spamHeld;
  }

  /** The 250 of this message; sent when it is durable. */
  accepted(): Reply {
    return reply(250, "2.6.0", `${this.traceId} Message accepted`);
  }

  /** This client and sender may be put off (again) for want of a verdict. */
  #mayComeAgain(): boolean {
    const { store, clock } = this.setting.options;
    return mayPutOff({
      state: store.policy,
      write: (op) => {
        store.write(op).catch((error) => log.warn("a deferral could not be noted: {error}", { error }));
      },
      kind: "scan-trouble",
      key: `${VERDICT_LATE} ${networkOf(this.client.address)} ${this.envelope.sender.toLowerCase()}`,
      ...{ forMs: MAX_SCAN_DEFERRAL_MS, now: clock() },
    });
  }

  /** Copies that wait in the queue get their front there: what the checks found goes into the message itself. */
  async moveFrontInside(): Promise<void> {
    const { front } = this;
    if (front === "") return;
    this.front = "";
    await this.content.putInFront(front);
  }
}

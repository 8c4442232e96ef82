/** The life of each message, as told while it happens: what came in, what checks said, what each attempt did. */
export interface TraceEvent {
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** Our id of the message. */
  readonly trace: string;
  /** `checked` is a word of SPF, DKIM and the like; `refused` and `deferred` are answers to the client; `attempt` is one of the queue. */
  readonly event: "checked" | "accepted" | "deferred" | "refused" | "attempt";
  readonly session?: string;
  readonly client?: string;
  readonly helo?: string;
  readonly service?: string;
  readonly login?: string | undefined;
  readonly tls?: string | undefined;
  /** "" is the null path. */
  readonly from?: string;
  readonly to?: readonly string[];
  readonly messageId?: string;
  readonly size?: number;
  /** Copies filed here, and recipients queued. */
  readonly mailboxes?: number;
  readonly queued?: number;
  readonly ms?: number;
  readonly disposition?: string | undefined;
  /** Extensions that its client asked something of us by. */
  readonly esmtp?: string | undefined;
  readonly checks?:
    | readonly {
      readonly check: string;
      readonly stage: string;
      readonly action: string;
      readonly reason: string;
    }[]
    | undefined;
  /** Ours to the client, or the remote's (and our words) at an attempt. */
  readonly reply?: string;
  readonly outcome?: string;
  readonly remote?: string;
}

/** Takes events; nobody waits for it, and it never throws. */
export interface Tracer {
  note(event: TraceEvent): void;
}

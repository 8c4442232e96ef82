/** A check: one small module that looks at the facts of a stage and says what to do. */
import type { SenderFindings } from "../mailauth/sender_check.ts";
import type { MessageFindings } from "./findings.ts";
import type { MessageChanges, MessageSource } from "./message_source.ts";
import type { Stage, Verdict } from "./verdict.ts";

/** The client, as far as checks may know it. */
export interface ClientView {
  readonly sessionId: string;
  readonly address: string;
  readonly port: number;
  readonly heloName: string;
  readonly tls: boolean;
  /** Null in clear, or where the carrier cannot tell. */
  readonly tlsProtocol: string | null;
  readonly tlsCipher: string | null;
  readonly service: "mx" | "submission" | "lmtp";
  /** Address of the account, null without a login. */
  readonly login: string | null;
  /** The SASL mechanism of that login. */
  readonly mechanism: string | null;
  /** It sent octets before the greeting. */
  readonly spokeEarly: boolean;
}

/** What one stage has to look at. Later stages know more. */
export interface CheckFacts {
  readonly stage: Stage;
  readonly client: ClientView;
  /** Our id of the message; "" before MAIL. */
  readonly traceId: string;
  /** Reverse-path, "" is the null path; null before MAIL. */
  readonly sender: string | null;
  /** At RCPT: the recipient in question. */
  readonly recipient: string;
  /** Those that were taken so far. */
  readonly recipients: readonly string[];
  /** At the stage `message`. */
  readonly message: MessageSource | null;
  /** Found out by checks of this session: `reverse-name`, for one. */
  readonly notes: Map<string, string>;
  /** What checks want changed in the message; filled at the stage `message`. */
  readonly changes: MessageChanges | null;
  /** What checks found out about the message; at the stage `message`. */
  readonly findings: MessageFindings | null;
  /** Who sent it; at the stage `message`, where that was asked. */
  readonly sent: SenderFindings | null;
  /** All of it goes to mailboxes here; known at the stage `message`. */
  readonly staysHere: boolean;
}

/** For log lines: whose session it is, and which message. */
export function placeOf({ client, traceId }: CheckFacts): { session: string; trace: string | undefined } {
  return { session: client.sessionId, trace: traceId === "" ? undefined : traceId };
}

export interface Check {
  readonly name: string;
  readonly stages: readonly Stage[];
  /** Must not throw on what a peer sends. Trouble rejects, and the chain goes on without this check. */
  run(facts: CheckFacts): Verdict | Promise<Verdict>;
  /** What it says where the time of the message is over before its answer; left out, the message is marked. */
  late?(facts: CheckFacts): Verdict;
  /** What the check keeps of one session (a milter's connection) may go. */
  ended?(sessionId: string): void;
  /** A transaction is over without a message. */
  aborted?(sessionId: string): void;
  /** Resolves when nothing of it is left. */
  close?(): Promise<void> | void;
}

/**
 * Agents: what takes mail from the queue and is no mail server: groups, commands, HTTP hooks, our own
 * mailboxes for what was held back.
 *
 * The queue's row names one in its destination (`group:ADDRESS`, `command:NAME`, `hook:NAME`), so that mail for an agent
 * is as durable as mail for another server and is tried again by the same schedule. At least once: a crash between what
 * an agent does and what the queue writes of it does it again. Commands and hooks are those of the configuration, and no
 * others; an alias can name them only.
 */
import type { DueRecipient, QueuedMessage } from "../storage/queue.ts";
import type { MessageSource } from "./outgoing_message.ts";
import type { Verdict } from "./settle.ts";

export type AgentKind = "group" | "command" | "hook" | "local";

/** Where a queue row leads that names an agent. */
export interface AgentRoute {
  readonly kind: AgentKind;
  readonly name: string;
}

/** One recipient of one message. */
export interface AgentJob {
  readonly message: QueuedMessage;
  readonly recipient: DueRecipient;
  readonly source: MessageSource;
}

/** Does what `name` stands for. May reject: that is temporary. */
export type Agent = (name: string, job: AgentJob) => Promise<Verdict>;
export type Agents = Readonly<Record<AgentKind, Agent>>;

/** Null for other servers. */
export function agentRoute(destination: string): AgentRoute | null {
  const match = /^(group|command|hook|local):(.+)$/.exec(destination);
  return match === null ? null : { kind: match[1] as AgentKind, name: match[2]! };
}

export function agentVerdict(
  outcome: Verdict["outcome"],
  enhanced: string,
  text: string,
): Verdict {
  return { outcome, enhanced, text, fromPeer: false, remote: "" };
}

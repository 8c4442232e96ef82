/** One recipient's scripts, done: what they decided, and the message as they saw it. */
import type { MessageFacts } from "../../message/facts.ts";
import type { MessageView } from "../../sieve/message_view.ts";
import type { Spool } from "../../storage/store.ts";
import type { Copy, Filing } from "../filing.ts";
import type { RefuseOne } from "./refuse_one.ts";
import type { Decision } from "./chain.ts";

export interface ScriptedMessage {
  readonly filing: Filing;
  readonly spool: Spool;
  readonly message: MessageFacts;
  readonly traceId: string;
  /** "" is the null path. */
  readonly sender: string;
  /** SPF or DKIM vouch for the sender, or it is a login: a notice to it reaches who wrote. */
  readonly senderProven: boolean;
  /** A check sent it to Junk. */
  readonly junk: boolean;
  /** What the spam filter says, by account; left out: it was not asked. */
  readonly spam?: ReadonlyMap<number, { readonly junk: boolean; readonly percent: number }>;
  /** RFC 5235 3.: what scanners said; left out or null: nothing has looked. */
  readonly virusLevel?: number | null;
  readonly client: { readonly address: string; readonly name: string };
  /** Header lines that copies get in front. */
  readonly front: string;
  /** It comes from the quarantine or was held: there is no session in which a refusal would be heard. Left out: there is one. */
  readonly later?: boolean;
  /** LMTP: a recipient may be told in the session; left out: all or none are. */
  readonly refuseOne?: RefuseOne;
}

export interface Run {
  readonly copy: Copy;
  readonly view: (needsBody: boolean) => Promise<MessageView>;
  /** Octets of the view that are trace lines of the copy and not of the message. */
  readonly traceOctets: number;
  readonly decision: Decision;
}

/** True where a check or the spam filter sent the account's copy to Junk. */
export function isJunk({ junk, spam }: Pick<ScriptedMessage, "junk" | "spam">, accountId: number): boolean {
  return junk || spam?.get(accountId)?.junk === true;
}

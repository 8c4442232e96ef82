/**
 * Changes on their way between threads: the states of messages as one array of numbers.
 *
 * A change of a whole mailbox is copied to each thread that asked for it, and an array of numbers costs a tenth of as
 * many objects.
 */
import type { Change, FlagState } from "./changes.ts";

type WithMessages = Extract<Change, { messages: readonly FlagState[] }>;

export type PackedChange =
  | Exclude<Change, WithMessages>
  | Omit<WithMessages, "messages"> & {
    /** UID, flags, UID, flags... */
    readonly states: readonly number[];
    /** Of each message; null when no message has any. */
    readonly keywords: readonly string[] | null;
  };

export function packChange(change: Change): PackedChange {
  if (!("messages" in change)) return change;
  const { messages, ...rest } = change;
  const states: number[] = [];
  let any = false;
  for (const { uid, flags, keywords } of messages) {
    states.push(uid, flags);
    if (keywords !== "") any = true;
  }
  return { ...rest, states, keywords: any ? messages.map(({ keywords }) => keywords) : null };
}

export function unpackChange(packed: PackedChange): Change {
  if (!("states" in packed)) return packed;
  const { states, keywords, ...rest } = packed;
  const messages: FlagState[] = [];
  for (let i = 0; i < states.length; i += 2) {
    messages.push({ uid: states[i]!, flags: states[i + 1]!, keywords: keywords?.[i / 2] ?? "" });
  }
  return { ...rest, messages };
}

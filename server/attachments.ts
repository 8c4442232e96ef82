/**
 * Where the attachments of a message are looked into: small ones in the thread that received it, others by the filter's thread, which
 * reads a message that lies on disk there itself, and is given one that is still in memory.
 */
import { getLogger } from "@logtape/logtape";
import { type Steps, when } from "../bytes/steps.ts";
import { type Inspect, type Inspected, inspected } from "../filter/content/attachments.ts";
import type { ContentLimits } from "../filter/content/inspect.ts";
import type { MessageSource } from "../filter/message_source.ts";
import { type FilterThread, SMALL_OCTETS } from "./filter_thread.ts";

const log = getLogger(["veredus", "filter"]);
/** The deadline of the message comes first: what it says to who is late counts. Then it is known that the thread hangs. */
const GRACE_MS = 1_000;

export function inspectIn(thread: FilterThread | null): Inspect {
  return (message, limits) => thread === null ? inspected(message, limits) : inspect(thread, message, limits);
}

function* inspect(
  thread: FilterThread,
  message: MessageSource,
  limits: ContentLimits,
): Steps<Inspected | null> {
  return message.octets <= SMALL_OCTETS
    ? yield* inspected(message, limits)
    : yield* when(elsewhere(thread, message, limits));
}

async function elsewhere(
  thread: FilterThread,
  message: MessageSource,
  limits: ContentLimits,
): Promise<Inspected | null> {
  try {
    const place = message.onDisk();
    const handed = place === null
      ? message.held(0, message.octets) ?? await message.read(0, message.octets)
      : await place;
    return await thread.ask(
      { kind: "inspect", message: handed, headerOctets: message.headerOctets, limits },
      thread.deadlineMs + GRACE_MS,
    );
  } catch (error) {
    log.error("attachments were not looked at: {error}", { error });
    return null;
  }
}

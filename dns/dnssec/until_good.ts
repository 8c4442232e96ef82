/** A reply that is bogus is asked for again from another server before it counts: one bad server must not stop the mail. */
import { type ExtendedError, ResolveError } from "../resolver.ts";
import type { Reply, Source, SourceQuestion } from "../source.ts";
import type { Work } from "../work.ts";

/** Tries at a reply, each with another server. */
const MAX_TRIES = 3;

/** Asks, and asks other servers again while the reply is bogus. */
export async function askUntilGood<T extends { readonly bogus: ExtendedError | null }>(
  source: Source,
  question: SourceQuestion & { readonly work: Work },
  judge: (reply: Reply) => Promise<T>,
): Promise<T> {
  const { name, type, work } = question;
  const avoid = new Set<string>();
  let first: T | null = null;
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    let reply: Reply;
    try {
      reply = await source.ask({ name, type, avoid }, work);
    } catch (error) {
      // Nobody else to ask: what was bogus stays so.
      if (first === null || !(error instanceof ResolveError)) throw error;
      return first;
    }
    const verdict = await judge(reply);
    const { bogus } = verdict;
    if (bogus === null) return verdict;
    first ??= verdict;
    work.trace(() => `bogus from ${reply.from}: ${bogus.text}`);
    avoid.add(reply.from);
  }
  return first!;
}

/**
 * One question to DNS within steps (bytes/steps.ts): answered at once from what the resolver remembers, waited for where
 * somebody has to be asked.
 */
import type { Steps } from "../bytes/steps.ts";
import type { RecordType } from "./rdata.ts";
import { type Answer, ResolveError, type Resolver } from "./resolver.ts";

/** Throws {@linkcode ResolveError} only. */
export function* ask<T extends RecordType>(resolver: Resolver, name: string, type: T): Steps<Answer<T>> {
  const known = resolver.known?.(name, type) ?? null;
  if (known === null) return (yield resolver.resolve(name, type)) as Answer<T>;
  if (known instanceof ResolveError) throw known;
  return known;
}

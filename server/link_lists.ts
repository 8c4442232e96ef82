/**
 * Lists in DNS of domains that links lead to (URIBL): points for a message whose links they have.
 *
 * Which answers count, and when a list is not asked: filter/dns_list.ts.
 */
import type { Resolver } from "../dns/resolver.ts";
import type { LinkZone } from "../delivery/spam/judge.ts";
import { DnsList, listableDomain, strongest } from "../filter/dns_list.ts";
import { Lookup } from "../filter/lookup.ts";
import type { Hit } from "../filter/spam/score.ts";

const LOOKUP_MS = 3_000;
const ENTRIES = 10_000;

export function linkLists(
  zones: readonly LinkZone[],
  { resolver, clock: now }: { readonly resolver: Resolver; readonly clock: () => number },
): (domains: readonly string[]) => readonly Hit[] | Promise<readonly Hit[]> {
  if (zones.length === 0) return () => [];
  const lookup = new Lookup(resolver, { now, timeoutMs: LOOKUP_MS, entries: ENTRIES });
  const lists = zones.map(({ zone, points: weight, codes }) =>
    new DnsList({ zone, of: "domain", weight, codes, lookup, now })
  );
  return async (domains) => {
    const subjects = domains.flatMap((domain) => listableDomain(domain) ?? []);
    const hits = await Promise.all(lists.map(async (list): Promise<Hit[]> => {
      const weights = await Promise.all(subjects.map((domain) => list.weightOf(domain)));
      const most = strongest(weights.filter((weight) => typeof weight === "number")) ?? 0;
      return most === 0 ? [] : [{
        name: "listed-link",
        points: most,
        explain: `a link leads to ${subjects[weights.indexOf(most)]}, which ${list.publicName} lists`,
      }];
    }));
    return hits.flat();
  };
}

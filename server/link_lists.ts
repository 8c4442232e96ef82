/**
 * Lists in DNS of domains that links lead to (URIBL): points for a message whose links they have.
 *
 * As with lists of clients only 127.0.0.0/8 counts; 127.0.0.1 and 127.255.255.0/24 are how a list says that it does not answer us.
 * Before its first use and each day a list is asked for its test entries (RFC 5782 5: 127.0.0.2 or "test" must be listed, 127.0.0.1
 * and "invalid" must not): one that lists everything or nothing is switched off with an alarm until it answers well.
 */
import { getLogger } from "@logtape/logtape";
import type { Resolver } from "../dns/resolver.ts";
import type { LinkZone } from "../delivery/spam/judge.ts";
import { Lookup, recordsOf } from "../filter/lookup.ts";
import type { Hit } from "../filter/spam/score.ts";

const log = getLogger(["veredus", "spam"]);
const LOOKUP_MS = 3_000;
const ENTRIES = 10_000;
const CHECKED_MS = 86_400_000;
/** A list that failed its test is tested again after this. */
const AGAIN_MS = 3_600_000;

interface State {
  readonly at: number;
  readonly good: boolean;
}

export function linkLists(
  zones: readonly LinkZone[],
  { resolver, clock }: { readonly resolver: Resolver; readonly clock: () => number },
): (domains: readonly string[]) => Promise<readonly Hit[]> {
  if (zones.length === 0) return () => Promise.resolve([]);
  const lookup = new Lookup(resolver, { now: clock, timeoutMs: LOOKUP_MS, entries: ENTRIES });
  const states = new Map<string, Promise<State>>();
  const answers = async (name: string): Promise<readonly string[]> =>
    (recordsOf(await lookup.resolve(name, "A")) ?? []).map(({ address }) => address).filter((address) =>
      address.startsWith("127.") && address !== "127.0.0.1" && !address.startsWith("127.255.255.")
    );
  const tested = async ({ zone }: LinkZone): Promise<State> => {
    const [one, two, invalid, test] = await Promise.all(
      ["1.0.0.127", "2.0.0.127", "invalid", "test"].map((entry) => answers(`${entry}.${zone}`)),
    );
    const good = one!.length === 0 && invalid!.length === 0 && two!.length + test!.length > 0;
    if (!good) {
      log.error("the list {zone} is switched off: its test entries are not as they must be (RFC 5782)", {
        zone,
      });
    }
    return { at: clock(), good };
  };
  const works = async (zone: LinkZone): Promise<boolean> => {
    const known = await states.get(zone.zone);
    if (known !== undefined && clock() - known.at < (known.good ? CHECKED_MS : AGAIN_MS)) return known.good;
    const pending = tested(zone);
    states.set(zone.zone, pending);
    return (await pending).good;
  };
  return async (domains) => {
    const hits = await Promise.all(zones.map(async (zone): Promise<Hit[]> => {
      if (domains.length === 0 || !await works(zone)) return [];
      const found = await Promise.all(
        domains.filter((domain) => /^[a-z0-9_-]+(\.[a-z0-9_-]+)+$/.test(domain) && domain.length < 200)
          .map(async (domain) => ({ domain, listed: await answers(`${domain}.${zone.zone}`) })),
      );
      const points = found.flatMap(({ listed }) =>
        listed.map((address) => zone.codes[address] ?? zone.points)
      );
      const most = points.reduce(
        (strongest, one) => Math.abs(one) > Math.abs(strongest) ? one : strongest,
        0,
      );
      const first = found.find(({ listed }) => listed.length > 0);
      return most === 0 || first === undefined ? [] : [{
        name: "listed-link",
        points: most,
        explain: `a link leads to ${first.domain}, which ${zone.zone} lists`,
      }];
    }));
    return hits.flat();
  };
}

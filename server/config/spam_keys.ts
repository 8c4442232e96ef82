/** Keys of the spam filter. */
import { z } from "zod";
import { SIGNAL_NAMES } from "../../filter/spam/names.ts";
import type { SpamConfig } from "../../delivery/spam/judge.ts";
import type { SpamRules } from "../../delivery/spam/rules.ts";
import { normalizeAddress } from "../../storage/address_form.ts";
import { DEFAULT_SPAM } from "./defaults.ts";
import { about, domain, duration, lower } from "./keys.ts";

const points = z.number().min(-100).max(100);
/** Points, or `off`. */
const from = z.union([points, z.literal("off")], { error: "points from -100 to 100, or off" });
const or = (rule: number | null) => rule ?? "off";
const { server, domains } = DEFAULT_SPAM.rules;

const linkZone = z.strictObject({
  zone: about(domain, "the list's domain", "uribl.example.net"),
  points: about(
    points.optional(),
    "of documented answers that `codes` does not name; left out: 2, with `codes` none: only those count",
    2,
  ),
  codes: about(
    z.record(z.ipv4(), points).default({}),
    "points of certain answers. Of others those count that a well-known list documents; of other lists 127.0.0.2",
    { "127.0.0.2": 3 },
  ),
}).transform(({ points, ...value }) => ({
  ...value,
  points: points ?? (Object.keys(value.codes).length > 0 ? 0 : 2),
}));

const trap = z.string().transform((text, context) => {
  const address = normalizeAddress(text);
  if (address === null) context.addIssue({ code: "custom", message: "an address" });
  return address ?? "";
});

const domainRules = z.strictObject({
  mark: about(from.optional(), "as above", 3),
  junk: about(from.optional(), "as above", 4),
  quarantine: about(from.optional(), "as above", "off"),
  refuse: about(from.optional(), "as above", 15),
});

export const spam = z.strictObject({
  enabled: about(
    z.boolean().default(DEFAULT_SPAM.enabled),
    "mail of strangers is judged, and users' sorting is learnt",
  ),
  mark: about(
    from.default(or(server.mark)),
    "from so many points on a message is marked (X-Spam-Reason says why in any case)",
  ),
  junk: about(from.default(or(server.junk)), "from here on it goes to Junk"),
  quarantine: about(
    from.default(or(server.quarantine)),
    "from here on it waits for the operator, if it is so for all its recipients",
  ),
  refuse: about(
    from.default(or(server.refuse)),
    "from here on it is refused, if it is so for all its recipients; for some of them it goes to Junk",
  ),
  domains: about(
    z.record(domain.transform(lower), domainRules).default(domains as Record<string, never>),
    "the same for recipients of a domain; what is left out is as above. Users have the IMAP annotation\n" +
      '/private/vendor/veredus/spam, as in "junk 6 refuse off"',
    { "example.org": { junk: 4, refuse: 15 } },
  ),
  weights: about(
    z.record(z.enum(SIGNAL_NAMES as [string, ...string[]]), points).default({}),
    "points of signals in place of those they have (`veredus spam signals`); 0 switches one off. Of the learner: a factor",
    { "html-only": 0.5 },
  ),
  link_zones: about(
    z.array(linkZone).default([]),
    "lists in DNS of domains that links lead to. None is asked by default. Keys of one",
  ),
  traps: about(
    z.array(trap).default([...DEFAULT_SPAM.traps]),
    "addresses here that nobody writes to: copies of unproven mail that comes there are held against strangers",
    ["mary.1998@example.org"],
  ),
  outgoing_hold: about(
    from.default(or(DEFAULT_SPAM.outgoingHold)),
    "mail of logins waits for the operator from so many points on, who is told",
  ),
  timeout: about(
    duration(DEFAULT_SPAM.deadlineMs, "1s", "2m"),
    "for who sent a message, the checks and the spam filter together, from its end on",
  ),
  on_timeout: about(
    z.enum(["mark", "defer"]).default(DEFAULT_SPAM.onTimeout),
    "what was not answered by then: delivered with a mark, or put off (451) for 4 hours at most",
  ),
}).transform((value): SpamConfig => ({
  enabled: value.enabled,
  rules: {
    server: rules(value) as SpamRules,
    domains: Object.fromEntries(Object.entries(value.domains).map(([name, one]) => [name, rules(one)])),
  },
  weights: value.weights as Record<string, number>,
  onTimeout: value.on_timeout,
  outgoingHold: off(value.outgoing_hold),
  deadlineMs: value.timeout,
  linkZones: value.link_zones,
  traps: value.traps,
}));

type From = number | "off" | undefined;

function rules(
  { mark, junk, quarantine, refuse }: { mark?: From; junk?: From; quarantine?: From; refuse?: From },
): Partial<SpamRules> {
  const given = { mark, junk, quarantine, refuse };
  return Object.fromEntries(
    Object.entries(given).filter(([, value]) => value !== undefined).map((
      [action, value],
    ) => [action, off(value!)]),
  );
}

function off(value: number | "off"): number | null {
  return value === "off" ? null : value;
}

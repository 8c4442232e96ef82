/**
 * What becomes of a message by its score: rules of the server, of a domain, of a user.
 *
 * A user's rule is the annotation `/private/vendor/veredus/spam` of the account (IMAP METADATA or the API), in words and numbers:
 * `mark 3 junk 5 quarantine off refuse 12`. What it leaves out is the domain's, then the server's.
 */
import { utf8 } from "../../bytes/decode.ts";
import { domainOf } from "../../storage/address_form.ts";
import type { Account } from "../../storage/directory_view.ts";
import type { Store } from "../../storage/store.ts";

/** From how many points on; null never. */
export interface SpamRules {
  readonly mark: number | null;
  readonly junk: number | null;
  readonly quarantine: number | null;
  readonly refuse: number | null;
}

const SPAM_ACTIONS = ["deliver", "mark", "junk", "quarantine", "refuse"] as const;
export type SpamAction = (typeof SPAM_ACTIONS)[number];

export const SPAM_ENTRY = "/private/vendor/veredus/spam";
const RULE = /^(mark|junk|quarantine|refuse)\s+(off|-?\d{1,3}(?:\.\d{1,2})?)$/i;

/** Null where the text is no rule. */
export function parseRules(text: string): Partial<SpamRules> | null {
  const words = text.trim().split(/[\s,;:=]+/).filter((word) => word !== "");
  const rules: Record<string, number | null> = {};
  for (let i = 0; i < words.length; i += 2) {
    const match = RULE.exec(`${words[i]} ${words[i + 1] ?? ""}`);
    if (match === null) return null;
    rules[match[1]!.toLowerCase()] = /^off$/i.test(match[2]!) ? null : Number(match[2]);
  }
  return rules as Partial<SpamRules>;
}

export function formatRules(rules: Partial<SpamRules>): string {
  return Object.entries(rules).map(([action, from]) => `${action} ${from ?? "off"}`).join(" ");
}

export interface RuleSource {
  readonly server: SpamRules;
  readonly domains: Readonly<Record<string, Partial<SpamRules>>>;
}

export function rulesOf(
  store: Pick<Store, "mailboxes">,
  account: Account,
  { server, domains }: RuleSource,
): SpamRules {
  return { ...server, ...domains[domainOf(account.address)], ...userRules(store, account.id) };
}

export function userRules({ mailboxes }: Pick<Store, "mailboxes">, accountId: number): Partial<SpamRules> {
  const row = mailboxes.annotations(accountId, 0).find(({ entry }) => entry === SPAM_ENTRY);
  return row === undefined ? {} : parseRules(utf8(row.value)) ?? {};
}

/** The strictest that the points reach. */
export function actionOf(points: number, { mark, junk, quarantine, refuse }: SpamRules): SpamAction {
  const reaches = (from: number | null) => from !== null && points >= from;
  if (reaches(refuse)) return "refuse";
  if (reaches(quarantine)) return "quarantine";
  if (reaches(junk)) return "junk";
  return reaches(mark) ? "mark" : "deliver";
}

/**
 * For Sieve's spamtest (RFC 5235): hundredths, 0 for no points or less, 50 where Junk begins, 100 at twice that. Without a rule for
 * Junk it begins at 5 points.
 */
export function percentOf(points: number, { junk }: SpamRules): number {
  const half = junk === null || junk <= 0 ? 5 : junk;
  return Math.round(Math.max(0, Math.min(100, points / half * 50)));
}

/**
 * Is it wanted: asks the spam filter about a message of a stranger, and moves the copies of its filing accordingly.
 *
 * Each recipient has a score and rules of its own. DATA has one reply: the message is refused only if the rules of all recipients
 * refuse it, and held only if those of all hold or refuse it; else those recipients get it in Junk. What a relay of ours hands over
 * is never refused for its content. Without a verdict in time the message is delivered with a mark, or put off by setting.
 */
import { getLogger } from "@logtape/logtape";
import { run, type Steps, when } from "../../bytes/steps.ts";
import type { Assessment, AssessRequest } from "../../filter/spam/assessor.ts";
import type { Handed } from "../../filter/message_source.ts";
import { MAIL_LIMITS } from "../../filter/spam/limits.ts";
import { addressOf } from "../../filter/spam/mail.ts";
import { scanSeconds, scanTrouble, verdicts } from "../../filter/spam/metrics.ts";
import { type Hit, type Score, scoreOf, type SignalWeights } from "../../filter/spam/score.ts";
import type { Circumstances } from "../../filter/spam/surroundings.ts";
import { type Decision, PUT_OFF_LATE } from "../../filter/verdict.ts";
import type { VerdictTime, WhenLate } from "../../filter/verdict_time.ts";
import type { SenderFindings } from "../../mailauth/sender_check.ts";
import { type Reply, reply } from "../../protocols/smtp/reply.ts";
import type { PolicyRow } from "../../storage/ops.ts";
import type { Account } from "../../storage/directory_view.ts";
import type { Store } from "../../storage/store.ts";
import type { Filing } from "../filing.ts";
import { listHas } from "../scripts/host.ts";
import { spamFields, spamLine, type Verdict } from "./fields.ts";
import { actionOf, percentOf, rulesOf, type RuleSource, type SpamAction } from "./rules.ts";

const log = getLogger(["veredus", "spam"]);
/** Points of a tag whose check has none of its own. */
const TAG_POINTS = 1;
const SEEN_MS = 365 * 86_400_000;
/** A row that is known is written again after so long only. */
const SEEN_AGAIN_MS = 30 * 86_400_000;
export const NO_ANSWER = "it was not judged: the filter did not answer in time";
export const LINKS_NOT_ASKED = "lists of links did not answer in time";
const REFUSED = reply(550, "5.7.1", "This message looks unwanted to its recipients");

export interface SpamFilterPort {
  /** Null where there was no verdict within so many milliseconds. At once where it is little work. */
  assess(request: AssessRequest<Handed>, withinMs: number): Assessment | null | Promise<Assessment | null>;
}

export interface SpamConfig {
  readonly enabled: boolean;
  readonly rules: RuleSource;
  readonly weights: SignalWeights;
  /** Of everything that judges a message, not of the spam filter alone. */
  readonly onTimeout: WhenLate;
  /** Mail of logins waits for the operator from so many points on; null never. */
  readonly outgoingHold: number | null;
  /** For who sent it, the checks and the spam filter together, from the end of the message on. */
  readonly deadlineMs: number;
  /** Lists in DNS of domains that links lead to. */
  readonly linkZones: readonly LinkZone[];
  /** Addresses of ours that nobody writes to, in their normal form. */
  readonly traps: readonly string[];
}

export interface LinkZone {
  readonly zone: string;
  readonly points: number;
  /** Points of certain answers, in place of `points`. */
  readonly codes: Readonly<Record<string, number>>;
}

export interface SpamParts {
  readonly store: Store;
  readonly filter: SpamFilterPort;
  readonly config: SpamConfig;
  readonly hostname: string;
  readonly clock: () => number;
  /** What lists say of domains that links lead to. */
  readonly linkHits: (domains: readonly string[]) => readonly Hit[] | Promise<readonly Hit[]>;
}

export interface Judged {
  readonly filing: Filing;
  /** Octets of the message without our own lines, from its start. */
  readonly hand: (length: number) => Handed | Promise<Handed>;
  readonly octets: number;
  /** Decoded From. */
  readonly from: string;
  readonly sender: string;
  readonly client: { readonly address: string; readonly heloName: string };
  readonly findings: SenderFindings | null;
  /** It comes from the domain in From. */
  readonly proven: boolean;
  readonly decisions: readonly Decision[];
  /** What is left of it. */
  readonly time: VerdictTime;
}

export interface SpamOutcome {
  readonly refusal: Reply | null;
  /** Why it waits for the operator; "" it does not. */
  readonly heldFor: string;
  /** Header lines that say so in a message that waits, where copies have no lines of their own yet. */
  readonly heldFront: string;
  /** By account, for scripts. */
  readonly verdicts: ReadonlyMap<number, ScriptVerdict>;
  /** One line for each recipient, for the trace. */
  readonly trace: readonly string[];
}

export interface ScriptVerdict {
  readonly junk: boolean;
  readonly percent: number;
}

export const NOT_JUDGED: SpamOutcome = {
  refusal: null,
  heldFor: "",
  heldFront: "",
  verdicts: new Map(),
  trace: [],
};

/** At once where the filter answers so. */
export function judgeSpam(parts: SpamParts, given: Judged): SpamOutcome | Promise<SpamOutcome> {
  return run(judged(parts, given));
}

function* judged(parts: SpamParts, given: Judged): Steps<SpamOutcome> {
  const { store, config } = parts;
  const owners = new Map<number, Account>();
  for (const { owner } of given.filing.targets()) owners.set(owner.id, owner);
  if (owners.size === 0) return NOT_JUDGED;
  const began = performance.now();
  const author = addressOf(given.from).address;
  const seen = new Map([...owners.keys()].map((id) => [id, seenRow(parts, id, author)]));
  const octets = yield* when(given.hand(MAIL_LIMITS.octets));
  const asked = parts.filter.assess({
    octets,
    total: given.octets,
    around: circumstances(given),
    recipients: [...owners.values()].map((account) => ({
      accountId: account.id,
      known: knows(parts, account, author),
      firstContact: author === "" ? null : seen.get(account.id) === null,
    })),
    weights: config.weights,
  }, given.time.left);
  const assessment = yield* when(asked);
  scanSeconds.observe((performance.now() - began) / 1_000);
  if (assessment === null) return unjudged(given);
  const listed = yield* when(given.time.within(parts.linkHits(assessment.linkDomains), () => null));
  if (listed === null && given.time.whenLate === "defer") return late(given.time, LINKS_NOT_ASKED);
  const found = assessment.scores.map(({ accountId, score }) => {
    const account = owners.get(accountId)!;
    const rules = rulesOf(store, account, config.rules);
    const whole = withLinks(score, listed);
    return { account, verdict: { score: whole, rules, action: actionOf(whole.points, rules) } };
  });
  const outcome = yield* carriedOut(parts, given, found);
  if (outcome.refusal === null) remember(parts, author, { found, seen });
  return outcome;
}

/** `listed` null: the lists did not answer in time. */
export function withLinks(score: Score, listed: readonly Hit[] | null): Score {
  if (listed === null) return scoreOf(score.hits, [...score.marks, LINKS_NOT_ASKED]);
  return listed.length === 0 ? score : scoreOf([...score.hits, ...listed], score.marks);
}

interface Found {
  readonly account: Account;
  readonly verdict: Verdict;
}

function* carriedOut(
  { store }: SpamParts,
  { filing, findings }: Judged,
  found: readonly Found[],
): Steps<SpamOutcome> {
  const all = (...actions: readonly SpamAction[]) =>
    filing.remote === 0 && found.every(({ verdict: { action } }) => actions.includes(action));
  const trace = found.map(({ account, verdict }) => `${account.address}: ${spamLine(verdict)}`);
  const refused = findings?.relayed !== true && all("refuse");
  const held = !refused && all("refuse", "quarantine") &&
    found.some(({ verdict: { action } }) => action === "quarantine");
  const junk = new Set<number>();
  const fronts = new Map<number, string>();
  const scripts = new Map<number, ScriptVerdict>();
  for (const { account, verdict } of found) {
    const { action, rules, score } = verdict;
    const unwanted = action === "junk" || action === "quarantine" || action === "refuse";
    if (unwanted && !held) junk.add(account.id);
    fronts.set(account.id, spamFields(verdict));
    scripts.set(account.id, { junk: unwanted, percent: percentOf(score.points, rules) });
    verdicts.inc({ action: refused ? "refuse" : held ? "quarantine" : unwanted ? "junk" : action });
  }
  if (refused) return { ...NOT_JUDGED, refusal: REFUSED, verdicts: scripts, trace };
  filing.front((accountId) => fronts.get(accountId) ?? "");
  if (junk.size > 0) yield filing.toJunk(store, junk);
  const given = { ...NOT_JUDGED, verdicts: scripts, trace };
  if (!held) return given;
  return { ...given, heldFor: `spam: ${trace[0]}`, heldFront: spamFields(found[0]!.verdict) };
}

function unjudged({ filing, time }: Judged): SpamOutcome {
  const outcome = late(time, NO_ANSWER);
  if (outcome.refusal === null) {
    filing.front(() => `X-Spam-Status: No, not judged\r\nX-Spam-Reason: ${NO_ANSWER}\r\n`);
  }
  return outcome;
}

/** Something had no answer: the message goes with a mark, or is put off. */
export function late({ whenLate }: VerdictTime, mark: string): SpamOutcome {
  if (whenLate === "mark") return { ...NOT_JUDGED, trace: [mark] };
  scanTrouble.inc({ why: "deferred" });
  return { ...NOT_JUDGED, refusal: PUT_OFF_LATE, trace: [mark] };
}

/** What is known besides the octets. */
function circumstances(
  { client, sender, findings, proven, decisions }: Pick<
    Judged,
    "client" | "sender" | "findings" | "proven" | "decisions"
  >,
): Circumstances {
  const dkim = findings?.dkim ?? [];
  const passed = dkim.filter(({ result }) => result === "pass").map(({ domain }) => domain.toLowerCase());
  const dmarc = findings?.dmarc ?? null;
  const iprev = findings?.iprev ?? null;
  return {
    client: findings?.judged ?? client,
    sender,
    reverseName: iprev === null || iprev.result === "temperror"
      ? null
      : iprev.result === "pass"
      ? iprev.name
      : "",
    spf: findings?.spf?.result ?? "",
    dmarc: dmarc?.result ?? "",
    signers: passed,
    brokenSignature: passed.length === 0 && dkim.some(({ result }) => result === "fail"),
    aligned: proven,
    tags: decisions.filter(({ action }) => action === "tag")
      .map(({ check, points = TAG_POINTS }) => ({ check, points })),
  };
}

/** The recipient has written to the author, or has him on the list of those whose mail is always wanted. */
function knows({ store, clock }: SpamParts, account: Account, author: string): boolean {
  if (author === "") return false;
  const asked = { store, account, now: clock() };
  return listHas(asked, "urn:veredus:known", author) === true ||
    listHas(asked, "urn:veredus:allow", author) === true;
}

function seenRow({ store, clock }: SpamParts, accountId: number, author: string): PolicyRow | null {
  return author === "" ? null : store.policy.get("seen-author", seenKey(accountId, author), clock());
}

function seenKey(accountId: number, author: string): string {
  return `${accountId} ${author}`.slice(0, 500);
}

/** Nobody waits for it: what a crash takes makes one more first contact. */
function remember(
  { store, clock }: SpamParts,
  author: string,
  { found, seen }: { readonly found: readonly Found[]; readonly seen: ReadonlyMap<number, PolicyRow | null> },
): void {
  if (author === "") return;
  const now = clock();
  const rows: PolicyRow[] = found.flatMap(({ account: { id }, verdict: { action } }) => {
    const known = seen.get(id) ?? null;
    if (
      (action !== "deliver" && action !== "mark") || (known !== null && now - known.lastAt < SEEN_AGAIN_MS)
    ) return [];
    const firstAt = known?.firstAt ?? now;
    return [{
      ...{ kind: "seen-author" as const, key: seenKey(id, author), firstAt, lastAt: now },
      ...{ count: 1, expiresAt: now + SEEN_MS, note: "" },
    }];
  });
  if (rows.length === 0) return;
  store.write({ kind: "put-state", rows, add: false })
    .catch((error) => log.warn("an author could not be remembered: {error}", { error }));
}

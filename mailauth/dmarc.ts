/**
 * DMARC (RFC 9989): did the domain of From send this, by an aligned SPF or DKIM pass, and what does it want if not?
 *
 * The policy is that of the author domain, of its organizational domain, or of its public suffix (4.10.1); `np` counts
 * where the author domain does not exist, `t=y` makes it one step milder, `pct` nothing. Trouble of DNS is temperror and
 * never a failure. Several author domains are each judged and the worst counts (RFC 9989 5.3.1 leaves it open).
 * Evaluation by RFC 7489 (public suffix list, pct) is a setting.
 */
import { run, type Steps } from "../bytes/steps.ts";
import { ask } from "../dns/asking.ts";
import { ResolveError, type Resolver } from "../dns/resolver.ts";
import type { AlignmentMode, DmarcPolicy, DmarcRecord } from "./dmarc_record.ts";
import {
  dmarcDomain,
  DmarcTempError,
  type Found,
  listedDomain,
  selectOrganization,
  TreeWalker,
} from "./org_domain.ts";

export type DmarcResultName = "none" | "pass" | "fail" | "temperror" | "permerror";

export interface DmarcInput {
  /** Domains of the addresses in From, without repetition. */
  readonly authorDomains: readonly string[];
  /** The domain that SPF passed for; null without a pass. */
  readonly spfDomain: string | null;
  /** SPF could not be evaluated for now. */
  readonly spfTemporary: boolean;
  /** d= of the signatures that passed. */
  readonly dkimDomains: readonly string[];
  /** d= of signatures whose key could not be had for now. */
  readonly dkimTemporary: readonly string[];
}

export interface DmarcOutcome {
  readonly result: DmarcResultName;
  /** In words. */
  readonly text: string;
  readonly authorDomain: string;
  /** Whose record it was; "" without one. */
  readonly policyDomain: string;
  /** What the owner wants for this message; `none` also where nothing was found or it passed. */
  readonly policy: DmarcPolicy;
  /** What the record says, before `t`. */
  readonly published: DmarcPolicy;
  readonly record: DmarcRecord | null;
  readonly spfAligned: boolean;
  readonly dkimAligned: boolean;
  /** SPF or DKIM passed for the domain of From; told without a policy too, for those who want to know who wrote it. */
  readonly proven: boolean;
}

export interface DmarcOptions {
  readonly standard: "rfc9989" | "rfc7489";
  /** For pct of RFC 7489: a number from 0 to 1. */
  readonly random: () => number;
}

/** Addresses of one From field; what has more is no letter. */
const MAX_AUTHOR_DOMAINS = 5;
const SEVERITY: readonly DmarcResultName[] = ["none", "pass", "permerror", "temperror", "fail"];
const POLICIES: readonly DmarcPolicy[] = ["none", "quarantine", "reject"];

/** At once where the names are known. Never rejects for what DNS or a peer did. */
export function checkDmarc(
  resolver: Resolver,
  input: DmarcInput,
  options: DmarcOptions,
): DmarcOutcome | Promise<DmarcOutcome> {
  return run(checked({ resolver, walker: new TreeWalker(resolver), input, options }));
}

function* checked(evaluation: Evaluation): Steps<DmarcOutcome> {
  const { input: { authorDomains } } = evaluation;
  if (authorDomains.length === 0) return outcome("permerror", "From has no domain");
  if (authorDomains.length > MAX_AUTHOR_DOMAINS) return outcome("permerror", "From has too many domains");
  let worst: DmarcOutcome | null = null;
  for (const author of authorDomains) {
    const one: DmarcOutcome = yield* checkAuthor(evaluation, author);
    if (worst === null || isWorse(one, worst)) worst = one;
  }
  return worst!;
}

function isWorse(a: DmarcOutcome, b: DmarcOutcome): boolean {
  const difference = SEVERITY.indexOf(a.result) - SEVERITY.indexOf(b.result);
  return difference > 0 || (difference === 0 && POLICIES.indexOf(a.policy) > POLICIES.indexOf(b.policy));
}

interface Evaluation {
  readonly resolver: Resolver;
  readonly walker: TreeWalker;
  readonly input: DmarcInput;
  readonly options: DmarcOptions;
}

function* checkAuthor(evaluation: Evaluation, text: string): Steps<DmarcOutcome> {
  const author = dmarcDomain(text);
  if (author === null) return outcome("permerror", "the domain of From is none", { authorDomain: text });
  const facts = { authorDomain: author };
  const { input } = evaluation;
  try {
    const policy = yield* discover(evaluation, author);
    if (policy === null) {
      return outcome("none", "no policy is published", { ...facts, proven: yield* isProven(input, author) });
    }
    return yield* judge(evaluation, { author, ...policy });
  } catch (error) {
    if (error instanceof DmarcTempError) return outcome("temperror", error.message, facts);
    throw error;
  }
}

/** RFC 9989 4.10.1; RFC 7489 6.6.3. */
function* discover({ walker, options }: Evaluation, author: string): Steps<Found | null> {
  const own = yield* walker.record(author);
  if (own !== null) return { domain: author, record: own };
  if (options.standard === "rfc7489") {
    const domain = yield* listedDomain(author);
    const record = domain === author ? null : yield* walker.record(domain);
    return record === null ? null : { domain, record };
  }
  const found = yield* walker.walk(author);
  const organization = selectOrganization(author, found);
  return found.find(({ domain }) => domain === organization) ??
    found.find(({ record }) => record.psd === "y") ?? null;
}

function* judge(
  evaluation: Evaluation,
  { author, domain, record }: Found & { readonly author: string },
): Steps<DmarcOutcome> {
  const { input } = evaluation;
  const aligned = (one: string, mode: AlignmentMode) => isAligned(evaluation, { author, one, mode });
  const spfAligned = input.spfDomain !== null &&
    (yield* aligned(input.spfDomain, record.spfAlignment));
  const dkimAligned = yield* someAligned(input.dkimDomains, (one) => aligned(one, record.dkimAlignment));
  const facts = { authorDomain: author, policyDomain: domain, record, spfAligned, dkimAligned };
  if (spfAligned || dkimAligned) {
    const published = author === domain ? record.policy : record.subdomainPolicy ?? record.policy;
    return outcome("pass", "", { ...facts, published, proven: true });
  }
  const published = yield* publishedPolicy(evaluation, { author, domain, record });
  // A key or a record that could not be had might have made it pass.
  const open = input.spfTemporary ||
    (yield* someAligned(input.dkimTemporary, (one) => aligned(one, record.dkimAlignment)));
  if (open) return outcome("temperror", "SPF or DKIM could not be checked", { ...facts, published });
  const policy = applied(evaluation.options, record, published);
  return outcome("fail", "neither SPF nor DKIM passed for the domain of From", {
    ...facts,
    published,
    policy,
  });
}

/** Without a policy nobody says what is aligned: what is below one registered domain. */
function* isProven({ spfDomain, dkimDomains }: DmarcInput, author: string): Steps<boolean> {
  const passed = spfDomain === null ? dkimDomains : [spfDomain, ...dkimDomains];
  return yield* someAligned(passed.map((one) => dmarcDomain(one) ?? ""), (one) => isRelated(one, author));
}

function* isRelated(one: string, author: string): Steps<boolean> {
  return one === author ||
    (lastLabel(one) === lastLabel(author) && (yield* listedDomain(one)) === (yield* listedDomain(author)));
}

function* publishedPolicy(
  { resolver, options }: Evaluation,
  { author, domain, record }: Found & { readonly author: string },
): Steps<DmarcPolicy> {
  if (author === domain) return record.policy;
  const { policy, subdomainPolicy, nonExistentPolicy } = record;
  const ofSubdomains = subdomainPolicy ?? policy;
  if (options.standard === "rfc7489" || nonExistentPolicy === null) return ofSubdomains;
  return (yield* exists(resolver, author)) ? ofSubdomains : nonExistentPolicy;
}

/** RFC 9989 3.2.13 and RFC 8020: only NXDOMAIN says that there is nothing. */
function* exists(resolver: Resolver, domain: string): Steps<boolean> {
  try {
    return (yield* ask(resolver, domain, "A")).status !== "no-such-domain";
  } catch (error) {
    if (!(error instanceof ResolveError)) throw error;
    if (error.temporary) throw new DmarcTempError(`${domain}: ${error.plain}`);
    return false;
  }
}

function applied({ standard, random }: DmarcOptions, record: DmarcRecord, policy: DmarcPolicy): DmarcPolicy {
  const spared = standard === "rfc7489" ? random() * 100 >= record.percent : record.testing;
  return spared ? POLICIES[Math.max(0, POLICIES.indexOf(policy) - 1)]! : policy;
}

function* someAligned(
  domains: readonly string[],
  aligned: (one: string) => Steps<boolean>,
): Steps<boolean> {
  for (const one of new Set(domains)) if (yield* aligned(one)) return true;
  return false;
}

/** RFC 9989 4.4. */
function* isAligned(
  { walker, options }: Evaluation,
  { author, one, mode }: { readonly author: string; readonly one: string; readonly mode: AlignmentMode },
): Steps<boolean> {
  const domain = dmarcDomain(one);
  if (domain === null) return false;
  if (domain === author) return true;
  if (mode === "strict") return false;
  // Without a label in common there can be no organization in common: a stranger's signature costs no questions.
  if (lastLabel(domain) !== lastLabel(author)) return false;
  if (options.standard === "rfc7489") {
    return (yield* listedDomain(domain)) === (yield* listedDomain(author));
  }
  const [ours, theirs] = [
    yield* walker.organizationalDomain(author),
    yield* walker.organizationalDomain(domain),
  ];
  return ours === theirs;
}

function lastLabel(name: string): string {
  return name.slice(name.lastIndexOf(".") + 1);
}

function outcome(
  result: DmarcResultName,
  text: string,
  facts: Partial<Omit<DmarcOutcome, "result" | "text">> = {},
): DmarcOutcome {
  return {
    ...{ authorDomain: "", policyDomain: "", policy: "none", published: "none", record: null },
    ...{ spfAligned: false, dkimAligned: false, proven: false },
    ...{ result, text },
    ...facts,
  };
}

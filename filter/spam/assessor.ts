/**
 * Judges messages by signals and by what was learnt, for each of their recipients; and makes lessons of what users said.
 *
 * Holds the knowledges in use, brought up to date from the journal before each look. A knowledge whose octets are broken is told in the
 * log, counted and left aside: the message is judged without it, and the next fold writes a new one.
 */
import { getLogger } from "@logtape/logtape";
import type { JournalRow, SpamLessons } from "../../storage/spam_lessons.ts";
import { knowledgeFaults } from "./metrics.ts";
import { canJudge, judge } from "./learner/judge.ts";
import { Knowledge, KNOWLEDGE_LIMITS, KnowledgeFault, type KnowledgeLimits } from "./learner/knowledge.ts";
import { hashOf, MAX_TOKENS, tokensOf } from "./learner/tokens.ts";
import { Mail } from "./mail.ts";
import { type Origin, originOf, originToken, originTokens } from "./origin.ts";
import { commonHits, personalHits } from "./hits.ts";
import { type Score, scoreOf, type SignalWeights } from "./score.ts";
import { sketchOf } from "./sketch.ts";
import { type Circumstances, REPUTATION_KINDS, type ReputationKind, type Standing } from "./surroundings.ts";
import { registered } from "./domains.ts";

const log = getLogger(["veredus", "spam"]);
const SHARED = 0;
const MAX_HELD = 32;
const JOURNAL_PAGE = 500;
/** Domains of links that are looked up. */
const MAX_LINK_DOMAINS = 20;

export interface Recipient {
  readonly accountId: number;
  readonly known: boolean;
  readonly firstContact: boolean | null;
}

export interface AssessRequest<Octets = Uint8Array> {
  /** The message from its start; the rest is left out. */
  readonly octets: Octets;
  readonly total: number;
  /** Null: only the octets are judged. */
  readonly around: Circumstances | null;
  /** Mail of a login has none. */
  readonly recipients: readonly Recipient[];
  readonly weights: SignalWeights;
}

export interface Assessment {
  /** In the order of the recipients; one without an account where there are none. */
  readonly scores: readonly { readonly accountId: number; readonly score: Score }[];
  /** Registered domains that links lead to. */
  readonly linkDomains: readonly string[];
}

interface Held {
  readonly knowledge: Knowledge;
  upTo: number;
  readonly broken: boolean;
}

export class Assessor {
  readonly #lessons: SpamLessons | null;
  readonly #limits: KnowledgeLimits;
  readonly #held: Map<number, Held>;

  /** Without lessons it judges by signals alone: nobody has taught anything. */
  constructor(lessons: SpamLessons | null, limits: KnowledgeLimits = KNOWLEDGE_LIMITS) {
    this.#lessons = lessons;
    this.#limits = limits;
    this.#held = new Map();
  }

  assess({ octets, total, around, recipients, weights }: AssessRequest): Assessment {
    const mail = new Mail(octets, { total });
    const common = commonHits({ mail, around: around === null ? null : surrounded(around) }, weights);
    // Not before something was learnt that they could be compared with.
    const tokens = once(() => tokensOf(mail));
    const sketch = once(() => sketchOf(mail));
    const origin = around === null
      ? null
      : originOf(mail, { address: around.client.address, signers: around.signers });
    const shared = this.#current(SHARED);
    const all = recipients.length === 0
      ? [{ accountId: SHARED, known: false, firstContact: null }]
      : recipients;
    const scores = all.map(({ accountId, known, firstContact }) => {
      const own = accountId === SHARED ? null : this.#current(accountId);
      const knowledges = { own: own?.knowledge ?? null, shared: shared.knowledge };
      const personal = around === null ? null : {
        ...around,
        ...{ known, firstContact },
        reputation: reputationOf(origin!, knowledges),
        reportedCopies: reportedCopies(sketch, knowledges),
      };
      const judgement = canJudge(knowledges) ? judge(tokens(), knowledges) : null;
      const hits = personalHits({ mail, around: personal }, judgement, weights);
      const marks = [...mail.marks];
      if (judgement !== null && tokens().length >= MAX_TOKENS) {
        marks.push(`only the first ${MAX_TOKENS} words and pairs of words were compared`);
      }
      if (own?.broken === true || shared.broken) marks.push("what was learnt is damaged and was left aside");
      return { accountId, score: scoreOf([...common, ...hits], marks) };
    });
    const linkDomains = new Set<string>();
    for (const { host } of mail.links) {
      if (host !== "" && linkDomains.size < MAX_LINK_DOMAINS) linkDomains.add(registered(host));
    }
    return { scores, linkDomains: [...linkDomains] };
  }

  /**
   * What is learnt of a stored message, our own lines in front included: everything, or (of a trap's) what copies of its text are
   * known by. Words and senders of such mail say nothing: strangers choose both.
   */
  lesson(
    octets: Uint8Array,
    total: number,
    about: "all" | "copies" = "all",
  ): { readonly key: string; readonly tokens: Uint8Array } {
    const mail = new Mail(octets, { total });
    const copies = sketchOf(mail);
    const tokens = about === "copies"
      ? copies
      : [...tokensOf(mail), ...originTokens(originOf(mail, null)), ...copies];
    const view = new DataView(new ArrayBuffer(tokens.length * 4));
    tokens.forEach((token, i) => view.setUint32(i * 4, token, true));
    return { key: keyOf(mail), tokens: new Uint8Array(view.buffer) };
  }

  /** The knowledge of an account as it should be stored now; null where nothing is new. */
  fold(accountId: number): { readonly upTo: number; readonly octets: Uint8Array } | null {
    const { knowledge, upTo } = this.#current(accountId);
    const folded = this.#lessons?.foldedUpTo(accountId) ?? 0;
    return upTo > folded ? { upTo, octets: knowledge.encode() } : null;
  }

  #current(accountId: number): Held {
    return this.#lessons === null ? NOTHING_LEARNT : this.#upToDate(this.#lessons, accountId);
  }

  #upToDate(lessons: SpamLessons, accountId: number): Held {
    for (;;) {
      const folded = lessons.foldedUpTo(accountId);
      const known = this.#held.get(accountId);
      const held = known !== undefined && stands(lessons, accountId, { held: known, folded })
        ? known
        : this.#load(lessons, accountId);
      this.#hold(accountId, held);
      let rows: JournalRow[];
      do {
        rows = lessons.journal(accountId, { after: held.upTo, limit: JOURNAL_PAGE });
        for (const row of rows) learnRow(held.knowledge, row);
        held.upTo = rows.at(-1)?.id ?? held.upTo;
      } while (rows.length === JOURNAL_PAGE);
      // Rows that were folded in between are gone from the journal.
      if (lessons.foldedUpTo(accountId) === folded) return held;
      this.#held.delete(accountId);
    }
  }

  #hold(accountId: number, held: Held): void {
    this.#held.delete(accountId); // and back as the one used last
    this.#held.set(accountId, held);
    if (this.#held.size <= MAX_HELD) return;
    for (const oldest of this.#held.keys()) {
      if (oldest === SHARED) continue;
      this.#held.delete(oldest);
      return;
    }
  }

  #load(lessons: SpamLessons, accountId: number): Held {
    const row = lessons.knowledge(accountId);
    if (row === null) return { knowledge: new Knowledge(this.#limits), upTo: 0, broken: false };
    try {
      return { knowledge: Knowledge.decode(row.octets, this.#limits), upTo: row.upTo, broken: false };
    } catch (error) {
      if (!(error instanceof KnowledgeFault)) throw error;
      knowledgeFaults.inc();
      log.error("what account {accountId} taught is damaged and is left aside: {error}", {
        accountId,
        error,
      });
      return { knowledge: new Knowledge(this.#limits), upTo: row.upTo, broken: true };
    }
  }
}

const NOTHING_LEARNT: Held = { knowledge: new Knowledge(), upTo: 0, broken: false };

/**
 * False where another thread has folded rows that were not seen here, or the account was made to forget: the last row that was
 * seen is then neither folded nor in the journal.
 */
function stands(
  lessons: SpamLessons,
  accountId: number,
  { held: { upTo }, folded }: { readonly held: Held; readonly folded: number },
): boolean {
  if (folded >= upTo) return folded === upTo;
  return lessons.journal(accountId, { after: upTo - 1, limit: 1 })[0]?.id === upTo;
}

const NOTHING_PERSONAL = {
  known: false,
  firstContact: null,
  reputation: { address: null, network: null, domain: null, signer: null },
  reportedCopies: 0,
};

function surrounded(around: Circumstances) {
  return { ...around, ...NOTHING_PERSONAL };
}

/** Made when it is first asked for. */
function once<T>(make: () => T): () => T {
  let made: T | null = null;
  return () => made ??= make();
}

interface Knowledges {
  readonly own: Knowledge | null;
  readonly shared: Knowledge;
}

function countsOf(token: number, { own, shared }: Knowledges): Standing {
  const one = own?.find(token) ?? -1;
  const all = shared.find(token);
  // A user's own lessons are among the shared ones.
  return {
    spam: Math.max(one < 0 ? 0 : own!.spamAt(one), all < 0 ? 0 : shared.spamAt(all)),
    ham: Math.max(one < 0 ? 0 : own!.hamAt(one), all < 0 ? 0 : shared.hamAt(all)),
  };
}

function reputationOf(origin: Origin, knowledges: Knowledges): Record<ReputationKind, Standing | null> {
  const reputation: Record<ReputationKind, Standing | null> = {
    address: null,
    network: null,
    domain: null,
    signer: null,
  };
  for (const kind of REPUTATION_KINDS) {
    const token = originToken(kind, origin[kind]);
    if (token !== 0) reputation[kind] = countsOf(token, knowledges);
  }
  return reputation;
}

/** Copies that were reported and that nobody took back: the largest number that two of the sketch agree on. */
function reportedCopies(sketch: () => readonly number[], knowledges: Knowledges): number {
  if (knowledges.shared.tokens + (knowledges.own?.tokens ?? 0) === 0) return 0;
  const counts = sketch().map((token) => countsOf(token, knowledges)).map(({ spam, ham }) =>
    ham > 0 ? 0 : spam
  );
  return counts.sort((a, b) => b - a)[1] ?? 0;
}

function learnRow(knowledge: Knowledge, { accountId, spam, ham, tokens }: JournalRow): void {
  const view = new DataView(tokens.buffer, tokens.byteOffset, tokens.byteLength);
  const numbers = new Uint32Array(Math.floor(tokens.length / 4));
  for (let i = 0; i < numbers.length; i++) numbers[i] = view.getUint32(i * 4, true);
  knowledge.learn(numbers, { spam, ham, teacher: accountId, whole: accountId !== SHARED });
}

/** What a message is known by wherever it is stored, so that it counts once: its Message-ID, date, author and subject. */
export function keyOf(mail: Mail): string {
  const text = [mail.first("message-id"), mail.first("date"), mail.from.address, mail.subject].join("\n");
  const bare = mail.has("message-id") || mail.has("date") ? text : `${text}\n${mail.text.slice(0, 10_000)}`;
  return [0x301, 0x302, 0x303].map((kind) => hashOf(bare, kind).toString(16).padStart(8, "0")).join("");
}

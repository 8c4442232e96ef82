/**
 * CONTEXT=SEARCH and CONTEXT=SORT (RFC 5267): results that are kept up to date while the mailbox is selected.
 *
 * A context holds the UIDs it has told, in order, and the messages that changed since. When changes are told anyway,
 * those are judged again: what left is told by REMOVEFROM (before its EXPUNGE), what came by ADDTO (behind its EXISTS and
 * FETCH). SEARCH judges only what changed; SORT runs again, so its results are bounded. Limits: {@linkcode MAX_CONTEXTS}
 * of a session, {@linkcode MAX_SORTED} results of a SORT; beyond them `[NOUPDATE]`, and the search itself is answered.
 */
import type { Command } from "../../protocols/imap/command.ts";
import type { Reply } from "../../protocols/imap/reply.ts";
import { type FetchItem, peeking } from "../../protocols/imap/fetch_plan.ts";
import { freezeNumbers, movesWithTime } from "../../protocols/imap/search_program.ts";
import { formatNumbers } from "../../protocols/imap/sequence_set.ts";
import type { Change } from "../../storage/changes.ts";
import { bad, type ImapContext, type Selected } from "./context.ts";
import { Hits } from "./hits.ts";
import { findMessages } from "./search.ts";
import { resolveSearchSet } from "./search_judge.ts";
import type { SearchRequest } from "./search_result.ts";
import { sortHits } from "./sort.ts";

const MAX_CONTEXTS = 16;
const MAX_SORTED = 10_000;
/** Changed messages that are remembered one by one; with more, all are judged again. */
const MAX_DIRTY = 10_000;

type Request = SearchRequest & {
  readonly charset: string | null;
  readonly order?: Extract<Command, { name: "SORT" }>["order"];
};

/** A search whose updates may begin. */
export interface Updates {
  /** What the search found, in order. */
  start(hits: Hits): void;
  /** The search was refused. */
  cancel(): void;
}

export const NO_UPDATES: Updates = { start: () => {}, cancel: () => {} };

/** To be called before the search runs, so that no change falls between. A reply refuses the command. */
export function beginUpdates(context: ImapContext, selected: Selected, request: Request): Updates | Reply {
  const { tag } = context.session;
  if (selected.searches.has(tag)) return bad("The tag belongs to a search that is kept up to date");
  if (selected.searches.size >= MAX_CONTEXTS) return refuse(context, "Too many contexts");
  if (movesWithTime(request.key)) return refuse(context, "The result changes with time");
  const key = freezeNumbers(request.key, (set) => selected.view.uidRanges(resolveSearchSet(selected, set)));
  const one = new SearchContext(tag, { ...request, key });
  selected.searches.set(tag, one);
  return {
    cancel: () => selected.searches.delete(tag),
    start: (hits) => {
      if (one.start(hits)) return;
      selected.searches.delete(tag);
      refuse(context, "The result is too long");
    },
  };
}

function refuse(context: ImapContext, text: string): Updates {
  context.out.text(`* NO [NOUPDATE "${context.session.tag}"] ${text}\r\n`);
  return NO_UPDATES;
}

export class SearchContext {
  /** Told of messages that come into the result as they come into the mailbox. */
  readonly items: readonly FetchItem[];
  readonly #tag: string;
  readonly #request: Request;
  /** UIDs as they were told; null while the search runs. */
  #uids: number[] | null = null;
  #dirty = new Set<number>();
  #allDirty = false;

  constructor(tag: string, request: Request) {
    this.items = peeking(request.returns?.update ?? []);
    this.#tag = tag;
    this.#request = request;
  }

  /** False: too much to keep sorted. */
  start(hits: Hits): boolean {
    if (this.#request.name === "SORT" && hits.count > MAX_SORTED) return false;
    this.#uids = [...hits.uids];
    return true;
  }

  holds(uid: number): boolean {
    return this.#uids?.includes(uid) === true;
  }

  note(change: Change): void {
    const uids = changedUids(change);
    if (this.#dirty.size + uids.length > MAX_DIRTY) {
      this.#allDirty = true;
      this.#dirty.clear();
    } else if (!this.#allDirty) { for (const uid of uids) this.#dirty.add(uid); }
  }

  /** Tells that messages left which are about to be expunged for the client. */
  tellGone(context: ImapContext, selected: Selected, gone: readonly number[]): void {
    const uids = this.#uids;
    if (uids === null || gone.length === 0) return;
    const left = new Set(gone);
    this.#become(context, selected, uids.filter((uid) => !left.has(uid)));
  }

  /** Judges again what changed. */
  async tell(context: ImapContext, selected: Selected): Promise<void> {
    if (this.#uids === null || (this.#dirty.size === 0 && !this.#allDirty)) return;
    const { view } = selected;
    const whole = this.#allDirty || this.#request.name === "SORT";
    // Only what the client knows; the rest comes with its EXISTS.
    const known = [...this.#dirty].filter((uid) => view.sequenceOf(uid) > 0).sort((a, b) => a - b);
    for (const uid of known) this.#dirty.delete(uid);
    if (known.length === 0 && !this.#allDirty) return;
    this.#allDirty = false;
    const among = whole ? null : new Hits(known.length);
    for (const uid of known) among?.push(view.sequenceOf(uid), uid);
    const found = await findMessages(context, selected, { ...this.#request, name: "CONTEXT" }, among);
    if ("status" in found || context.selected !== selected) return;
    if (this.#request.name === "SORT") {
      const sorted = await sortHits(context, selected, found.hits, this.#request.order ?? []);
      if (sorted.count > MAX_SORTED) {
        selected.searches.delete(this.#tag);
        context.out.text(`* NO [NOUPDATE "${this.#tag}"] The result has become too long\r\n`);
        return;
      }
      return this.#become(context, selected, [...sorted.uids]);
    }
    const hits = [...found.hits.uids];
    if (whole) return this.#become(context, selected, hits);
    const judged = new Set(known);
    const rest = this.#uids.filter((uid) => !judged.has(uid));
    this.#become(context, selected, [...rest, ...hits].sort((a, b) => a - b));
  }

  /** Tells the difference to what was told. Messages keep their order, so that they only come and go. */
  #become(context: ImapContext, selected: Selected, next: readonly number[]): void {
    const { name, uid } = this.#request;
    const numbers = (uids: readonly number[]) =>
      formatNumbers(uid ? uids : uids.map((one) => selected.view.sequenceOf(one)));
    const before = this.#uids ?? [];
    const now = new Set(next), then = new Set(before);
    const removed = runsOf(before, (one) => !now.has(one));
    const added = runsOf(next, (one) => !then.has(one));
    this.#uids = [...next];
    if (removed.length === 0 && added.length === 0) return;
    const head = `* ESEARCH (TAG "${this.#tag}")${uid ? " UID" : ""}`;
    const pairs = (runs: readonly Run[]) =>
      name === "SEARCH"
        ? `0 ${numbers(runs.flatMap(({ uids }) => uids))}`
        : runs.map(({ at, uids }) => `${at + 1} ${numbers(uids)}`).join(" ");
    // From the end, so that positions hold while the client removes.
    if (removed.length > 0) {
      const runs = name === "SEARCH" ? removed : removed.reverse();
      context.out.text(`${head} REMOVEFROM (${pairs(runs)})\r\n`);
    }
    if (added.length > 0) context.out.text(`${head} ADDTO (${pairs(added)})\r\n`);
  }
}

function changedUids(change: Change): readonly number[] {
  if (change.kind === "seen") return [...change.added, ...change.removed];
  return change.kind === "flags" || change.kind === "added" ? change.messages.map(({ uid }) => uid) : [];
}

interface Run {
  readonly at: number;
  readonly uids: number[];
}

/** Neighbours in a list for which the test holds, with where they begin. */
function runsOf(list: readonly number[], test: (uid: number) => boolean): Run[] {
  const runs: Run[] = [];
  list.forEach((uid, at) => {
    if (!test(uid)) return;
    const last = runs.at(-1);
    if (last !== undefined && last.at + last.uids.length === at) last.uids.push(uid);
    else runs.push({ at, uids: [uid] });
  });
  return runs;
}

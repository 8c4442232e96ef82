/**
 * THREAD: messages to trees (RFC 5256 3; REFS: draft-ietf-morg-inthread), in numbers.
 *
 * A message is its place among those that are threaded; ids, subjects and dates are numbers that stand for them. Nodes are
 * the messages and, behind them, ids that are referred to and not here ("missing"). Pure. Hot (bench/large.ts,
 * thread-references). Every step takes time in a straight line with the messages and their references; nothing recurses,
 * since a chain of replies is as deep as peers make it. The work is a generator that yields every few thousand steps, so
 * that a large mailbox holds nobody up. The plain version is test/protocols/imap/plain_thread.ts.
 */
import type { ReferenceChains } from "./reference_chains.ts";

/** Messages between two pauses. */
const SLICE = 10_000;
const NONE = -1;

export type ThreadAlgorithm = "REFERENCES" | "REFS" | "ORDEREDSUBJECT";

/** What messages are threaded by; each column by place, places ascending as the numbers of the answer do. */
export interface ThreadColumns {
  readonly count: number;
  /** Ranks: the same order as the dates, equal for equal ones. */
  readonly dates: Uint32Array;
  /** How many ranks there are. */
  readonly distinctDates: number;
  /** Ranks of the folded base subjects. */
  readonly subjects: Uint32Array;
  readonly distinctSubjects: number;
  /** The rank of a subject without text, which joins nothing; -1 where there is none. */
  readonly emptySubject: number;
  /** 1 for a subject that was that of an answer. */
  readonly answers: Uint8Array;
  /** Of the Message-ID; -1 for none. */
  readonly ids: Int32Array;
  /** Of the References. */
  readonly chains: Int32Array;
  readonly references: ReferenceChains;
}

/** Trees; nodes below the number of messages are these, by place. */
export interface ThreadForest {
  readonly count: number;
  /** In the order of the answer. */
  readonly roots: Int32Array;
  /** By node: its first child, -1 for none. */
  readonly first: Int32Array;
  /** By message: its next sibling. */
  readonly next: Int32Array;
}

type Steps<T> = Generator<void, T>;

export function* thread(columns: ThreadColumns, algorithm: ThreadAlgorithm): Steps<ThreadForest> {
  const threads = new Threads(columns);
  const { count } = columns;
  yield* threads.orderByDate();
  if (algorithm === "ORDEREDSUBJECT") {
    threads.noIds();
    yield* slices(count, (from, end) => threads.joinSameSubject(from, end));
    return yield* threads.forest();
  }
  threads.startLinks();
  yield* slices(count, (from, end) => threads.nameOwn(from, end));
  yield* slices(count, (from, end) => threads.adoptOwn(from, end));
  yield* threads.adoptMissing();
  yield* slices(count, (from, end) => threads.prune(from, end));
  threads.dropLonely();
  if (algorithm === "REFERENCES") yield* threads.joinSubjects();
  const forest = yield* threads.forest();
  return algorithm === "REFS" ? yield* threads.byNewest(forest) : forest;
}

function* slices(count: number, work: (from: number, end: number) => void): Steps<void> {
  for (let from = 0; from < count; from += SLICE) {
    work(from, Math.min(count, from + SLICE));
    yield;
  }
}

class Threads {
  readonly #columns: ThreadColumns;
  readonly #count: number;
  /** Places by date, then by number. */
  #order = new Uint32Array(0);
  #nodes: number;
  #parents: Int32Array;
  /** Some node above; -1 at a root. */
  #above: Int32Array;
  /** The node of each id; -1 for none yet. */
  #nodeOf = new Int32Array(0);
  /** Of one message, newest first. */
  #path: number[] = [];

  constructor(columns: ThreadColumns) {
    this.#columns = columns;
    this.#count = columns.count;
    this.#nodes = columns.count;
    this.#parents = new Int32Array(columns.count).fill(NONE);
    this.#above = new Int32Array(0);
  }

  *orderByDate(): Steps<void> {
    const { dates, distinctDates } = this.#columns;
    this.#order = yield* counted(this.#count, dates, distinctDates);
  }

  /** ORDEREDSUBJECT (RFC 5256 3): the earliest message of a subject, and the others below it. */
  joinSameSubject(from: number, end: number): void {
    const { subjects } = this.#columns;
    for (let at = from; at < end; at++) {
      const place = this.#order[at]!, subject = subjects[place]!;
      const first = this.#nodeOf[subject]!;
      if (first === NONE) this.#nodeOf[subject] = place;
      else this.#parents[place] = first;
    }
  }

  noIds(): void {
    this.#nodeOf = new Int32Array(this.#columns.distinctSubjects).fill(NONE);
  }

  startLinks(): void {
    const { idCount } = this.#columns.references;
    this.#nodeOf = new Int32Array(idCount).fill(NONE);
    // One more for each id at most.
    this.#parents = new Int32Array(this.#count + idCount).fill(NONE);
    this.#above = new Int32Array(this.#count + idCount).fill(NONE);
  }

  /** Step 1: an id stands for the first message that has it; another one of that id stands alone. */
  nameOwn(from: number, end: number): void {
    const { ids } = this.#columns;
    for (let place = from; place < end; place++) {
      const id = ids[place]!;
      if (id !== NONE && this.#nodeOf[id] === NONE) this.#nodeOf[id] = place;
    }
  }

  /** A message's own last reference is what counts; no link is ever taken back, and loops show at once. */
  adoptOwn(from: number, end: number): void {
    const { chains, references: { ids } } = this.#columns;
    for (let place = from; place < end; place++) {
      const chain = chains[place]!;
      if (chain !== NONE) this.#adopt(this.#named(ids[chain]!), place);
    }
  }

  /** What chains say of messages that are not here: each link of each chain once, in the order of the messages. */
  *adoptMissing(): Steps<void> {
    const { chains, references } = this.#columns;
    const seen = new Uint8Array(references.linkCount);
    for (let place = 0, steps = 0; place < this.#count; place++) {
      steps += this.#followChain(chains[place]!, seen);
      if (++steps < SLICE) continue;
      steps = 0;
      yield;
    }
  }

  #followChain(chain: number, seen: Uint8Array): number {
    const { ids, parents } = this.#columns.references;
    const path = this.#path;
    let links = 0;
    for (let link = chain; link !== NONE && seen[link] === 0; link = parents[link]!) {
      seen[link] = 1;
      path[links++] = link;
    }
    for (let at = links - 1; at >= 0; at--) { // oldest first
      const before = parents[path[at]!]!;
      if (before === NONE) continue;
      const child = this.#named(ids[path[at]!]!);
      if (child >= this.#count && this.#parents[child] === NONE) {
        this.#adopt(this.#named(ids[before]!), child);
      }
    }
    return links;
  }

  #named(id: number): number {
    const known = this.#nodeOf[id]!;
    if (known !== NONE) return known;
    return this.#nodeOf[id] = this.#nodes++;
  }

  /** Links a root below `parent`, unless that is below the root itself. */
  #adopt(parent: number, root: number): void {
    if (this.#topOf(parent) === root) return;
    this.#parents[root] = parent;
    this.#above[root] = parent;
  }

  /** The root of a tree; what was passed on the way is shortened, so that long chains are walked once. */
  #topOf(node: number): number {
    const above = this.#above;
    let top = node;
    for (let up = above[top]!; up !== NONE; up = above[top]!) top = up;
    for (let at = node; at !== top;) {
      const up = above[at]!;
      above[at] = top;
      at = up;
    }
    return top;
  }

  /** Steps 2 and 3: messages stand below the next one above that is here, or below a root that is missing. */
  prune(from: number, end: number): void {
    for (let place = from; place < end; place++) {
      const parent = this.#parents[place]!;
      if (parent >= this.#count) this.#parents[place] = this.#staying(parent);
    }
  }

  /** The next message above a missing one, or the root; the way is shortened. */
  #staying(missing: number): number {
    const parents = this.#parents;
    let stays = missing;
    for (let up = parents[stays]!; stays >= this.#count && up !== NONE; up = parents[stays]!) stays = up;
    for (let at = missing; at !== stays;) {
      const up = parents[at]!;
      parents[at] = stays;
      at = up;
    }
    return stays;
  }

  /** At the top a single child takes the place of a missing one. */
  dropLonely(): void {
    const children = new Uint32Array(this.#nodes - this.#count);
    for (let place = 0; place < this.#count; place++) {
      const parent = this.#parents[place]!;
      if (parent >= this.#count) children[parent - this.#count]!++;
    }
    for (let place = 0; place < this.#count; place++) {
      const parent = this.#parents[place]!;
      if (parent >= this.#count && children[parent - this.#count] === 1) this.#parents[place] = NONE;
    }
  }

  /** Roots by date, a missing one by the first of its children (step 4), and which child that is. */
  #rootsByDate(): { readonly roots: Int32Array; readonly heads: Int32Array } {
    const count = this.#count, order = this.#order;
    const roots = new Int32Array(count);
    const heads = new Int32Array(this.#nodes - count).fill(NONE);
    let length = 0;
    for (let at = 0; at < count; at++) {
      const place = order[at]!, parent = this.#parents[place]!;
      if (parent === NONE) roots[length++] = place;
      else if (parent >= count && heads[parent - count] === NONE) {
        heads[parent - count] = place;
        roots[length++] = parent;
      }
    }
    return { roots: roots.subarray(0, length), heads };
  }

  /** Step 5: threads of the same base subject become one. */
  *joinSubjects(): Steps<void> {
    const count = this.#count, parents = this.#parents;
    const { subjects, distinctSubjects, emptySubject, answers } = this.#columns;
    const { roots, heads } = this.#rootsByDate();
    yield;
    const subjectOf = (root: number) => subjects[root < count ? root : heads[root - count]!]!;
    const known = new Int32Array(distinctSubjects).fill(NONE);
    for (let at = 0; at < roots.length; at++) {
      if (at % SLICE === SLICE - 1) yield;
      const root = roots[at]!, subject = subjectOf(root);
      if (subject === emptySubject) continue;
      const one = known[subject]!;
      const better = one === NONE || (root >= count && one < count) ||
        (one < count && answers[one] === 1 && root < count && answers[root] === 0);
      if (better) known[subject] = root;
    }
    yield;
    // A missing root whose children go elsewhere, and where.
    const moved = new Int32Array(this.#nodes - count).fill(NONE);
    // The pair that took the place of a known root, by subject: siblings below one that is not here.
    const pairs = new Int32Array(distinctSubjects).fill(NONE);
    for (let at = 0; at < roots.length; at++) {
      if (at % SLICE === SLICE - 1) yield;
      const root = roots[at]!, subject = subjectOf(root), one = known[subject]!;
      if (subject === emptySubject || one === root) continue;
      let target = pairs[subject] === NONE ? one : pairs[subject]!;
      if (target < count && !(root < count && answers[root] === 1 && answers[target] === 0)) {
        parents[target] = pairs[subject] = this.#nodes;
        target = this.#nodes++;
      }
      if (root < count) parents[root] = target;
      else moved[root - count] = target;
    }
    yield;
    for (let place = 0; place < count; place++) {
      const parent = parents[place]!;
      const target = parent < count ? NONE : moved[parent - count] ?? NONE;
      if (target !== NONE) parents[place] = target;
    }
  }

  /** Children and roots by date (step 6). */
  *forest(): Steps<ThreadForest> {
    const count = this.#count, order = this.#order, parents = this.#parents;
    const first = new Int32Array(this.#nodes).fill(NONE), next = new Int32Array(count).fill(NONE);
    for (let at = count - 1; at >= 0; at--) {
      const place = order[at]!, parent = parents[place]!;
      if (parent === NONE) continue;
      next[place] = first[parent]!;
      first[parent] = place;
    }
    yield;
    return { count, roots: this.#rootsByDate().roots, first, next };
  }

  /** REFS: a thread stands where its newest message does. */
  *byNewest(forest: ThreadForest): Steps<ThreadForest> {
    const count = this.#count, parents = this.#parents;
    const { dates, distinctDates } = this.#columns;
    this.#above = parents.slice();
    const newest = new Uint32Array(this.#nodes);
    for (let place = 0; place < count; place++) {
      const top = this.#topOf(place);
      newest[top] = Math.max(newest[top]!, dates[place]!);
      if (place % SLICE === SLICE - 1) yield;
    }
    // Equal ones by number, which is the place of a message and of a missing one's first child.
    const { first } = forest;
    const roots = forest.roots.toSorted((a, b) => (a < count ? a : first[a]!) - (b < count ? b : first[b]!));
    yield;
    const order = yield* counted(
      roots.length,
      Uint32Array.from(roots, (root) => newest[root]!),
      distinctDates,
    );
    return { ...forest, roots: Int32Array.from(order, (at) => roots[at]!) };
  }
}

/** Places in order of their ranks; equal ones stay as they are. */
function* counted(count: number, ranks: Uint32Array, distinct: number): Steps<Uint32Array<ArrayBuffer>> {
  const starts = new Uint32Array(distinct + 1);
  for (let at = 0; at < count; at++) starts[ranks[at]! + 1]!++;
  yield;
  for (let at = 1; at <= distinct; at++) starts[at]! += starts[at - 1]!;
  const order = new Uint32Array(count);
  for (let at = 0; at < count; at++) order[starts[ranks[at]!]!++] = at;
  yield;
  return order;
}

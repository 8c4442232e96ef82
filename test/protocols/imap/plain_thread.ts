/**
 * THREAD as it stands in RFC 5256 3, of objects and texts: what protocols/imap/thread.ts is compared with. Nothing recurses, since
 * the tests thread long chains.
 */
import { unicodeCasemap } from "../../../bytes/casemap.ts";
import { mergeOrder } from "../../../protocols/imap/merge_order.ts";

/** Steps between two pauses. */
const SLICE = 5_000;

import type { ThreadAlgorithm } from "../../../protocols/imap/thread.ts";

export interface ThreadMessage {
  /** Sequence number or UID, as the answer names it. */
  readonly number: number;
  /** Milliseconds since the epoch. */
  readonly date: number;
  readonly messageId: string | null;
  /** Oldest first. */
  readonly references: readonly string[];
  /** The base subject, not folded. */
  readonly subject: string;
  readonly answers: boolean;
}

/** `message` is null for one that is referred to and not here. */
export interface ThreadNode {
  message: ThreadMessage | null;
  parent: ThreadNode | null;
  children: ThreadNode[];
  /** Some node above this one; null at a root. */
  above: ThreadNode | null;
}

type Steps<T> = Generator<void, T>;

export function* plainThread(
  messages: readonly ThreadMessage[],
  algorithm: ThreadAlgorithm,
  casemap: Casemap = unicodeCasemap,
): Steps<ThreadNode[]> {
  if (algorithm === "ORDEREDSUBJECT") return yield* orderedSubject(messages, casemap);
  let roots = yield* prune(yield* link(messages));
  roots = yield* sortAll(roots, earliest); // step 4: a thread's subject is that of its first child
  if (algorithm === "REFERENCES") roots = yield* joinSubjects(roots, casemap);
  return yield* sortAll(roots, algorithm === "REFS" ? newest : earliest);
}

/** How subjects compare: the key of the active comparator (RFC 5255 4.2). */
type Casemap = (text: string) => string;

function node(message: ThreadMessage | null): ThreadNode {
  return { message, parent: null, children: [], above: null };
}

function* orderedSubject(messages: readonly ThreadMessage[], casemap: Casemap): Steps<ThreadNode[]> {
  const bySubject = new Map<string, ThreadNode>();
  const order = yield* mergeOrder(messages.length, (a, b) => byDate(messages[a]!, messages[b]!));
  for (let at = 0; at < order.length; at++) {
    if (at % SLICE === SLICE - 1) yield;
    const message = messages[order[at]!]!;
    const subject = casemap(message.subject);
    const first = bySubject.get(subject);
    if (first === undefined) bySubject.set(subject, node(message));
    else first.children.push(node(message));
  }
  return [...bySubject.values()];
}

function byDate(a: ThreadMessage, b: ThreadMessage): number {
  return a.date - b.date || a.number - b.number;
}

/**
 * Step 1: parents by the chain of references. A message's own last reference is what counts; what chains say of
 * messages that are not here is added afterwards, so that no link is ever taken back and loops show at once.
 */
function* link(messages: readonly ThreadMessage[]): Steps<ThreadNode[]> {
  const byId = new Map<string, ThreadNode>();
  const all: ThreadNode[] = [];
  const named = (id: string): ThreadNode => {
    let found = byId.get(id);
    if (found === undefined) {
      byId.set(id, found = node(null));
      all.push(found);
    }
    return found;
  };
  let steps = 0;
  const own: ThreadNode[] = [];
  for (const message of messages) {
    let one = message.messageId === null ? null : named(message.messageId);
    if (one === null || one.message !== null) all.push(one = node(null)); // a second one of that id
    one.message = message;
    own.push(one);
    if (++steps % SLICE === 0) yield;
  }
  for (let at = 0; at < messages.length; at++) {
    const last = messages[at]!.references.at(-1);
    if (last !== undefined) adopt(named(last), own[at]!);
    if (++steps % SLICE === 0) yield;
  }
  for (const { references } of messages) {
    for (let at = 1; at < references.length; at++) {
      const child = named(references[at]!);
      if (child.message === null && child.parent === null) adopt(named(references[at - 1]!), child);
      if (++steps % SLICE === 0) yield;
    }
  }
  for (const one of all) {
    one.parent?.children.push(one);
    if (++steps % SLICE === 0) yield;
  }
  return all;
}

/** Links a root below `parent`, unless that is below the root itself. */
function adopt(parent: ThreadNode, root: ThreadNode): void {
  if (topOf(parent) === root) return;
  root.parent = parent;
  root.above = parent;
}

/** The root of a tree; what was passed on the way is shortened, so that long chains are walked once. */
function topOf(one: ThreadNode): ThreadNode {
  let top = one;
  while (top.above !== null) top = top.above;
  for (let at = one; at !== top;) {
    const next: ThreadNode = at.above ?? top;
    at.above = top;
    at = next;
  }
  return top;
}

/**
 * Steps 2 and 3: roots, without those that are not here; their children move up, each once, to the next one above that
 * stays.
 */
function* prune(all: readonly ThreadNode[]): Steps<ThreadNode[]> {
  const roots = all.filter(({ parent }) => parent === null);
  const stack: { readonly one: ThreadNode; readonly above: ThreadNode }[] = [];
  const open = (one: ThreadNode, above: ThreadNode) => {
    const { children } = one;
    one.children = [];
    for (let at = children.length - 1; at >= 0; at--) stack.push({ one: children[at]!, above });
  };
  let steps = 0;
  for (const root of roots) {
    if (++steps % SLICE === 0) yield;
    open(root, root);
    for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
      const { one, above } = next;
      if (++steps % SLICE === 0) yield;
      if (one.message === null) {
        open(one, above);
        continue;
      }
      above.children.push(one);
      one.parent = above;
      open(one, one);
    }
  }
  return roots.flatMap((root) => {
    if (root.message !== null || root.children.length > 1) return [root];
    for (const child of root.children) child.parent = null;
    return root.children; // at the top a single child takes the place
  });
}

/** Step 5: threads of the same base subject become one. */
function* joinSubjects(roots: readonly ThreadNode[], casemap: Casemap): Steps<ThreadNode[]> {
  const head = (root: ThreadNode) => root.message ?? root.children[0]?.message ?? null;
  const bySubject = new Map<string, ThreadNode>();
  let steps = 0;
  for (const root of roots) {
    if (++steps % SLICE === 0) yield;
    const subject = casemap(head(root)?.subject ?? "");
    if (subject === "") continue;
    const known = bySubject.get(subject);
    const better = known === undefined || (root.message === null && known.message !== null) ||
      (known.message !== null && known.message.answers && root.message?.answers === false);
    if (better) bySubject.set(subject, root);
  }
  const result: ThreadNode[] = [];
  const joined = new Map<ThreadNode, ThreadNode>();
  for (const root of roots) {
    if (++steps % SLICE === 0) yield;
    const subject = casemap(head(root)?.subject ?? "");
    const known = bySubject.get(subject);
    if (subject === "" || known === undefined || known === root) {
      result.push(root);
      continue;
    }
    const target = joined.get(known) ?? known;
    if (target.message === null) {
      // One by one: as arguments of one call they may be too many.
      for (const child of root.message === null ? root.children : [root]) target.children.push(child);
    } else if (root.message !== null && root.message.answers && !target.message.answers) {
      target.children.push(root);
    } else {
      // Siblings below one that is not here.
      const pair = node(null);
      pair.children = [target, ...(root.message === null ? root.children : [root])];
      joined.set(known, pair);
    }
  }
  return result.map((root) => joined.get(root) ?? root);
}

type DateOf = (one: ThreadNode) => number;

function earliest(one: ThreadNode): number {
  return one.message?.date ?? one.children[0]?.message?.date ?? 0;
}

/** REFS: a thread stands where its newest message does. */
function newest(one: ThreadNode): number {
  let date = -Infinity;
  for (const stack = [one]; stack.length > 0;) {
    const top = stack.pop()!;
    if (top.message !== null) date = Math.max(date, top.message.date);
    for (const child of top.children) stack.push(child);
  }
  return date;
}

/** Siblings by date, from the leaves up, then the threads. */
function* sortAll(roots: readonly ThreadNode[], dateOf: DateOf): Steps<ThreadNode[]> {
  const order: ThreadNode[] = [];
  let steps = 0;
  for (const stack = [...roots]; stack.length > 0;) {
    const one = stack.pop()!;
    order.push(one);
    for (const child of one.children) stack.push(child);
    if (++steps % SLICE === 0) yield;
  }
  for (let at = order.length - 1; at >= 0; at--) {
    const { children } = order[at]!;
    if (children.length > SLICE) order[at]!.children = yield* sorted(children, by(earliest));
    else if (children.length > 1) children.sort(by(earliest));
    steps += children.length;
    if (steps > SLICE) {
      steps = 0;
      yield;
    }
  }
  const dates = new Map<ThreadNode, number>();
  for (const root of roots) {
    dates.set(root, dateOf(root));
    if (++steps % SLICE === 0) yield;
  }
  return yield* sorted(roots, by((root) => dates.get(root) ?? 0));
}

function* sorted(
  nodes: readonly ThreadNode[],
  compare: (a: ThreadNode, b: ThreadNode) => number,
): Steps<ThreadNode[]> {
  const order = yield* mergeOrder(nodes.length, (a, b) => compare(nodes[a]!, nodes[b]!));
  return Array.from(order, (at) => nodes[at]!);
}

function by(dateOf: DateOf): (a: ThreadNode, b: ThreadNode) => number {
  const number = (one: ThreadNode) => one.message?.number ?? one.children[0]?.message?.number ?? 0;
  return (a, b) => dateOf(a) - dateOf(b) || number(a) - number(b);
}

/** thread-list (RFC 5256 5), without recursion; pieces of one thread each. */
export function* formatPlain(roots: readonly ThreadNode[]): Generator<string> {
  for (const root of roots) {
    const texts: string[] = [];
    const stack: (ThreadNode | string)[] = [root];
    stack.unshift(")");
    texts.push("(");
    let fresh = true;
    while (stack.length > 0) {
      const top = stack.pop()!;
      if (typeof top === "string") {
        texts.push(top);
        fresh = top === "(";
        continue;
      }
      if (top.message !== null) texts.push(`${fresh ? "" : " "}${top.message.number}`);
      const afterNumber = top.message !== null;
      const [only] = top.children;
      if (top.children.length === 1 && only !== undefined) {
        fresh = fresh && !afterNumber;
        stack.push(only);
        continue;
      }
      if (top.children.length > 1 && afterNumber) texts.push(" ");
      for (const child of [...top.children].reverse()) stack.push(")", child, "(");
    }
    yield texts.join("");
  }
}

/**
 * What a login may send in a day: messages, and recipients it has never written to. A stolen password shows by the
 * second long before the first.
 *
 * Days are those of UTC. Sums are kept by the store for all threads, where the operator can take them away; beside it in
 * memory is what is being written, so that a burst is not missed. The administrator is told once a day and login, when a limit is reached.
 */
import type { PolicyKind, WriteOp } from "../../storage/ops.ts";
import type { PolicyState } from "../../storage/policy_state.ts";
import type { Check, CheckFacts } from "../check.ts";
import { CONTINUE, type Verdict } from "../verdict.ts";

export interface SendingOptions {
  readonly state: PolicyState;
  /** Resolves when it is written, or cannot be; never rejects. */
  readonly write: (op: WriteOp) => Promise<void>;
  readonly now: () => number;
  /** 0 is no limit. */
  readonly messagesPerDay: number;
  readonly newRecipientsPerDay: number;
  /** A login looks stolen: called once a day for each. */
  readonly notify: (login: string, reason: string) => void;
}

const DAY_MS = 86_400_000;
/** A recipient that was not written to for so long is new again. */
const KNOWN_MS = 365 * DAY_MS;
const MAX_LOGINS = 10_000;
const TOO_MANY = { code: 450, enhanced: "4.7.1", text: "Daily sending limit of this login reached" };

interface Sums {
  readonly day: number;
  readonly messages: Sum;
  readonly recipients: Sum;
  /** The administrator was told by this thread: the row that says so may be on its way. */
  noticed: boolean;
  readonly known: Set<string>;
}

/**
 * A sum of the store and what is on its way there. A row may be seen before its writing is known to be done: it must not
 * count twice meanwhile.
 */
class Sum {
  /** What the store said when the first of those under way was added, and how many were added since. */
  #before = 0;
  #since = 0;
  #pending = 0;

  /** `written`: what the store says now. */
  with(written: number): number {
    return this.#pending === 0 ? written : Math.max(written, this.#before + this.#since);
  }

  add(written: number, writing: Promise<void>): void {
    if (this.#pending === 0) {
      this.#before = written;
      this.#since = 0;
    }
    this.#since++;
    this.#pending++;
    writing.then(() => this.#pending--);
  }
}

export function sending(options: SendingOptions): Check {
  const { state, now, messagesPerDay, newRecipientsPerDay } = options;
  const logins = new Map<string, Sums>();
  const count = (kind: PolicyKind, key: string, at: number, forMs: number) =>
    options.write({
      kind: "put-state",
      add: true,
      rows: [{ kind, key, firstAt: at, lastAt: at, count: 1, expiresAt: at + forMs, note: "" }],
    });
  const sumsOf = (login: string, day: number): Sums => {
    const known = logins.get(login);
    if (known?.day === day) return known;
    if (logins.size >= MAX_LOGINS) logins.clear();
    const sums = {
      day,
      messages: new Sum(),
      recipients: new Sum(),
      noticed: false,
      known: new Set<string>(),
    };
    logins.set(login, sums);
    return sums;
  };
  const written = (kind: "sent" | "first-time", key: string, at: number) =>
    state.get(kind, key, at)?.count ?? 0;
  const refuse = (
    login: string,
    { sums, key, at, reason }: { sums: Sums; key: string; at: number; reason: string },
  ): Verdict => {
    if (!sums.noticed && state.get("noticed", key, at) === null) {
      sums.noticed = true;
      count("noticed", key, at, DAY_MS);
      options.notify(login, reason);
    }
    return { action: "defer", reason, reply: TOO_MANY };
  };
  const run = ({ stage, client: { login }, recipient }: CheckFacts): Verdict => {
    if (login === null) return CONTINUE;
    const at = now();
    const day = Math.floor(at / DAY_MS);
    const key = `${login} ${day}`;
    const sums = sumsOf(login, day);
    if (stage === "mail") {
      if (messagesPerDay === 0) return CONTINUE;
      const before = written("sent", key, at);
      if (sums.messages.with(before) >= messagesPerDay) {
        return refuse(login, { sums, key, at, reason: `${messagesPerDay} messages today` });
      }
      sums.messages.add(before, count("sent", key, at, 2 * DAY_MS));
      return CONTINUE;
    }
    if (newRecipientsPerDay === 0) return CONTINUE;
    const pair = `${login} ${recipient.toLowerCase()}`;
    if (sums.known.has(pair) || state.get("known", pair, at) !== null) return CONTINUE;
    const before = written("first-time", key, at);
    if (sums.recipients.with(before) >= newRecipientsPerDay) {
      return refuse(login, {
        sums,
        key,
        at,
        reason: `${newRecipientsPerDay} recipients today that it never wrote to`,
      });
    }
    sums.recipients.add(before, count("first-time", key, at, 2 * DAY_MS));
    if (sums.known.size < MAX_LOGINS) sums.known.add(pair);
    count("known", pair, at, KNOWN_MS);
    return CONTINUE;
  };
  return { name: "sending", stages: ["mail", "rcpt"], run };
}

/** Random search keys for imap_model_test.ts, each with what it means to a plain model of the messages. */
import type { Message } from "./imap_model.ts";
import type { Session } from "./imap_model_session.ts";

type Next = (below: number) => number;

export const FLAGS = ["\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft", "$one", "$Two"];
export const DAY_MS = 86_400_000;
/** Of the first day that messages are from. */
export const FIRST_DAY = Date.UTC(2023, 10, 1);
export const SUBJECTS = 6;

export interface Key {
  readonly text: string;
  readonly matches: (uid: number, message: Message) => boolean;
}

/** Whether it speaks of message numbers: no EXPUNGE then, whatever the command is (RFC 9051 7.5.1). */
export function hasNumbers({ text }: Key): boolean {
  return text.includes(":*");
}

export function dateText(at: number): string {
  const [, day, month, year] = /, (\d\d) (\w+) (\d+)/.exec(new Date(at).toUTCString())!;
  return `${Number(day)}-${month}-${year}`;
}

/** Some key, as deep as `depth`. */
export function anyKey(session: Pick<Session, "kind" | "view">, next: Next, depth = 2): Key {
  if (depth > 0 && next(3) === 0) {
    const a = anyKey(session, next, depth - 1), b = anyKey(session, next, depth - 1);
    switch (next(3)) {
      case 0:
        return { text: `NOT ${a.text}`, matches: (uid, message) => !a.matches(uid, message) };
      case 1:
        return {
          text: `OR ${a.text} ${b.text}`,
          matches: (uid, message) => a.matches(uid, message) || b.matches(uid, message),
        };
      default:
        return {
          text: `(${a.text} ${b.text})`,
          matches: (uid, message) => a.matches(uid, message) && b.matches(uid, message),
        };
    }
  }
  switch (next(9)) {
    case 0: {
      const size = 20 + next(60);
      const larger = next(2) === 0;
      return {
        text: `${larger ? "LARGER" : "SMALLER"} ${size}`,
        matches: (_, { text }) => larger ? text.length > size : text.length < size,
      };
    }
    case 1: {
      const word = `s${next(SUBJECTS)}`;
      return { text: `SUBJECT ${word}`, matches: (_, { text }) => text.startsWith(`Subject: ${word}\r`) };
    }
    case 2: {
      const word = "x".repeat(1 + next(40));
      const name = next(2) === 0 ? "BODY" : "TEXT";
      return { text: `${name} ${word}`, matches: (_, { text }) => text.includes(word) };
    }
    case 3: {
      const day = FIRST_DAY + next(12) * DAY_MS;
      const name = (["BEFORE", "ON", "SINCE"] as const)[next(3)]!;
      return {
        text: `${name} ${dateText(day)}`,
        matches: (_, { internalDate }) =>
          name === "BEFORE"
            ? internalDate < day
            : internalDate >= day && (name === "SINCE" || internalDate < day + DAY_MS),
      };
    }
    case 4: {
      const from = 1 + next(8), to = from + next(8);
      return { text: `UID ${from}:${to}`, matches: (uid) => uid >= from && uid <= to };
    }
    case 5: {
      if (session.kind === "uidonly" || session.view.length === 0) return anyFlag(next);
      const from = 1 + next(session.view.length);
      const uids = session.view.slice(from - 1);
      return { text: `${from}:*`, matches: (uid) => uids.includes(uid) };
    }
    default:
      return anyFlag(next);
  }
}

function anyFlag(next: Next): Key {
  const flag = FLAGS[next(FLAGS.length)]!;
  const folded = flag.toLowerCase();
  const not = next(2) === 0;
  const name = flag.startsWith("\\")
    ? `${not ? "UN" : ""}${flag.slice(1).toUpperCase()}`
    : `${not ? "UN" : ""}KEYWORD ${flag}`;
  return { text: name, matches: (_, { flags }) => flags.has(folded) !== not };
}

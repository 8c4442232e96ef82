/**
 * What a change of a client's says about a message to the spam filter: into Junk is unwanted, out of it to anything but Trash is
 * wanted, `$Junk` and `$NotJunk` say the same (RFC 9051 2.3.2; some clients write `Junk` and `NonJunk`), and mail that was answered is
 * a little wanted. Other people's mailboxes teach nothing.
 */
import { FLAG_ANSWERED } from "../../storage/changes.ts";
import type { LessonKind } from "../../storage/ops.ts";
import type { NamedMailbox } from "./names.ts";

const JUNK = "\\junk";
const TRASH = "\\trash";
const SPAM_KEYWORDS: ReadonlySet<string> = new Set(["$junk", "junk"]);
const HAM_KEYWORDS: ReadonlySet<string> = new Set(["$notjunk", "notjunk", "nonjunk"]);

type Teaches = { readonly teaches?: LessonKind };

export function copyTeaches(from: NamedMailbox | null, to: NamedMailbox): Teaches {
  if (from?.own === false || !to.own) return {};
  const source = useOf(from);
  const target = useOf(to);
  if (source === target) return {};
  if (target === JUNK) return { teaches: "spam" };
  return source === JUNK && target !== TRASH ? { teaches: "ham" } : {};
}

export function flagsTeach(
  mailbox: NamedMailbox,
  { mode, keywords, flags }: {
    readonly mode: "add" | "remove" | "replace";
    readonly keywords: readonly string[];
    readonly flags: number;
  },
): Teaches {
  if (!mailbox.own || mode === "remove") return {};
  const named = keywords.map((keyword) => keyword.toLowerCase());
  const ham = named.some((keyword) => HAM_KEYWORDS.has(keyword));
  const spam = named.some((keyword) => SPAM_KEYWORDS.has(keyword));
  if (ham !== spam) return { teaches: ham ? "ham" : "spam" };
  const answered = mode === "add" && (flags & FLAG_ANSWERED) !== 0 && useOf(mailbox) !== JUNK;
  return answered ? { teaches: "weak-ham" } : {};
}

function useOf(mailbox: NamedMailbox | null): string {
  return mailbox?.specialUse?.toLowerCase() ?? "";
}

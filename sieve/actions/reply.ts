/** Mail of the script's own: vacation (RFC 5230, RFC 6131), notify (RFC 5435, RFC 5436), and copies of it (RFC 8580). */
import { parseAddressList } from "../../message/address.ts";
import { type Call, type CommandSpec, has, tagNumber, tagText, tagTexts, textAt } from "../grammar.ts";
import { isMailto } from "../mailto.ts";
import type { Filing } from "../outcome.ts";
import { type Run, ScriptError } from "../run.ts";
import { FILING_TAGS, filingOf, mailboxOf, refuseBesideReject } from "./delivery.ts";

const DAY_SECONDS = 86_400;
const DEFAULT_DAYS = 7;
const MAX_SECONDS = 60 * DAY_SECONDS;
const FCC_TAGS = { fcc: { extension: "fcc", value: "string" }, ...FILING_TAGS } as const;

/** Null where `:fcc` does not stand. */
function copyOf(call: Call): (run: Run) => Filing | null {
  const fcc = tagText(call, "fcc");
  if (fcc === null) {
    for (const tag of Object.keys(FILING_TAGS)) {
      const place = call.tags.get(tag);
      if (place !== undefined) call.place.fault(place.at, `:${tag} needs :fcc`);
    }
    return () => null;
  }
  const filing = filingOf(call);
  const named = mailboxOf(call, fcc);
  return (run) => filing(run, named(run));
}

/** RFC 5230 4.3: a mailbox-list. */
function isMailboxList(text: string): boolean {
  const items = parseAddressList(text);
  return items.length > 0 &&
    items.every((item) => item.kind === "mailbox" && item.localPart !== "" && item.domain !== "");
}

export const vacation: CommandSpec = {
  extensions: ["vacation"],
  tags: {
    days: { value: "number", group: "time" },
    seconds: { value: "number", group: "time", extension: "vacation-seconds" },
    subject: { value: "string" },
    from: { value: "string" },
    addresses: { value: "strings" },
    mime: {},
    handle: { value: "string" },
    ...FCC_TAGS,
  },
  positional: ["string"],
  compile(call) {
    const reason = textAt(call, 0);
    const [subject, from, handle] = [
      tagText(call, "subject"),
      tagText(call, "from"),
      tagText(call, "handle"),
    ];
    const addresses = tagTexts(call, "addresses") ?? [];
    const mime = has(call, "mime");
    const copy = copyOf(call);
    if (from !== null && from.constant !== null && !isMailboxList(from.constant)) {
      call.place.fault(from.at, ":from is no list of addresses");
    }
    const days = tagNumber(call, "days");
    // RFC 5230 4.1: at least a day; RFC 6131 2.: 0 seconds answers each time.
    const seconds = tagNumber(call, "seconds") ?? Math.max(1, days ?? DEFAULT_DAYS) * DAY_SECONDS;
    // RFC 5230 4.2: what makes answers the same are the arguments before variables are put in.
    const written = JSON.stringify([subject?.written, from?.written, mime, reason.written]);
    return (run) => {
      if (run.count("vacation") > 0) throw new ScriptError("a second vacation"); // 4.7
      refuseBesideReject(run, "vacation");
      run.act({
        kind: "vacation",
        againAfterSeconds: Math.min(MAX_SECONDS, seconds),
        subject: subject?.expand(run) ?? null,
        from: from?.expand(run) ?? null,
        addresses: addresses.map((address) => address.expand(run)),
        mime,
        reason: reason.expand(run),
        handle: handle?.expand(run) ?? written,
        copyTo: copy(run),
      }, "vacation");
    };
  },
};

export const notify: CommandSpec = {
  extensions: ["enotify"],
  tags: {
    from: { value: "string" },
    importance: { value: "string" },
    options: { value: "strings" },
    message: { value: "string" },
    ...FCC_TAGS,
  },
  positional: ["string"],
  compile(call) {
    const method = textAt(call, 0);
    const [from, message] = [tagText(call, "from"), tagText(call, "message")];
    const importance = tagText(call, "importance");
    const copy = copyOf(call);
    if (method.constant !== null && !isMailto(method.constant)) {
      call.place.fault(method.at, "only mailto: with addresses is a method here");
    }
    if (importance !== null && importance.constant !== null && !/^[123]$/.test(importance.constant)) {
      call.place.fault(importance.at, ":importance is 1, 2 or 3");
    }
    return (run) => {
      const uri = method.expand(run);
      if (!isMailto(uri)) throw new ScriptError("notify has no such method");
      const level = importance?.expand(run) ?? "2";
      if (run.count("notify") >= run.limits.notifications) {
        throw new ScriptError(`more than ${run.limits.notifications} notifications`);
      }
      run.act({
        kind: "notify",
        method: uri,
        from: from?.expand(run) ?? null,
        importance: level === "1" || level === "3" ? level : "2",
        message: message?.expand(run) ?? null,
        copyTo: copy(run),
      }, `notify "${uri}"`);
    };
  },
};

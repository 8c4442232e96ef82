/**
 * Where the message goes: keep, discard (RFC 5228 4.), fileinto with :copy :flags :create :specialuse :mailboxid, redirect
 * with :copy :notify :ret, reject and ereject (RFC 5429).
 */
import { parseAddressList } from "../../message/address.ts";
import { type Call, type CommandSpec, has, type TagSpecs, tagText, tagTexts, textAt } from "../grammar.ts";
import { splitFlags } from "../flags.ts";
import type { Filing } from "../outcome.ts";
import { type Run, ScriptError } from "../run.ts";
import type { Text } from "../text.ts";

const FLAGS: TagSpecs = { flags: { extension: "imap4flags", value: "strings" } };

/** Tags that say more of where a copy goes, for fileinto and `:fcc`. */
export const FILING_TAGS: TagSpecs = {
  ...FLAGS,
  create: { extension: "mailbox" },
  specialuse: { extension: "special-use", value: "string" },
  mailboxid: { extension: "mailboxid", value: "string" },
};

/** Null where `:flags` does not stand: the internal variable counts then (RFC 5232 5.). */
function flagsTag(call: Call): (run: Run) => readonly string[] | null {
  const texts = tagTexts(call, "flags");
  if (texts === null) return ({ flags }) => flags;
  return (run) => splitFlags(texts.map((text) => text.expand(run)));
}

export function filingOf(call: Call): (run: Run, mailbox: string) => Filing {
  const flags = flagsTag(call);
  const specialUse = tagText(call, "specialuse");
  const mailboxId = tagText(call, "mailboxid");
  const both = call.tags.get("mailboxid");
  // RFC 9042 4.1: they say two different things of one mailbox.
  if (specialUse !== null && both !== undefined) {
    call.place.fault(both.at, ":mailboxid and :specialuse exclude each other");
  }
  return (run, mailbox) => ({
    mailbox,
    flags: flags(run),
    create: has(call, "create"),
    specialUse: specialUse?.expand(run) ?? null,
    mailboxId: mailboxId?.expand(run) ?? null,
  });
}

/** Characters of a name; longer ones are no mailbox's. */
const MAX_MAILBOX_NAME = 1_000;

const NO_MAILBOX = "this is no name of a mailbox";

/** The name as it is when the script runs; what is no name already as it is written is a fault of the script. */
export function mailboxOf(call: Call, text: Text): (run: Run) => string {
  if (text.constant !== null && !isMailboxName(text.constant)) call.place.fault(text.at, NO_MAILBOX);
  return (run) => {
    const name = text.expand(run);
    if (!isMailboxName(name)) throw new ScriptError(NO_MAILBOX);
    return name;
  };
}

function isMailboxName(name: string): boolean {
  // deno-lint-ignore no-control-regex
  return name !== "" && name.length <= MAX_MAILBOX_NAME && !/[\x00-\x1f\x7f]/.test(name);
}

export const keep: CommandSpec = {
  tags: FLAGS,
  compile(call) {
    const flags = flagsTag(call);
    return (run) => {
      refuseBesideReject(run, "keep");
      run.implicitKeep = false;
      run.act({ kind: "keep", flags: flags(run), header: run.header }, "keep");
    };
  },
};

export const discard: CommandSpec = {
  compile: () => (run) => {
    run.implicitKeep = false;
    run.act({ kind: "discard" }, "discard");
  },
};

export const fileinto: CommandSpec = {
  extensions: ["fileinto"],
  tags: { ...FILING_TAGS, copy: { extension: "copy" } },
  positional: ["string"],
  compile(call) {
    const named = mailboxOf(call, textAt(call, 0));
    const filing = filingOf(call);
    const copy = has(call, "copy");
    return (run) => {
      refuseBesideReject(run, "fileinto");
      const mailbox = named(run);
      if (!copy) run.implicitKeep = false;
      run.act({ kind: "fileinto", ...filing(run, mailbox), header: run.header }, `fileinto "${mailbox}"`);
    };
  },
};

const NEVER = /^never$/i;
const NOTIFY = /^(?:success|failure|delay)(?:,(?:success|failure|delay)){0,2}$/i;

export const redirect: CommandSpec = {
  tags: {
    copy: { extension: "copy" },
    notify: { extension: "redirect-dsn", value: "string" },
    ret: { extension: "redirect-dsn", value: "string" },
  },
  positional: ["string"],
  compile(call) {
    const text = textAt(call, 0);
    const copy = has(call, "copy");
    const notify = tagText(call, "notify");
    const ret = tagText(call, "ret");
    if (text.constant !== null && singleAddress(text.constant) === null) {
      call.place.fault(text.at, "this is not one address");
    }
    if (notify?.constant !== undefined && notify.constant !== null && !isNotify(notify.constant)) {
      call.place.fault(notify.at, ":notify is NEVER, or some of SUCCESS,FAILURE,DELAY");
    }
    if (ret?.constant !== undefined && ret.constant !== null && !isRet(ret.constant)) {
      call.place.fault(ret.at, ":ret is FULL or HDRS");
    }
    return (run) => {
      refuseBesideReject(run, "redirect");
      const address = singleAddress(text.expand(run));
      if (address === null) throw new ScriptError("redirect needs one address");
      if (run.count("redirect") >= run.limits.redirects) {
        throw new ScriptError(`more than ${run.limits.redirects} redirects`);
      }
      const wish = notify?.expand(run) ?? null;
      if (wish !== null && !isNotify(wish)) throw new ScriptError(":notify has no such value");
      const full = ret?.expand(run).toUpperCase() ?? null;
      if (full !== null && !isRet(full)) throw new ScriptError(":ret has no such value");
      if (!copy) run.implicitKeep = false;
      run.act({
        kind: "redirect",
        address,
        notify: wish?.toUpperCase() ?? null,
        ret: full as "FULL" | "HDRS" | null,
        header: run.header,
      }, `redirect "${address}"`);
    };
  },
};

function isNotify(text: string): boolean {
  return NEVER.test(text) || NOTIFY.test(text);
}

function isRet(text: string): boolean {
  return /^(?:full|hdrs)$/i.test(text);
}

/** The one address of a text, without its name; null when it is not exactly one. */
function singleAddress(text: string): string | null {
  const items = parseAddressList(text);
  const [only] = items;
  if (items.length !== 1 || only?.kind !== "mailbox" || only.localPart === "" || only.domain === "") {
    return null;
  }
  // deno-lint-ignore no-control-regex
  return /[\x00-\x20\x7f<>]/.test(only.localPart + only.domain) ? null : `${only.localPart}@${only.domain}`;
}

/** RFC 5429 2.: a message that is refused is not filed, sent on or answered besides. */
export function refuseBesideReject(run: Run, action: string): void {
  if (run.count("reject") > 0) throw new ScriptError(`${action} after a reject`);
}

function rejects(extension: "reject" | "ereject"): CommandSpec {
  return {
    extensions: [extension],
    positional: ["string"],
    compile(call) {
      const reason = textAt(call, 0);
      return (run) => {
        const other = run.actions.find(({ kind }) => kind !== "discard" && kind !== "notify");
        if (other !== undefined) throw new ScriptError(`${extension} after ${other.kind}`);
        run.implicitKeep = false;
        run.act({ kind: "reject", reason: reason.expand(run), extended: extension === "ereject" }, extension);
      };
    },
  };
}

export const reject = rejects("reject");
export const ereject = rejects("ereject");

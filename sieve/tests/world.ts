/**
 * Tests of what is around the message: mailboxes (RFC 5490, RFC 9042, RFC 8579), the environment (RFC 5183), filters
 * (RFC 5235), lists (RFC 6134), methods of notify (RFC 5435), messages seen before (RFC 7352).
 */
import { isMailto } from "../mailto.ts";
import { has, tagNumber, tagText, type TestSpec, textAt, textsAt } from "../grammar.ts";
import { MATCH_TAGS, matcherOf } from "../match.ts";

export const mailboxexists: TestSpec = {
  extensions: ["mailbox"],
  positional: ["strings"],
  compile(call) {
    const names = textsAt(call, 0);
    return { holds: (run) => names.every((name) => run.host.mailboxExists(name.expand(run))) };
  },
};

export const mailboxidexists: TestSpec = {
  extensions: ["mailboxid"],
  positional: ["strings"],
  compile(call) {
    const ids = textsAt(call, 0);
    return { holds: (run) => ids.every((id) => run.host.mailboxIdExists(id.expand(run))) };
  },
};

export const specialuseExists: TestSpec = {
  extensions: ["special-use"],
  positional: ["string", "strings"],
  optional: 1,
  compile(call) {
    const named = call.positional.length === 2;
    const mailbox = named ? textAt(call, 0) : null;
    const uses = textsAt(call, named ? 1 : 0);
    return {
      holds: (run) =>
        uses.every((use) => run.host.specialUseExists(mailbox?.expand(run) ?? null, use.expand(run))),
    };
  },
};

export const metadata: TestSpec = {
  extensions: ["mboxmetadata"],
  tags: MATCH_TAGS,
  positional: ["string", "string", "strings"],
  compile(call) {
    const [mailbox, entry] = [textAt(call, 0), textAt(call, 1)];
    const matches = matcherOf(call, textsAt(call, 2));
    return {
      holds: (run) => {
        const value = run.host.metadata(mailbox.expand(run), entry.expand(run));
        return value !== null && matches(run, [value]);
      },
    };
  },
};

export const metadataexists: TestSpec = {
  extensions: ["mboxmetadata"],
  positional: ["string", "strings"],
  compile(call) {
    const mailbox = textAt(call, 0);
    const entries = textsAt(call, 1);
    return {
      holds: (run) =>
        entries.every((entry) => run.host.metadata(mailbox.expand(run), entry.expand(run)) !== null),
    };
  },
};

export const servermetadata: TestSpec = {
  extensions: ["servermetadata"],
  tags: MATCH_TAGS,
  positional: ["string", "strings"],
  compile(call) {
    const entry = textAt(call, 0);
    const matches = matcherOf(call, textsAt(call, 1));
    return {
      holds: (run) => {
        const value = run.host.metadata(null, entry.expand(run));
        return value !== null && matches(run, [value]);
      },
    };
  },
};

export const servermetadataexists: TestSpec = {
  extensions: ["servermetadata"],
  positional: ["strings"],
  compile(call) {
    const entries = textsAt(call, 0);
    return { holds: (run) => entries.every((entry) => run.host.metadata(null, entry.expand(run)) !== null) };
  },
};

export const environment: TestSpec = {
  extensions: ["environment"],
  tags: MATCH_TAGS,
  positional: ["string", "strings"],
  compile(call) {
    const item = textAt(call, 0);
    const matches = matcherOf(call, textsAt(call, 1));
    return {
      holds: (run) => {
        // RFC 5183 4.: an item that is not known fails the test.
        const value = run.host.environment(item.expand(run).toLowerCase());
        return value !== null && matches(run, [value]);
      },
    };
  },
};

/** RFC 5235 2.: 0 was not tested, 1 is surely wanted, 10 surely not; with :percent 0 to 100. */
export const spamtest: TestSpec = {
  extensions: ["spamtest"],
  tags: { ...MATCH_TAGS, percent: { extension: "spamtestplus" } },
  positional: ["string"],
  compile(call) {
    const percent = has(call, "percent");
    const matches = matcherOf(call, textsAt(call, 0));
    return {
      holds: (run) => {
        const { spamPercent } = run.host;
        // 2.2: without a test `:percent` has no value; `:count` tells by that.
        if (percent) return matches(run, spamPercent === null ? [] : [String(Math.round(spamPercent))]);
        const level = spamPercent === null ? 0 : 1 + Math.round(spamPercent * 9 / 100);
        return matches(run, call.tags.has("count") && level === 0 ? [] : [String(level)]);
      },
    };
  },
};

/** RFC 5235 3.: 0 was not tested, 1 is clean, 5 surely infected. */
export const virustest: TestSpec = {
  extensions: ["virustest"],
  tags: MATCH_TAGS,
  positional: ["string"],
  compile(call) {
    const matches = matcherOf(call, textsAt(call, 0));
    return { holds: (run) => matches(run, [String(run.host.virusLevel ?? 0)]) };
  },
};

export const validExtList: TestSpec = {
  extensions: ["extlists"],
  positional: ["strings"],
  compile(call) {
    const lists = textsAt(call, 0);
    return { holds: (run) => lists.every((list) => run.host.listHas(list.expand(run), "") !== null) };
  },
};

export const validNotifyMethod: TestSpec = {
  extensions: ["enotify"],
  positional: ["strings"],
  compile(call) {
    const uris = textsAt(call, 0);
    return { holds: (run) => uris.every((uri) => isMailto(uri.expand(run))) };
  },
};

/** RFC 5435 5.: mail cannot tell whether anybody is there. */
export const notifyMethodCapability: TestSpec = {
  extensions: ["enotify"],
  tags: MATCH_TAGS,
  positional: ["string", "string", "strings"],
  compile(call) {
    const [uri, capability] = [textAt(call, 0), textAt(call, 1)];
    const matches = matcherOf(call, textsAt(call, 2));
    return {
      holds: (run) =>
        isMailto(uri.expand(run)) && capability.expand(run).toLowerCase() === "online" &&
        matches(run, ["maybe"]),
    };
  },
};

const DEFAULT_SECONDS = 7 * 86_400;
const MAX_SECONDS = 90 * 86_400;

export const duplicate: TestSpec = {
  extensions: ["duplicate"],
  tags: {
    handle: { value: "string" },
    header: { value: "string", group: "id" },
    uniqueid: { value: "string", group: "id" },
    seconds: { value: "number" },
    last: {},
  },
  compile(call) {
    const handle = tagText(call, "handle");
    const header = tagText(call, "header");
    const uniqueId = tagText(call, "uniqueid");
    const seconds = Math.min(MAX_SECONDS, tagNumber(call, "seconds") ?? DEFAULT_SECONDS);
    const last = has(call, "last");
    return {
      holds: (run) => {
        const value = uniqueId !== null
          ? uniqueId.expand(run)
          : run.named((header?.expand(run) ?? "message-id").toLowerCase())[0]?.text ?? "";
        if (value === "") return false;
        const id = JSON.stringify([handle?.expand(run) ?? "", header === null ? "" : "header", value]);
        const known = run.host.seen(id, last);
        if (run.remembered.length < run.limits.actions) run.remembered.push({ id, seconds });
        return known;
      },
    };
  },
};

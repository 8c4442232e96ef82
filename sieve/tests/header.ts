/** Tests of the header and the envelope: header, address, exists, envelope, size (RFC 5228 5.). */
import { ADDRESS_PART_TAGS, addressPartOf, envelopeMailbox } from "../address_part.ts";
import { fieldSource, fieldTexts, INDEX_TAGS, isFieldName, MIME_TAGS, MIME_VALUE_TAGS } from "../fields.ts";
import { has, numberOf, type TestSpec, textsAt } from "../grammar.ts";
import { MATCH_TAGS, matcherOf } from "../match.ts";

/** RFC 5228 5.1: fields in which addresses are looked for; others match nothing. */
const ADDRESS_FIELDS: ReadonlySet<string> = new Set([
  ...["from", "to", "cc", "bcc", "sender", "reply-to", "resent-from", "resent-to", "resent-cc", "resent-bcc"],
  ...["resent-sender", "resent-reply-to", "return-path", "delivered-to", "x-original-to", "envelope-to"],
  ...["disposition-notification-to", "mail-followup-to", "errors-to", "apparently-to", "for-approval"],
]);

export const header: TestSpec = {
  tags: { ...MATCH_TAGS, ...INDEX_TAGS, ...MIME_TAGS, ...MIME_VALUE_TAGS },
  positional: ["strings", "strings"],
  compile(call) {
    const names = textsAt(call, 0);
    checkNames(call, names);
    const source = fieldSource(call, names);
    const texts = fieldTexts(call);
    const matches = matcherOf(call, textsAt(call, 1));
    return { holds: (run) => matches(run, texts(run, source(run))) };
  },
};

export const address: TestSpec = {
  tags: { ...MATCH_TAGS, ...ADDRESS_PART_TAGS, ...INDEX_TAGS, ...MIME_TAGS },
  positional: ["strings", "strings"],
  compile(call) {
    const names = textsAt(call, 0);
    for (const { constant, at } of names) {
      if (constant !== null && !ADDRESS_FIELDS.has(constant.toLowerCase())) {
        call.place.fault(at, `"${constant}" is no field with addresses`);
      }
    }
    const source = fieldSource(call, names);
    const part = addressPartOf(call);
    const matches = matcherOf(call, textsAt(call, 1));
    return {
      holds: (run) => {
        const values: string[] = [];
        for (const { mailboxes } of source(run)) {
          for (const mailbox of mailboxes) {
            const value = part(run, mailbox);
            if (value !== null) values.push(value);
          }
        }
        return matches(run, values);
      },
    };
  },
};

export const exists: TestSpec = {
  tags: MIME_TAGS,
  positional: ["strings"],
  compile(call) {
    const names = textsAt(call, 0);
    checkNames(call, names);
    const sources = names.map((name) => fieldSource(call, [name]));
    return { holds: (run) => sources.every((source) => source(run).length > 0) };
  },
};

export const envelope: TestSpec = {
  extensions: ["envelope"],
  tags: { ...MATCH_TAGS, ...ADDRESS_PART_TAGS },
  positional: ["strings", "strings"],
  compile(call) {
    const parts = textsAt(call, 0);
    for (const { constant, at } of parts) {
      if (constant !== null && !["from", "to"].includes(constant.toLowerCase())) {
        call.place.fault(at, `the envelope has no "${constant}"`);
      }
    }
    const part = addressPartOf(call);
    const matches = matcherOf(call, textsAt(call, 1));
    return {
      holds: (run) => {
        const { envelope } = run.host;
        const values: string[] = [];
        for (const text of parts) {
          const name = text.expand(run).toLowerCase();
          const address = name === "from" ? envelope.from : name === "to" ? envelope.to : null;
          const value = address === null ? null : part(run, envelopeMailbox(address));
          if (value !== null) values.push(value);
        }
        return matches(run, values);
      },
    };
  },
};

export const size: TestSpec = {
  tags: { over: { group: "size" }, under: { group: "size" } },
  positional: ["number"],
  compile(call) {
    const over = has(call, "over");
    if (!over && !has(call, "under")) call.place.fault(call.at, "size needs :over or :under");
    const limit = numberOf(call.positional[0])!;
    return {
      holds: ({ message: { sizeOctets } }) => over ? sizeOctets > limit : sizeOctets < limit,
    };
  },
};

function checkNames(
  { place }: Parameters<TestSpec["compile"]>[0],
  names: ReturnType<typeof textsAt>,
): void {
  for (const { constant, at } of names) {
    if (constant !== null && !isFieldName(constant)) place.fault(at, `"${constant}" is no name of a field`);
  }
}

/**
 * Header fields that the operator looks for: each field, unfolded, is held against regular expressions (patterns.ts) as
 * `Name: value`, with encoded words (RFC 2047) decoded; the first that fits decides. `strip` takes such fields out instead.
 *
 * Limit: {@linkcode MAX_HEADER_OCTETS} of the header are looked at.
 */
import { latin1 } from "../../bytes/decode.ts";
import { decodeHeaderText } from "../../message/encoded_word.ts";
import { type FieldSpan, fieldValue, scanFields } from "../../message/header.ts";
import type { Check, CheckFacts } from "../check.ts";
import type { MessageChanges } from "../message_source.ts";
import type { PatternEngine } from "../patterns.ts";
import { type Action, CONTINUE, type Verdict } from "../verdict.ts";

export const MAX_HEADER_OCTETS = 256 * 1024;

export interface HeaderOptions {
  readonly name: string;
  readonly action: Exclude<Action, "continue" | "accept">;
  /** Fields that fit are taken out, and the message goes on. */
  readonly strip: boolean;
  readonly patterns: readonly string[];
  /** What the client hears; "" has usual words. */
  readonly text: string;
}

export function header(options: HeaderOptions, engine: PatternEngine | null): Check {
  const { name, action, strip, text } = options;
  if (engine === null) throw new Error("patterns without their engine");
  const patterns = options.patterns.map((source) => ({ source, matches: engine(source) }));
  const patternOf = (block: Uint8Array, field: FieldSpan) => {
    const written = latin1(block, field.start, field.start + field.name.length);
    const line = `${written}: ${decodeHeaderText(fieldValue(block, field))}`;
    return patterns.find(({ matches }) => matches(line))?.source;
  };
  const judge = (block: Uint8Array, { changes }: CheckFacts): Verdict => {
    const fields = scanFields(block, 0, block.length);
    if (strip) {
      return stripped(fields.filter((field) => patternOf(block, field) !== undefined), fields, changes);
    }
    for (const field of fields) {
      const source = patternOf(block, field);
      if (source === undefined) continue;
      const reason = `the field ${field.name} matches ${source}`;
      if (text === "" || (action !== "reject" && action !== "defer")) return { action, reason };
      const reply = action === "defer"
        ? { code: 451, enhanced: "4.7.1", text }
        : { code: 550, enhanced: "5.7.1", text };
      return { action, reason, reply };
    }
    return CONTINUE;
  };
  return {
    name,
    stages: ["message"],
    run(facts) {
      const { message } = facts;
      if (message === null) return CONTINUE;
      const octets = Math.min(message.headerOctets, MAX_HEADER_OCTETS);
      const held = message.held(0, octets);
      return held !== null
        ? judge(held, facts)
        : message.read(0, octets).then((block) => judge(block, facts));
    },
  };
}

/** Each change counts the fields of its name that are left (message_source.ts). */
function stripped(
  found: readonly FieldSpan[],
  fields: readonly FieldSpan[],
  changes: MessageChanges | null,
): Verdict {
  if (found.length === 0 || changes === null) return CONTINUE;
  const gone = new Map<string, number>();
  for (const field of found) {
    const { name } = field;
    const before = gone.get(name) ?? 0;
    const same = fields.filter((one) => one.name === name);
    changes.add({ kind: "change", index: same.indexOf(field) + 1 - before, name, value: "" });
    gone.set(name, before + 1);
  }
  return { action: "tag", reason: `taken out: ${[...gone.keys()].join(", ")}`, points: 0 };
}

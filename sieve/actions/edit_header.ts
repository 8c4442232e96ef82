/**
 * addheader and deleteheader (RFC 5293). Later tests and actions see the changed header; what was filed before does not.
 *
 * 6.: `Received` and `Auto-Submitted` stay, and so do the fields by which loops are seen; such attempts do nothing.
 */
import { encodeHeaderText } from "../../message/encoded_word.ts";
import { choose, isFieldName, occurrenceOf } from "../fields.ts";
import { type Call, type CommandSpec, has, textAt, textsAt } from "../grammar.ts";
import { MATCH_TAGS, matcherOf } from "../match.ts";
import { HeaderField } from "../message_view.ts";
import { type Run, ScriptError } from "../run.ts";
import type { Text } from "../text.ts";

const KEPT: ReadonlySet<string> = new Set(["received", "auto-submitted", "delivered-to", "return-path"]);
const MAX_VALUE = 8_000;

function nameOf(call: Call): { text: Text; name: (run: Run) => string } {
  const text = textAt(call, 0);
  if (text.constant !== null && !isFieldName(text.constant)) {
    call.place.fault(text.at, "this is no name of a field");
  }
  const name = (run: Run) => {
    const value = text.expand(run);
    if (!isFieldName(value)) throw new ScriptError("this is no name of a field");
    return value;
  };
  return { text, name };
}

export const addheader: CommandSpec = {
  extensions: ["editheader"],
  tags: { last: {} },
  positional: ["string", "string"],
  compile(call) {
    const { name } = nameOf(call);
    const value = textAt(call, 1);
    const last = has(call, "last");
    return (run) => {
      const written = name(run);
      const folded = written.toLowerCase();
      const text = value.expand(run).replace(/[\r\n\0]+/g, " ").trim();
      if (text.length > MAX_VALUE) throw new ScriptError(`a field of more than ${MAX_VALUE} characters`);
      if (KEPT.has(folded)) return;
      if (++run.addedFields > run.limits.addedFields) {
        throw new ScriptError(`more than ${run.limits.addedFields} added fields`);
      }
      const field = new HeaderField(folded, encodeHeaderText(text), null, written);
      run.header = last ? [...run.fields, field] : [field, ...run.fields];
      run.trace.push(`addheader "${written}"`);
    };
  },
};

export const deleteheader: CommandSpec = {
  extensions: ["editheader"],
  tags: { ...MATCH_TAGS, index: { value: "number" }, last: {} },
  positional: ["string", "strings"],
  optionalLast: 1,
  compile(call) {
    const { name } = nameOf(call);
    const occurrence = occurrenceOf(call);
    const patterns = call.positional.length === 2 ? textsAt(call, 1) : null;
    const matches = patterns === null ? null : matcherOf(call, patterns);
    return (run) => {
      const folded = name(run).toLowerCase();
      if (KEPT.has(folded)) return;
      const named = run.fields.filter((field) => field.name === folded);
      const gone = new Set(
        choose(named, occurrence).filter((field) => matches === null || matches(run, [field.text])),
      );
      if (gone.size === 0) return;
      run.header = run.fields.filter((field) => !gone.has(field));
      run.trace.push(`deleteheader "${folded}"`);
    };
  },
};

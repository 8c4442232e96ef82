/** What the script keeps for itself: set (RFC 5229), setflag, addflag, removeflag (RFC 5232), extracttext (RFC 5703 7.). */
import { flagsOf, splitFlags } from "../flags.ts";
import {
  type Call,
  type CommandSpec,
  constantAt,
  has,
  tagNumber,
  type TagSpecs,
  textAt,
  textsAt,
} from "../grammar.ts";
import { type Run, ScriptError } from "../run.ts";
import { variableName } from "../text.ts";

/** By RFC 5229 4.1, the largest precedence first; RFC 5435 6. adds :encodeurl, the draft of regex :quoteregex. */
const MODIFIERS: readonly (readonly [string, (text: string) => string])[] = [
  ["lower", (text) => text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase())],
  ["upper", (text) => text.replace(/[a-z]+/g, (letters) => letters.toUpperCase())],
  ["lowerfirst", (text) => text.replace(/^[A-Z]/, (letter) => letter.toLowerCase())],
  ["upperfirst", (text) => text.replace(/^[a-z]/, (letter) => letter.toUpperCase())],
  ["quotewildcard", (text) => text.replace(/[*?\\]/g, "\\$&")],
  ["quoteregex", (text) => text.replace(/[.^$*+?()[\]{}|\\]/g, "\\$&")],
  ["encodeurl", (text) => encodeURIComponent(text.toWellFormed()).replace(/[!'()*]/g, percent)],
  ["length", (text) => String([...text].length)],
];

const MODIFIER_TAGS: TagSpecs = {
  lower: { group: "40" },
  upper: { group: "40" },
  lowerfirst: { group: "30" },
  upperfirst: { group: "30" },
  quotewildcard: { group: "20" },
  quoteregex: { group: "20", extension: "regex" },
  encodeurl: { group: "15", extension: "enotify" },
  length: { group: "10" },
};

function percent(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
}

function modifiersOf(call: Call): (text: string) => string {
  const chosen = MODIFIERS.filter(([name]) => has(call, name)).map(([, modify]) => modify);
  return (text) => chosen.reduce((value, modify) => modify(value), text);
}

/** The name of a variable that is written; "" and a fault when it is none. */
function targetOf(call: Call, index: number): string {
  const text = textAt(call, index);
  const name = variableName(constantAt(call, text), call.place.namespaces);
  if (name === null) call.place.fault(text.at, "this is no name of a variable");
  return name ?? "";
}

export const set: CommandSpec = {
  extensions: ["variables"],
  tags: MODIFIER_TAGS,
  positional: ["string", "string"],
  compile(call) {
    const name = targetOf(call, 0);
    const value = textAt(call, 1);
    const modify = modifiersOf(call);
    return (run) => run.setVariable(name, modify(value.expand(run)));
  },
};

export const extracttext: CommandSpec = {
  extensions: ["extracttext"],
  tags: { ...MODIFIER_TAGS, first: { value: "number" } },
  positional: ["string"],
  compile(call) {
    if (!call.place.enabled("variables")) call.place.fault(call.at, 'extracttext needs require "variables"');
    const name = targetOf(call, 0);
    const first = tagNumber(call, "first");
    const modify = modifiersOf(call);
    call.place.needBody();
    return (run) => {
      const part = run.parts[run.parts.length - 1];
      if (part === undefined) throw new ScriptError("extracttext outside of a loop");
      const text = part.type === "text" ? part.text() : "";
      const most = Math.min(first ?? run.limits.valueCharacters, run.limits.valueCharacters);
      run.setVariable(name, modify([...text.slice(0, 2 * most)].slice(0, most).join("")));
    };
  },
};

type Change = (before: readonly string[], given: readonly string[]) => string[];

function changesFlags(change: Change): CommandSpec {
  return {
    extensions: ["imap4flags"],
    positional: ["string", "strings"],
    optional: 1,
    compile(call) {
      const named = call.positional.length === 2;
      if (named && !call.place.enabled("variables")) {
        call.place.fault(textAt(call, 0).at, 'names of variables need require "variables"');
      }
      const name = named ? targetOf(call, 0) : null;
      const texts = textsAt(call, named ? 1 : 0);
      return (run: Run) => {
        const given = splitFlags(texts.map((text) => text.expand(run)));
        if (name === null) run.flags = change(flagsOf(run), given);
        else run.setVariable(name, change(splitFlags([run.variable(name)]), given).join(" "));
      };
    },
  };
}

export const setflag = changesFlags((_, given) => [...given]);
export const addflag = changesFlags((before, given) => splitFlags([...before, ...given]));
export const removeflag = changesFlags((before, given) => {
  const gone = new Set(given.map((flag) => flag.toLowerCase()));
  return before.filter((flag) => !gone.has(flag.toLowerCase()));
});

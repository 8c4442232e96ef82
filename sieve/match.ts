/**
 * Match types and comparators as every test that compares has them (RFC 5228 2.7, RFC 5231, draft-ietf-sieve-regex,
 * RFC 6134 2.2): the tags, and the matcher they make. Hot: bench/micro/sieve_bench.ts.
 */
import { ASCII_CASEMAP, type Comparator, COMPARATORS } from "./comparator.ts";
import { type Call, constantAt, has, type TagSpecs, tagText } from "./grammar.ts";
import { type Glob, matchGlob, parseGlob } from "./glob.ts";
import { type Expression, isRegexFault } from "./regex.ts";
import { type Run, ScriptError } from "./run.ts";
import type { Text } from "./text.ts";

export const MATCH_TAGS: TagSpecs = {
  is: { group: "match" },
  contains: { group: "match" },
  matches: { group: "match" },
  regex: { group: "match", extension: "regex" },
  list: { group: "match", extension: "extlists" },
  count: { group: "match", extension: "relational", value: "string" },
  value: { group: "match", extension: "relational", value: "string" },
  comparator: { value: "string" },
};

/** True where one of the values matches one of the keys. */
export type Matcher = (run: Run, values: readonly string[]) => boolean;

type Compare = (value: string) => boolean;
const RELATIONS: Readonly<Record<string, (difference: number) => boolean>> = {
  gt: (difference) => difference > 0,
  ge: (difference) => difference >= 0,
  lt: (difference) => difference < 0,
  le: (difference) => difference <= 0,
  eq: (difference) => difference === 0,
  ne: (difference) => difference !== 0,
};
/** Characters of a value that is searched, in units of one step. */
const CHARACTERS_PER_STEP = 4_096;
/** The same for the product of value and pattern. */
const PRODUCT_PER_STEP = 65_536;
/** Characters of a value for an expression, which is slower than the rest. */
const CHARACTERS_PER_REGEX_STEP = 8;

export function matcherOf(call: Call, keys: readonly Text[]): Matcher {
  const comparator = comparatorOf(call);
  if (has(call, "contains")) return substrings(call, { keys, comparator });
  if (has(call, "matches")) return globs(call, { keys, comparator });
  if (has(call, "regex")) return expressions(call, { keys, comparator });
  if (has(call, "list")) return lists(keys);
  if (has(call, "count")) return counts(keys, { comparator, relation: relationOf(call, "count") });
  if (has(call, "value")) {
    const relation = relationOf(call, "value");
    return (run, values) =>
      someKey(run, { keys, values }, (value, key) => relation(comparator.compare(value, key)));
  }
  return equals(keys, comparator);
}

function comparatorOf(call: Call): Comparator {
  const named = tagText(call, "comparator");
  if (named === null) return ASCII_CASEMAP;
  const name = constantAt(call, named);
  const comparator = COMPARATORS.get(name);
  if (comparator === undefined) {
    call.place.fault(named.at, `there is no comparator "${name}"`);
    return ASCII_CASEMAP;
  }
  // RFC 5228 2.7.3: these two are always there.
  const always = name === "i;octet" || name === "i;ascii-casemap";
  if (!always && !call.place.enabled(`comparator-${name}`)) {
    call.place.fault(named.at, `comparator "${name}" needs require "comparator-${name}"`);
  }
  return comparator;
}

function relationOf(call: Call, tag: "count" | "value"): (difference: number) => boolean {
  const text = tagText(call, tag)!;
  const name = constantAt(call, text).toLowerCase();
  const relation = Object.hasOwn(RELATIONS, name) ? RELATIONS[name] : undefined;
  if (relation === undefined) {
    call.place.fault(text.at, `"${name}" is none of ${Object.keys(RELATIONS).join(", ")}`);
  }
  return relation ?? RELATIONS.eq!;
}

function someKey(
  run: Run,
  { keys, values }: { readonly keys: readonly Text[]; readonly values: readonly string[] },
  matches: (value: string, key: string) => boolean,
): boolean {
  for (const key of keys) {
    const text = key.constant ?? key.expand(run);
    for (const value of values) {
      run.spend();
      if (matches(value, text)) return true;
    }
  }
  return false;
}

function equals(keys: readonly Text[], comparator: Comparator): Matcher {
  const { key } = comparator;
  if (keys.every(({ constant }) => constant !== null)) {
    const wanted = new Set(keys.map(({ constant }) => key(constant!)));
    return (run, values) => {
      for (const value of values) {
        run.spend(1 + Math.floor(value.length / CHARACTERS_PER_STEP));
        if (wanted.has(run.key(comparator, value))) return true;
      }
      return false;
    };
  }
  return (run, values) =>
    someKey(run, { keys, values }, (value, text) => run.key(comparator, value) === key(text));
}

interface Substring {
  readonly keys: readonly Text[];
  readonly comparator: Comparator;
}

function needsSubstrings(call: Call, { name, substrings }: Comparator): void {
  if (!substrings) call.place.fault(call.at, `comparator "${name}" only compares whole values`);
}

function substrings(call: Call, { keys, comparator }: Substring): Matcher {
  needsSubstrings(call, comparator);
  const { key } = comparator;
  const folded = keys.map(({ constant }) => constant === null ? null : key(constant));
  return (run, values) => {
    for (const value of values) {
      run.spend(1 + Math.floor(value.length / CHARACTERS_PER_STEP) * keys.length);
      const text = run.key(comparator, value);
      for (let i = 0; i < keys.length; i++) {
        if (text.includes(folded[i] ?? key(keys[i]!.expand(run)))) return true;
      }
    }
    return false;
  };
}

function globs(call: Call, { keys, comparator }: Substring): Matcher {
  needsSubstrings(call, comparator);
  const captures = call.place.enabled("variables");
  const { key } = comparator;
  const parsed = keys.map(({ constant }) => constant === null ? null : parseGlob(key(constant)));
  return (run, values) => {
    for (const value of values) {
      const text = run.key(comparator, value);
      for (let i = 0; i < keys.length; i++) {
        const glob: Glob = parsed[i] ?? parseGlob(key(keys[i]!.expand(run)));
        run.spend(1 + Math.floor(text.length * glob.size / PRODUCT_PER_STEP));
        // A comparator that changes lengths gives what it compares.
        const found = matchGlob(glob, text, text.length === value.length ? value : text);
        if (found === null) continue;
        if (captures) run.matched = [value, ...found];
        return true;
      }
    }
    return false;
  };
}

function expressions(call: Call, { keys, comparator }: Substring): Matcher {
  needsSubstrings(call, comparator);
  const { regex } = call.place;
  if (regex === null) {
    call.place.fault(call.at, "regular expressions are not at hand");
    return () => false;
  }
  const captures = call.place.enabled("variables");
  const options = { foldsCase: comparator.foldsCase };
  const compiled = keys.map((key): Expression | null => {
    if (key.constant === null) return null;
    const result = regex.compile(key.constant, options);
    if (!isRegexFault(result)) return result;
    call.place.fault(call.place.inString(key.at, result.offset), result.text);
    return () => null;
  });
  return (run, values) => {
    for (let i = 0; i < keys.length; i++) {
      let expression = compiled[i] ?? null;
      if (expression === null) {
        const result = regex.compile(keys[i]!.expand(run), options);
        if (isRegexFault(result)) throw new ScriptError(result.text);
        run.spend(10);
        expression = result;
      }
      for (const value of values) {
        run.spend(1 + Math.floor(value.length / CHARACTERS_PER_REGEX_STEP));
        const found = expression(value);
        if (found === null) continue;
        if (captures) run.matched = found;
        return true;
      }
    }
    return false;
  };
}

/** RFC 6134 2.2: the keys are names of lists. */
function lists(keys: readonly Text[]): Matcher {
  return (run, values) =>
    someKey(run, { keys, values }, (value, list) => {
      const answer = run.host.listHas(list, value);
      if (answer === null) throw new ScriptError(`there is no list "${list}"`);
      return answer;
    });
}

/** RFC 5231 4.2: the number of values, in decimal. */
function counts(
  keys: readonly Text[],
  { comparator, relation }: { comparator: Comparator; relation: (difference: number) => boolean },
): Matcher {
  return (run, values) => {
    const count = String(values.length);
    return keys.some((key) => relation(comparator.compare(count, key.expand(run))));
  };
}

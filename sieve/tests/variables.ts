/** string (RFC 5229 5.) and hasflag (RFC 5232 4.): tests of what the script itself holds. */
import { flagsOf, splitFlags } from "../flags.ts";
import { type TestSpec, textsAt } from "../grammar.ts";
import { MATCH_TAGS, matcherOf } from "../match.ts";

export const string: TestSpec = {
  extensions: ["variables"],
  tags: MATCH_TAGS,
  positional: ["strings", "strings"],
  compile(call) {
    const sources = textsAt(call, 0);
    const matches = matcherOf(call, textsAt(call, 1));
    const counts = call.tags.has("count");
    return {
      holds: (run) => {
        const values = sources.map((source) => source.expand(run));
        // RFC 5229 5.: empty strings are not counted.
        return matches(run, counts ? values.filter((value) => value !== "") : values);
      },
    };
  },
};

export const hasflag: TestSpec = {
  extensions: ["imap4flags"],
  tags: MATCH_TAGS,
  positional: ["strings", "strings"],
  optional: 1,
  compile(call) {
    const named = call.positional.length === 2;
    const variables = named ? textsAt(call, 0) : [];
    if (named && !call.place.enabled("variables")) {
      call.place.fault(variables[0]?.at ?? call.at, 'names of variables need require "variables"');
    }
    const matches = matcherOf(call, textsAt(call, named ? 1 : 0));
    return {
      holds: (run) =>
        matches(
          run,
          named
            ? variables.flatMap((text) => splitFlags([run.variable(text.expand(run).toLowerCase())]))
            : flagsOf(run),
        ),
    };
  },
};

/** Tests of tests (RFC 5228 5.2, 5.3, 5.8, 5.10) and ihave (RFC 5463 4.). */
import { withImplied } from "../extensions.ts";
import { constantAt, type TestSpec, textsAt } from "../grammar.ts";
import type { Test } from "../run.ts";

function known(value: boolean | undefined): Pick<Test, "known"> {
  return value === undefined ? {} : { known: value };
}

export const allof: TestSpec = {
  tests: "some",
  compile({ tests }) {
    const answers = tests.map((test) => test.known);
    return {
      ...known(answers.includes(false) ? false : answers.includes(undefined) ? undefined : true),
      holds: (run) => tests.every((test) => test.holds(run)),
    };
  },
};

export const anyof: TestSpec = {
  tests: "some",
  compile({ tests }) {
    const answers = tests.map((test) => test.known);
    return {
      ...known(answers.includes(true) ? true : answers.includes(undefined) ? undefined : false),
      holds: (run) => tests.some((test) => test.holds(run)),
    };
  },
};

export const not: TestSpec = {
  tests: "one",
  compile({ tests: [test] }) {
    const answer = test!.known;
    return { ...known(answer === undefined ? undefined : !answer), holds: (run) => !test!.holds(run) };
  },
};

export const alwaysTrue: TestSpec = { compile: () => ({ known: true, holds: () => true }) };
export const alwaysFalse: TestSpec = { compile: () => ({ known: false, holds: () => false }) };

export const ihave: TestSpec = {
  extensions: ["ihave"],
  positional: ["strings"],
  compile(call) {
    const names = textsAt(call, 0).map((text) => constantAt(call, text));
    const all = names.every((name) => withImplied(name) !== null);
    if (all) call.place.enable(names);
    return { known: all, holds: () => all };
  },
};

import type { Signal } from "../signal.ts";

export const technical: Signal = {
  name: "technical",
  weight: -0.6,
  explain: "it holds code or a patch",
  find: ({ mail }) =>
    mail.plain.some((text) =>
      /^(?:diff |@@ |\+\+\+ |--- )|^\s*(?:#include|if \(|for \(|return |def |sub |int |void )|\w+\(\);|^\$ \w+/m
        .test(text.slice(0, 30_000))
    ),
};

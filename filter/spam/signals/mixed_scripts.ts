import type { Signal } from "../signal.ts";

export const mixedScripts: Signal = {
  name: "mixed-scripts",
  weight: 2,
  explain: "words mix letters of two scripts",
  find: ({ mail }) => {
    const found = mail.text.slice(0, 50_000).match(
      /[a-z][\u0370-\u03ff\u0400-\u04ff]+[a-z]|[\u0400-\u04ff][a-z]+[\u0400-\u04ff]/gi,
    );
    return Math.min(1, (found?.length ?? 0) / 2);
  },
};

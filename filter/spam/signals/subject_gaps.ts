import type { Signal } from "../signal.ts";

export const subjectGaps: Signal = {
  name: "subject-gaps",
  weight: 0.8,
  explain: "letters of its subject are set apart",
  find: ({ mail: { subject } }) => /(?:\b\w[ .*_-]){4,}/.test(subject),
};

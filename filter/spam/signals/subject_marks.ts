import type { Signal } from "../signal.ts";

export const subjectMarks: Signal = {
  name: "subject-marks",
  weight: 0.9,
  explain: "its subject has exclamation marks or money in it",
  find: ({ mail: { subject } }) =>
    (subject.includes("!") ? 0.5 : 0) + (/[$£€]\s?\d|\d\s?[$£€]|!\s*!/.test(subject) ? 0.5 : 0),
};

import type { Signal } from "../signal.ts";

export const subjectSerial: Signal = {
  name: "subject-serial",
  weight: 2,
  explain: "its subject ends in a number of its own behind a gap",
  find: ({ mail: { subject } }) => /\s{3,}\S*\w{3,}\S*$|\s{2,}\d{3,}$/.test(subject.trim()),
};

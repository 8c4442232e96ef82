import type { Signal } from "../signal.ts";

export const subjectMissing: Signal = {
  name: "subject-missing",
  weight: 0.8,
  explain: "it has no subject",
  find: ({ mail }) => mail.subject.trim() === "",
};

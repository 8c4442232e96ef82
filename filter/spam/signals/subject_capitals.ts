import type { Signal } from "../signal.ts";

export const subjectCapitals: Signal = {
  name: "subject-capitals",
  weight: 1,
  explain: "its subject shouts in capitals",
  find: ({ mail: { subject } }) => {
    const letters = subject.replace(/[^a-zA-Z]/g, "");
    return letters.length >= 8 && letters.replace(/[^A-Z]/g, "").length / letters.length > 0.8;
  },
};

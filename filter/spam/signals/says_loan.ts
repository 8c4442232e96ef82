import { Phrases } from "../phrases.ts";
import type { Signal } from "../signal.ts";

const LOANS = new Phrases(
  /mortgage|refinanc|interest rates?|debts?\b|credit (?:report|history|rating|problems)|bad credit|loans?\b|life insurance|lenders?\b/gi,
);

export const saysLoan: Signal = {
  name: "says-loan",
  weight: 1.6,
  explain: "it offers loans, debts or insurance",
  find: ({ mail }) => Math.min(1, LOANS.count(mail) / 3),
};

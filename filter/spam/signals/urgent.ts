import type { Signal } from "../signal.ts";

export const urgent: Signal = {
  name: "urgent",
  weight: 0.6,
  explain: "it calls itself urgent",
  find: ({ mail }) =>
    /^\s*[12]\b|high|urgent/i.test(`${mail.first("x-priority")} ${mail.first("importance")}`),
};

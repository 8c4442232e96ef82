import type { Signal } from "../signal.ts";

export const noDate: Signal = {
  name: "no-date",
  weight: 1.5,
  explain: "it has no Date",
  find: ({ mail }) => !mail.has("date"),
};

import type { Signal } from "../signal.ts";

export const dateAhead: Signal = {
  name: "date-ahead",
  weight: 1.8,
  explain: "it says that it comes from the future",
  find: ({ mail: { sentAtMs, receivedAtMs } }) =>
    sentAtMs !== null && receivedAtMs !== null && sentAtMs - receivedAtMs > 6 * 3_600_000,
};

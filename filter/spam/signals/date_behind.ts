import type { Signal } from "../signal.ts";

export const dateBehind: Signal = {
  name: "date-behind",
  weight: 0.8,
  explain: "it says that it was written days before it came",
  find: ({ mail: { sentAtMs, receivedAtMs } }) =>
    sentAtMs !== null && receivedAtMs !== null && receivedAtMs - sentAtMs > 4 * 86_400_000,
};

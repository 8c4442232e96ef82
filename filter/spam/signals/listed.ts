import type { Signal } from "../signal.ts";

export const listed: Signal = {
  name: "listed",
  weight: 4,
  explain: "lists of unwanted or wanted senders speak about it",
  find: ({ around }) => {
    const points = (around?.tags ?? []).reduce((sum, tag) => sum + tag.points, 0);
    return Math.max(-1, Math.min(1, points / 4));
  },
};

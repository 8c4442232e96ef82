import type { Signal } from "../signal.ts";

export const quoting: Signal = {
  name: "quoting",
  weight: -0.8,
  explain: "it quotes what it answers",
  find: ({ mail }) => mail.plain.some((text) => (text.match(/^>/gm)?.length ?? 0) > 1),
};

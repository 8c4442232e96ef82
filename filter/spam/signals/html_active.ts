import type { Signal } from "../signal.ts";

export const htmlActive: Signal = {
  name: "html-active",
  weight: 1,
  explain: "its HTML holds scripts or frames",
  find: ({ mail }) => mail.html.some(({ scripts, frames, refresh }) => scripts + frames > 0 || refresh),
};

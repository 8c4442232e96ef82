import type { Signal } from "../signal.ts";

export const loudHtml: Signal = {
  name: "loud-html",
  weight: 0.8,
  explain: "it is set in loud letters",
  find: ({ mail }) =>
    Math.min(
      1,
      mail.html.reduce((sum, { markup }) =>
        sum + markup.filter((mark) =>
          /^font (?:size \+?[4-7]|color (?:#?ff0000|red|#?0000ff|blue|#?ff00ff))/.test(mark)
        ).length, 0) / 3,
    ),
};

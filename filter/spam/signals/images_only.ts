import type { Signal } from "../signal.ts";

export const imagesOnly: Signal = {
  name: "images-only",
  weight: 1.2,
  explain: "it shows pictures in place of text",
  find: ({ mail }) =>
    mail.html.some(({ images, text }) => images.length > 0 && text.replace(/\s+/g, "").length < 200),
};

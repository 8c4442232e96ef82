import type { Signal } from "../signal.ts";

export const watchedImages: Signal = {
  name: "watched-images",
  weight: 0.7,
  explain: "a picture in it tells its sender who looks",
  find: ({ mail }) =>
    mail.html.some(({ images }) =>
      images.some((source) => /^https?:[^?]*\?.*(?:@|[0-9a-f]{8}|\d{5})/i.test(source))
    ),
};

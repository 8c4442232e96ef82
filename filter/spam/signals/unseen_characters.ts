import type { Signal } from "../signal.ts";

export const unseenCharacters: Signal = {
  name: "unseen-characters",
  weight: 1.2,
  explain: "its text holds characters that cannot be seen",
  find: ({ mail }) =>
    Math.min(
      1,
      (mail.text.slice(0, 50_000).match(/[\u200b-\u200f\u202a-\u202e\u2060-\u2064\u00ad]/g)?.length ?? 0) / 5,
    ),
};

import type { Signal } from "../signal.ts";

export const provenAuthor: Signal = {
  name: "proven-author",
  weight: -0.5,
  explain: "its author is who it says",
  find: ({ around }) => around?.aligned === true,
};

import type { Signal } from "../signal.ts";
import { lookalike } from "../domains.ts";

export const linkLookalike: Signal = {
  name: "link-lookalike",
  weight: 2,
  explain: "a link leads to a name that looks like another",
  find: ({ mail }) => mail.links.some(({ host }) => lookalike(host)),
};

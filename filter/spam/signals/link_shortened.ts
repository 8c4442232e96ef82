import type { Signal } from "../signal.ts";
import { SHORTENERS } from "../domains.ts";

export const linkShortened: Signal = {
  name: "link-shortened",
  weight: 0.6,
  explain: "a link goes by a shortener",
  find: ({ mail }) => mail.links.some(({ host }) => SHORTENERS.has(host)),
};

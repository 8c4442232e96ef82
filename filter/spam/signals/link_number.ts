import type { Signal } from "../signal.ts";
import { isAddress } from "../link.ts";

export const linkNumber: Signal = {
  name: "link-number",
  weight: 1.8,
  explain: "a link leads to a bare number",
  find: ({ mail }) => mail.links.some(({ host }) => isAddress(host)),
};

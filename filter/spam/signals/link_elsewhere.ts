import type { Signal } from "../signal.ts";
import { related } from "../domains.ts";

export const linkElsewhere: Signal = {
  name: "link-elsewhere",
  weight: 1.8,
  explain: "a link shows one address and leads to another",
  find: ({ mail }) =>
    mail.links.some(({ text, host }) => {
      const shown =
        /^\s*(?:https?:\/\/)?((?:[a-z0-9-]+\.)+[a-z]{2,})(?:[/:?\s]|$)/i.exec(text)?.[1]?.toLowerCase() ?? "";
      return shown !== "" && host !== "" && !related(shown, host);
    }),
};

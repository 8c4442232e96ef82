import type { Signal } from "../signal.ts";
import { related } from "../domains.ts";
import { isList } from "../kinds.ts";
import { addressOf } from "../mail.ts";

export const pathElsewhere: Signal = {
  name: "path-elsewhere",
  weight: 0.4,
  explain: "it was sent for another domain than its author is of",
  find: ({ mail, around }) => {
    const path = around === null
      ? addressOf(mail.first("return-path")).domain
      : addressOf(`<${around.sender}>`).domain;
    return path !== "" && mail.from.domain !== "" && !related(path, mail.from.domain) && !isList(mail);
  },
};

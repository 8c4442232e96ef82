import { related } from "../domains.ts";
import { isList } from "../kinds.ts";
import type { Signal } from "../signal.ts";

export const replyElsewhere: Signal = {
  name: "reply-elsewhere",
  weight: 0.8,
  explain: "answers to it go to another domain",
  find: ({ mail }) => {
    const { from, replyTo } = mail;
    return replyTo.domain !== "" && from.domain !== "" && !related(replyTo.domain, from.domain) &&
      !isList(mail);
  },
};

import { isList } from "../kinds.ts";
import type { Signal } from "../signal.ts";

export const subjectAddressed: Signal = {
  name: "subject-addressed",
  weight: 0.8,
  explain: "its subject calls the recipient by the address",
  find: ({ mail }) => {
    const to = /[^<\s,;"]+@/.exec(mail.first("to"))?.[0].slice(0, -1).toLowerCase() ?? "";
    return to.length > 2 && !isList(mail) && mail.subject.toLowerCase().includes(to);
  },
};

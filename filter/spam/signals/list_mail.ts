import type { Signal } from "../signal.ts";
import { isList } from "../kinds.ts";

export const listMail: Signal = {
  name: "list-mail",
  weight: -0.8,
  explain: "a mailing list sent it, and says how to leave",
  find: ({ mail }) => isList(mail),
};

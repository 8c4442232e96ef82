import type { Signal } from "../signal.ts";

export const fromPretends: Signal = {
  name: "from-pretends",
  weight: 1.2,
  explain: "the name of its author is another address",
  find: ({ mail: { from } }) => {
    const shown = /[\w.+-]+@([\w-]+\.)+[a-z]{2,}/i.exec(from.name)?.[0].toLowerCase() ?? "";
    return shown !== "" && shown !== from.address;
  },
};

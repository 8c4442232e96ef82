import type { Signal } from "../signal.ts";
import { providerOf } from "../domains.ts";
import { isList } from "../kinds.ts";

export const providerNotSeen: Signal = {
  name: "provider-not-seen",
  weight: 1.6,
  explain: "it names an author at a large provider that had no part in it",
  find: ({ mail, around }) => {
    const provider = providerOf(mail.from.domain);
    if (provider === null || around?.aligned === true || isList(mail)) return false;
    return !mail.all("received").slice(0, 12).some((line) => line.toLowerCase().includes(provider)) &&
      !/yahoogroups|webtv/i.test(mail.from.domain);
  },
};

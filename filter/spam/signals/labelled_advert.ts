import type { Signal } from "../signal.ts";

/** Labels that laws of several countries ask of advertising. */
export const labelledAdvert: Signal = {
  name: "labelled-advert",
  weight: 2.5,
  explain: "its subject says that it is advertising",
  find: ({ mail }) =>
    /^\W*(?:adv?\b\s*[:\]-]|adult\b.{0,3}ad)|未承諾広告|광\s*고|廣告|【?广告/i.test(mail.subject),
};

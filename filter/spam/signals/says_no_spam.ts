import { isList } from "../kinds.ts";
import { Phrases } from "../phrases.ts";
import type { Signal } from "../signal.ts";

const DENIAL = new Phrases(
  /(?:is|are) not (?:a )?(?:spam|unsolicited)|cannot be considered spam|bill s\.? ?1618|section 301|you (?:are receiving|received|have received|received this) (?:this|e-?mail).{0,60}because|opted.?in|double opt/i,
);

export const saysNoSpam: Signal = {
  name: "says-no-spam",
  weight: 1.5,
  explain: "it says that it is not spam",
  find: ({ mail }) => DENIAL.standIn(mail) && !isList(mail),
};

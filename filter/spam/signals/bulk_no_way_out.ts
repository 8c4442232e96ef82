import { isList } from "../kinds.ts";
import { Phrases } from "../phrases.ts";
import type { Signal } from "../signal.ts";

const WAYS_OUT = new Phrases(
  /unsubscribe|opt.?out|remove[ds]? (?:from|your|you)|mailing list|abmelden|abbestellen|d[ée]sabonner/i,
);

export const bulkNoWayOut: Signal = {
  name: "bulk-no-way-out",
  weight: 0.9,
  explain: "it is mass mail without a way to unsubscribe that programs know",
  find: ({ mail }) =>
    !mail.has("list-unsubscribe") && !isList(mail) &&
    WAYS_OUT.standIn(mail),
};

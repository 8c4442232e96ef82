import type { Signal } from "../signal.ts";
import { isList } from "../kinds.ts";

export const bulkNoWayOut: Signal = {
  name: "bulk-no-way-out",
  weight: 0.9,
  explain: "it is mass mail without a way to unsubscribe that programs know",
  find: ({ mail }) =>
    !mail.has("list-unsubscribe") && !isList(mail) &&
    /unsubscribe|opt.?out|remove[ds]? (?:from|your|you)|mailing list|abmelden|abbestellen|d[ée]sabonner/i
      .test(mail.text),
};

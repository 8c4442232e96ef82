import type { Signal } from "../signal.ts";

export const noRecipient: Signal = {
  name: "no-recipient",
  weight: 1,
  explain: "it does not say to whom it is",
  find: ({ mail }) =>
    !mail.has("to") && !mail.has("cc") || /undisclosed|<>|recipients?\s*:/i.test(mail.first("to")),
};

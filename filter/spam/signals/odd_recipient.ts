import type { Signal } from "../signal.ts";

export const oddRecipient: Signal = {
  name: "odd-recipient",
  weight: 1,
  explain: "its To holds no address",
  find: ({ mail }) =>
    mail.has("to") && mail.first("to") !== "" && !/@|undisclosed|:\s*;/i.test(mail.first("to")),
};

import { isList } from "../kinds.ts";
import { isAddress } from "../link.ts";
import { numericHello } from "../received.ts";
import type { Signal } from "../signal.ts";

export const literalHello: Signal = {
  name: "literal-hello",
  weight: 1,
  explain: "it was handed over by a host that greets with a number",
  find: ({ mail, around }) =>
    around === null
      ? !isList(mail) && mail.all("received").slice(0, 4).some(numericHello)
      : isAddress(around.client.heloName),
};

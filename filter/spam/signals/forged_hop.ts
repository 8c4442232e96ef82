import type { Signal } from "../signal.ts";
import { forged } from "../received.ts";

export const forgedHop: Signal = {
  name: "forged-hop",
  weight: 1.5,
  explain: "the host that handed it over gave the name of another",
  find: ({ mail, around }) => around === null ? mail.all("received").slice(0, 3).some(forged) : false,
};

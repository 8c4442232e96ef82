import type { Signal } from "../signal.ts";
import { nameless } from "../received.ts";

export const namelessHop: Signal = {
  name: "nameless-hop",
  weight: 0.5,
  explain: "it was handed over by a host without a name",
  find: ({ mail, around }) =>
    around === null ? mail.all("received").slice(0, 3).some(nameless) : around.reverseName === "",
};

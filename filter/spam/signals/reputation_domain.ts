import { standing } from "../reputation.ts";
import type { Signal } from "../signal.ts";

export const reputationDomain: Signal = {
  name: "reputation-domain",
  weight: 1.5,
  explain: "past mail of its author's domain was kept or put into Junk by users",
  personal: true,
  find: ({ around }) => around === null ? 0 : standing(around.reputation.domain, around.aligned),
};

import { standing } from "../reputation.ts";
import type { Signal } from "../signal.ts";

export const reputationAddress: Signal = {
  name: "reputation-address",
  weight: 2.5,
  explain: "past mail of its author was kept or put into Junk by users",
  personal: true,
  find: ({ around }) => around === null ? 0 : standing(around.reputation.address, around.aligned),
};

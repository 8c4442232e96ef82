import { standing } from "../reputation.ts";
import type { Signal } from "../signal.ts";

export const reputationNetwork: Signal = {
  name: "reputation-network",
  weight: 1.5,
  explain: "past mail of the network it came from was kept or put into Junk by users",
  personal: true,
  find: ({ around }) => around === null ? 0 : standing(around.reputation.network, around.aligned),
};

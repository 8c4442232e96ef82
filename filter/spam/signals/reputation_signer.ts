import { standing } from "../reputation.ts";
import type { Signal } from "../signal.ts";

export const reputationSigner: Signal = {
  name: "reputation-signer",
  weight: 1.5,
  explain: "past mail of the domain that signed it was kept or put into Junk by users",
  personal: true,
  find: ({ around }) => around === null ? 0 : standing(around.reputation.signer, around.aligned),
};

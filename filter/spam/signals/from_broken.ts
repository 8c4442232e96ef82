import type { Signal } from "../signal.ts";

export const fromBroken: Signal = {
  name: "from-broken",
  weight: 1.5,
  explain: "its author has no usable address",
  find: ({ mail: { from } }) => !/^[^@\s]+@[^@\s]+\.[a-z0-9-]{2,}$/i.test(from.address),
};

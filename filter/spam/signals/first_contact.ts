import type { Signal } from "../signal.ts";

export const firstContact: Signal = {
  name: "first-contact",
  weight: 0.3,
  explain: "its author was never seen before",
  personal: true,
  find: ({ around }) => around?.firstContact === true && !around.known,
};

import type { Signal } from "../signal.ts";

export const pathRefused: Signal = {
  name: "path-refused",
  weight: 1,
  explain: "the domain it was sent for does not know the host that sent it",
  find: ({ around }) => around?.spf === "fail" ? 1 : around?.spf === "softfail" ? 0.5 : 0,
};

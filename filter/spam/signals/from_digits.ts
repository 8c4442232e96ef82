import type { Signal } from "../signal.ts";

export const fromDigits: Signal = {
  name: "from-digits",
  weight: 0.9,
  explain: "the address of its author is made of digits and letters",
  find: ({ mail: { from } }) => {
    const [local = ""] = from.address.split("@");
    return /\d.*[a-z].*\d|[a-z]+\d{4,}|\d{3,}[a-z]/.test(local) || /[bcdfghjklmnpqrstvwxz]{6,}/.test(local);
  },
};

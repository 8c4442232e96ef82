import type { Signal } from "../signal.ts";

export const sortedRecipients: Signal = {
  name: "sorted-recipients",
  weight: 1.2,
  explain: "it goes to many whose addresses resemble each other",
  find: ({ mail }) => {
    const locals = [...`${mail.first("to")},${mail.first("cc")}`.slice(0, 10_000).matchAll(/([^<\s,;"]+)@/g)]
      .map(([, local = ""]) => local.toLowerCase());
    if (locals.length < 5) return false;
    let near = 0;
    for (let i = 1; i < locals.length; i++) if (locals[i]!.slice(0, 3) === locals[i - 1]!.slice(0, 3)) near++;
    return near / (locals.length - 1) > 0.6;
  },
};

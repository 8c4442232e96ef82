import type { Signal } from "../signal.ts";

const FEWEST = 5;

export const sortedRecipients: Signal = {
  name: "sorted-recipients",
  weight: 1.2,
  explain: "it goes to many whose addresses resemble each other",
  find: ({ mail }) => {
    const recipients = `${mail.first("to")},${mail.first("cc")}`.slice(0, 10_000);
    if (recipients.split("@", FEWEST + 1).length <= FEWEST) return false;
    const locals = [...recipients.matchAll(/([^<\s,;"]+)@/g)].map(([, local = ""]) => local.toLowerCase());
    if (locals.length < FEWEST) return false;
    let near = 0;
    for (let i = 1; i < locals.length; i++) if (locals[i]!.slice(0, 3) === locals[i - 1]!.slice(0, 3)) near++;
    return near / (locals.length - 1) > 0.6;
  },
};

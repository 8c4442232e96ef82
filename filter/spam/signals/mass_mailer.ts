import type { Signal } from "../signal.ts";

export const massMailer: Signal = {
  name: "mass-mailer",
  weight: 2,
  explain: "a program for mass mail wrote it",
  find: ({ mail }) =>
    /mail bomber|emailer|mass|bulk|group mail|stealth|cyber|dynamic|advanced direct|mailking|diffondi|aristotle|gold ?mine|e-?merge|blaster|dbmail|prospect/i
      .test(`${mail.first("x-mailer")} ${mail.first("user-agent")}`),
};

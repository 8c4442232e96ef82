import type { Signal } from "../signal.ts";

export const noCharset: Signal = {
  name: "no-charset",
  weight: 0.7,
  explain: "its text has characters that no charset explains",
  find: ({ mail }) =>
    mail.leaves.some(({ charset, type }) =>
      type.startsWith("text/") && (charset === "" || charset === "us-ascii")
    ) && mail.plain.concat(mail.html.map(({ text }) =>
      text
    )).some((text) => /[\x80-\xff]/.test(text.slice(0, 20_000))),
};

import type { Signal } from "../signal.ts";

export const misspeltFields: Signal = {
  name: "misspelt-fields",
  weight: 1.5,
  explain: "names of its header fields are spelt as no program does",
  find: ({ mail }) =>
    mail.fields.some(({ name, written }) =>
      (name === "mime-version" && !/^(MIME|Mime)-Version$/.test(written)) ||
      (name === "content-type" && !/^Content-[Tt]ype$/.test(written)) ||
      (name === "subject" && written !== "Subject") || (name === "from" && written !== "From")
    ),
};

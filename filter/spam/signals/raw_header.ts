import type { Signal } from "../signal.ts";

export const rawHeader: Signal = {
  name: "raw-header",
  weight: 1.5,
  explain: "its header has characters that were not encoded",
  find: ({ mail }) => /[\x80-\xff]{3,}/.test(mail.first("subject") + mail.first("from")),
};

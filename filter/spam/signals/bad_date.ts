import type { Signal } from "../signal.ts";

export const badDate: Signal = {
  name: "bad-date",
  weight: 1.5,
  explain: "its Date is no date, or in a zone that does not exist",
  find: ({ mail }) =>
    mail.has("date") && (mail.sentAtMs === null || /[+-](?:1[5-9]|[2-9]\d)\d\d\b/.test(mail.first("date"))),
};

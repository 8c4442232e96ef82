import type { Signal } from "../signal.ts";
import { isList } from "../kinds.ts";

export const forgedOutlook: Signal = {
  name: "forged-outlook",
  weight: 2,
  explain: "it says Outlook wrote it, which writes otherwise",
  find: ({ mail }) => {
    const mailer = mail.first("x-mailer");
    if (!/^microsoft outlook/i.test(mailer) || isList(mail)) return false;
    const id = mail.first("message-id");
    const express = /express/i.test(mailer);
    if (!mail.has("x-mimeole")) return true;
    return express &&
      !/^<[0-9a-f]{12}\$[0-9a-f]{8}\$[0-9a-f]{8}@|^<(?:BAY|BLU|COL|SNT|DUB|POP|.{2,8}-?O?E?\d+)/i.test(
        id.trim(),
      );
  },
};

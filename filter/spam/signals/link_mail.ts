import type { Signal } from "../signal.ts";
import { isList } from "../kinds.ts";

export const linkMail: Signal = {
  name: "link-mail",
  weight: 0.9,
  explain: "its links ask for mail to another address",
  find: ({ mail }) =>
    mail.html.length > 0 && mail.links.some(({ scheme, path }) =>
      scheme === "mailto" && /subject=|@/.test(path) && !path.toLowerCase().includes(mail.from.domain)
    ) && !isList(mail),
};

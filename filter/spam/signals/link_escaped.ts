import type { Signal } from "../signal.ts";

export const linkEscaped: Signal = {
  name: "link-escaped",
  weight: 1.5,
  explain: "a link is written so that it cannot be read",
  find: ({ mail }) =>
    mail.links.some(({ target, scheme }) =>
      /^https?$/.test(scheme) && /^[^?]*(?:%[2-7][0-9a-f]){3}/i.test(target)
    ),
};

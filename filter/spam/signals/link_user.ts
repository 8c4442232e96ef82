import type { Signal } from "../signal.ts";

export const linkUser: Signal = {
  name: "link-user",
  weight: 1.8,
  explain: "a link hides where it leads behind an @",
  find: ({ mail }) => mail.links.some(({ user, scheme }) => user !== "" && /^https?$/.test(scheme)),
};

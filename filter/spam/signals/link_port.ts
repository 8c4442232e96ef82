import type { Signal } from "../signal.ts";

export const linkPort: Signal = {
  name: "link-port",
  weight: 0.8,
  explain: "a link leads to an unusual port",
  find: ({ mail }) => mail.links.some(({ port }) => port !== "" && !/^(?:80|443|8080|8443)$/.test(port)),
};

import type { Signal } from "../signal.ts";

export const linkCheap: Signal = {
  name: "link-cheap",
  weight: 0.7,
  explain: "a link leads to a kind of name that is given away",
  find: ({ mail }) =>
    mail.links.some(({ host }) =>
      /\.(?:biz|info|cn|ru|tk|ml|ga|cf|gq|xyz|top|click|loan|work|icu|pw|cc|ws|to|nu|buzz|rest|cam|sbs|cfd|monster|quest)$/
        .test(host)
    ),
};

import type { Signal } from "../signal.ts";

export const linkFile: Signal = {
  name: "link-file",
  weight: 1.5,
  explain: "a link loads a program",
  find: ({ mail }) =>
    mail.links.some(({ path, scheme }) =>
      /^https?$/.test(scheme) && /\.(?:exe|scr|pif|msi|bat|cmd|jar|apk|js|vbs|iso|img)(?:[?#]|$)/i.test(path)
    ),
};

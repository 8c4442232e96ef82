/** The word to the administrator that DKIM keys were made by schedule, and which records make them sign. */
import type { DkimKeyInput } from "../storage/ops.ts";
import { administratorNotice } from "./administrator_notice.ts";
import { keyName, keyRecord } from "./dkim_keys.ts";
import type { OwnMail } from "./post.ts";

export function keysNotice(
  to: { readonly hostname: string; readonly administrator: string },
  { domain, keys, now = Date.now() }: {
    readonly domain: string;
    readonly keys: readonly DkimKeyInput[];
    readonly now?: number;
  },
): OwnMail {
  return administratorNotice(to, {
    kind: "dkim",
    id: `${domain}-${keys[0]?.selector ?? ""}`,
    subject: `New DKIM keys of ${domain} wait for their records`,
    text: [
      `The DKIM keys of ${domain} have signed for long. Please publish these records; the new keys sign once all`,
      "servers of the domain show them, the old ones go on until then:",
      "",
      ...keys.flatMap((key) => [`  ${keyName(key)}. TXT`, `    ${keyRecord(key)}`, ""]),
      "Leave the old records where they are until `veredus dkim list` shows their keys as revoked.",
    ],
    now,
  });
}

/** The word to the administrator when a login has reached a daily limit: its password may be known to others. */
import { administratorNotice } from "./administrator_notice.ts";
import type { OwnMail } from "./post.ts";

export function stolenNotice(
  { hostname, filter: { administrator } }: {
    readonly hostname: string;
    readonly filter: { readonly administrator: string };
  },
  { login, reason, id = crypto.randomUUID(), now = Date.now() }: {
    readonly login: string;
    readonly reason: string;
    readonly id?: string;
    readonly now?: number;
  },
): OwnMail {
  return administratorNotice({ hostname, administrator }, {
    kind: "limit",
    id,
    subject: `Sending limit of ${login} reached`,
    text: [
      `The login ${login} has reached a daily sending limit: ${reason}.`,
      "Further mail of it is put off until tomorrow (UTC).",
      "",
      "If its owner does not send that much, the password is known to somebody else: change it, and look at",
      `what was sent with \`veredus trace ${login}\`.`,
    ],
    now,
  });
}

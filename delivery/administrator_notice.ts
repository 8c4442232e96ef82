/** Mail to the administrator: to whom the configuration says, else to postmaster at our name (RFC 3834: automatic). */
import { composeAutomatic } from "./auto_reply.ts";
import { counter } from "../telemetry/metrics.ts";
import type { OwnMail } from "./post.ts";

const notices = counter(
  "veredus_administrator_notices_total",
  "Mail to the administrator, by what it is about",
  [
    "kind",
  ],
);

export interface AdministratorNotice {
  /** Its kind, in the Message-ID. */
  readonly kind: string;
  /** Makes the Message-ID the only one of its kind. */
  readonly id: string;
  readonly subject: string;
  readonly text: readonly string[];
  /** Milliseconds since the epoch. */
  readonly now: number;
}

export function administratorNotice(
  /** `administrator` "" is postmaster. */
  { hostname, administrator }: { readonly hostname: string; readonly administrator: string },
  { kind, id, subject, text, now }: AdministratorNotice,
): OwnMail {
  notices.inc({ kind });
  const to = administrator === "" ? `postmaster@${hostname}` : administrator;
  return {
    octets: composeAutomatic({
      kind: "auto-generated",
      from: `postmaster@${hostname}`,
      to: `<${to}>`,
      subject,
      date: now,
      messageId: `<${id}.${kind}@${hostname}>`,
      text: [...text],
    }),
    sender: "",
    recipients: [to],
  };
}

/** How much of one message the spam filter looks at; what is beyond is left alone, and a mark says so. */
export interface MailLimits {
  /** Octets of the message from its start. */
  readonly octets: number;
  readonly parts: number;
  /** Decoded characters of each text part. */
  readonly partText: number;
  /** Decoded characters of all text parts. */
  readonly text: number;
  readonly fields: number;
  readonly urls: number;
}

export const MAIL_LIMITS: MailLimits = {
  octets: 1024 * 1024,
  parts: 1_000,
  partText: 256 * 1024,
  text: 512 * 1024,
  fields: 500,
  urls: 500,
};

/** The reply to EHLO: our name and the extensions in force (RFC 5321 4.1.1.1). */

export interface Extensions {
  readonly hostName: string;
  readonly messageOctets: number;
  readonly recipients: number;
  readonly startTls: boolean;
  /** SASL mechanisms, separated by spaces; "" offers no AUTH. */
  readonly mechanisms: string;
}

export function ehloReply(
  { hostName, messageOctets, recipients, startTls, mechanisms }: Extensions,
): string {
  return `250-${hostName}\r\n` +
    "250-PIPELINING\r\n" + // RFC 2920
    `250-SIZE ${messageOctets}\r\n` + // RFC 1870
    "250-8BITMIME\r\n" + // RFC 6152
    "250-SMTPUTF8\r\n" + // RFC 6531
    "250-ENHANCEDSTATUSCODES\r\n" + // RFC 2034
    "250-CHUNKING\r\n" + // RFC 3030
    (startTls ? "250-STARTTLS\r\n" : "") + // RFC 3207
    (mechanisms === "" ? "" : `250-AUTH ${mechanisms}\r\n`) + // RFC 4954
    `250 LIMITS RCPTMAX=${recipients}\r\n`; // RFC 9422
}

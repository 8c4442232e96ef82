/** The reply to EHLO and LHLO: our name and the extensions in force (RFC 5321 4.1.1.1, RFC 2033 4.1). */

export interface Extensions {
  readonly hostName: string;
  readonly messageOctets: number;
  readonly recipients: number;
  readonly startTls: boolean;
  readonly tlsActive: boolean;
  /** SASL mechanisms, separated by spaces; "" offers no AUTH. */
  readonly mechanisms: string;
  /** RFC 4865: how long mail may be held, and until when at the moment; null offers none. */
  readonly futureRelease: { readonly maxSeconds: number; readonly nowMs: number } | null;
  readonly etrn: boolean;
  readonly xclient: boolean;
}

export function ehloReply(
  {
    hostName,
    messageOctets,
    recipients,
    startTls,
    tlsActive,
    mechanisms,
    futureRelease,
    etrn,
    xclient,
  }: Extensions,
): string {
  return `250-${hostName}\r\n` +
    "250-PIPELINING\r\n" + // RFC 2920
    `250-SIZE ${messageOctets}\r\n` + // RFC 1870
    "250-8BITMIME\r\n" + // RFC 6152
    "250-SMTPUTF8\r\n" + // RFC 6531
    "250-ENHANCEDSTATUSCODES\r\n" + // RFC 2034
    "250-CHUNKING\r\n" + // RFC 3030
    "250-BINARYMIME\r\n" + // RFC 3030
    "250-DSN\r\n" + // RFC 3461
    (startTls ? "250-STARTTLS\r\n" : "") + // RFC 3207
    (tlsActive ? "250-REQUIRETLS\r\n" : "") + // RFC 8689 2: only under TLS
    (mechanisms === "" ? "" : `250-AUTH ${mechanisms}\r\n`) + // RFC 4954
    (futureRelease === null ? "" : futureReleaseLine(futureRelease)) +
    (etrn ? "250-ETRN\r\n" : "") + // RFC 1985
    (xclient ? "250-XCLIENT ADDR PORT PROTO HELO\r\n" : "") +
    `250 LIMITS RCPTMAX=${recipients}\r\n`; // RFC 9422
}

/** RFC 4865 4. */
function futureReleaseLine({ maxSeconds, nowMs }: { maxSeconds: number; nowMs: number }): string {
  const until = new Date(nowMs + maxSeconds * 1_000).toISOString().replace(/\.\d+Z$/, "Z");
  return `250-FUTURERELEASE ${maxSeconds} ${until}\r\n`;
}

/** What a session offers at the moment: the replies to EHLO and LHLO (RFC 5321 4.1.1.1, RFC 2033 4.1), and to HELP. */
import type { MailParameters } from "./parameters.ts";
import type { Reply } from "./reply.ts";
import { type HideableKeyword, NO_OFFERS, type Offers, type SmtpSessionOptions } from "./session_options.ts";

/** What changes within a session. */
export interface SessionState {
  readonly tlsActive: boolean;
  readonly loggedIn: boolean;
}

export function ehloReply(options: SmtpSessionOptions, { tlsActive, loggedIn }: SessionState): string {
  const { hostName, limits, startTlsAvailable, plainLoginAllowed } = options;
  const { futureRelease, maxPriority, etrn, xclient } = options.offers ?? NO_OFFERS;
  const mechanisms = loggedIn || !(tlsActive || plainLoginAllowed)
    ? ""
    : [...options.mechanisms.keys()].join(" ");
  const all = `250-${hostName}\r\n` +
    "250-PIPELINING\r\n" + // RFC 2920
    `250-SIZE ${limits.messageOctets}\r\n` + // RFC 1870
    "250-8BITMIME\r\n" + // RFC 6152
    "250-SMTPUTF8\r\n" + // RFC 6531
    "250-ENHANCEDSTATUSCODES\r\n" + // RFC 2034
    "250-CHUNKING\r\n" + // RFC 3030
    "250-BINARYMIME\r\n" + // RFC 3030
    "250-DSN\r\n" + // RFC 3461
    (startTlsAvailable && !tlsActive ? "250-STARTTLS\r\n" : "") + // RFC 3207
    (tlsActive ? "250-REQUIRETLS\r\n" : "") + // RFC 8689 2: only under TLS
    (mechanisms === "" ? "" : `250-AUTH ${mechanisms}\r\n`) + // RFC 4954
    (futureRelease === null ? "" : futureReleaseLine(futureRelease)) +
    (maxPriority === null ? "" : "250-MT-PRIORITY\r\n") + // RFC 6710
    (etrn ? "250-ETRN\r\n" : "") + // RFC 1985
    (xclient ? "250-XCLIENT ADDR PORT PROTO HELO\r\n" : "") +
    `250 LIMITS RCPTMAX=${limits.recipients}\r\n`; // RFC 9422
  const { hidden } = options;
  return hidden === undefined || hidden.size === 0 ? all : without(all, hidden);
}

/** The reply without some of its lines; the first one, our name, stays. */
function without(reply: string, hidden: ReadonlySet<HideableKeyword>): string {
  const [name = "", ...lines] = reply.split("\r\n").slice(0, -1).map((line) => line.slice("250-".length));
  const shown = (keyword: string) =>
    !hidden.has(keyword as HideableKeyword) && !(keyword === "BINARYMIME" && hidden.has("CHUNKING"));
  const kept = [name, ...lines.filter((line) => shown(line.split(" ")[0]!))];
  return kept.map((line, at) => `250${at < kept.length - 1 ? "-" : " "}${line}\r\n`).join("");
}

/** A parameter of MAIL belongs to an extension that is not offered here. */
export function usesHidden(
  { size, body, smtputf8, ret, envelopeId, requireTls }: MailParameters,
  hidden: ReadonlySet<HideableKeyword>,
): boolean {
  return (size !== null && hidden.has("SIZE")) || (body === "8BITMIME" && hidden.has("8BITMIME")) ||
    (body === "BINARYMIME" && (hidden.has("BINARYMIME") || hidden.has("CHUNKING"))) ||
    (smtputf8 && hidden.has("SMTPUTF8")) || (ret + envelopeId !== "" && hidden.has("DSN")) ||
    (requireTls && hidden.has("REQUIRETLS"));
}

/** RFC 5321 4.1.1.8. */
export function helpReply(options: SmtpSessionOptions, { tlsActive }: SessionState): Reply {
  const { service, startTlsAvailable, mechanisms, offers } = options;
  const verbs = [
    ...(service === "lmtp" ? ["LHLO"] : ["EHLO", "HELO"]),
    ...["MAIL", "RCPT", "DATA", "BDAT", "RSET", "NOOP", "VRFY", "EXPN", "HELP", "QUIT"],
    ...(startTlsAvailable && !tlsActive ? ["STARTTLS"] : []),
    ...(mechanisms.size > 0 ? ["AUTH"] : []),
    ...(offers?.etrn ? ["ETRN"] : []),
  ];
  return { code: 214, enhanced: "2.0.0", text: "Commands:", more: [verbs.join(" "), "See RFC 5321"] };
}

/** RFC 4865 4. */
function futureReleaseLine({ maxSeconds, now }: NonNullable<Offers["futureRelease"]>): string {
  const until = new Date(now() + maxSeconds * 1_000).toISOString().replace(/\.\d+Z$/, "Z");
  return `250-FUTURERELEASE ${maxSeconds} ${until}\r\n`;
}

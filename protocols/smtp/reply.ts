/** SMTP replies (RFC 5321 4.2) with enhanced status codes (RFC 2034, RFC 3463), ours in one table. */

export interface Reply {
  readonly code: number;
  /** As in "5.7.1"; "" for replies that have none (greeting, EHLO, 354). */
  readonly enhanced: string;
  readonly text: string;
  /** Further lines. */
  readonly more?: readonly string[];
}

export function reply(code: number, enhanced: string, text: string): Reply {
  return { code, enhanced, text };
}

const NO_LINES: readonly string[] = [];

/** The replies of this table are encoded once: they are nearly all that a session says. */
const PREPARED = new Map<Reply, string>();

function fixed(code: number, enhanced: string, text: string): Reply {
  const made = reply(code, enhanced, text);
  PREPARED.set(made, encode(made));
  return made;
}

export function encodeReply(given: Reply): string {
  return PREPARED.get(given) ?? encode(given);
}

/** Text of ours never holds CR or LF, text of others is cleaned here. */
function encode({ code, enhanced, text, more = NO_LINES }: Reply): string {
  const last = more.length;
  const status = enhanced === "" ? "" : `${enhanced} `;
  if (last === 0) return `${code} ${status}${clean(text)}\r\n`;
  return [text, ...more].map((line, at) => `${code}${at < last ? "-" : " "}${status}${clean(line)}\r\n`).join(
    "",
  );
}

function clean(text: string): string {
  return /[^\x20-\x7e]/.test(text) ? text.replace(/[^\x20-\x7e]+/g, " ") : text;
}

/** A refusal for good, said as one for now. */
export function softened({ code, enhanced, ...words }: Reply): Reply {
  return { code: code - 100, enhanced: enhanced.replace(/^5/, "4"), ...words };
}

export const SENDER_OK = fixed(250, "2.1.0", "Sender OK");
/** RFC 6710 4.1: the number comes first. */
export function loweredTo(priority: number): Reply {
  return { code: 250, enhanced: "2.3.6", text: `${priority} is the new priority of the message` };
}
export const RECIPIENT_OK = fixed(250, "2.1.5", "Recipient OK");
export const RESET_OK = fixed(250, "2.0.0", "Reset");
export const NOOP_OK = fixed(250, "2.0.0", "OK");
export const BYE = fixed(221, "2.0.0", "Bye");
export const START_MAIL = fixed(354, "", "End with <CRLF>.<CRLF>");
export const READY_FOR_TLS = fixed(220, "2.0.0", "Ready to start TLS");
export const AUTHENTICATED = fixed(235, "2.7.0", "Authenticated");
export const CANNOT_VRFY = fixed(252, "2.1.5", "Cannot verify, but will try to deliver");
export const CHUNK_OK = fixed(250, "2.0.0", "Chunk received");

export const UNKNOWN_COMMAND = fixed(500, "5.5.2", "Command not recognized");
export const LINE_TOO_LONG = fixed(500, "5.5.6", "Line too long");
export const NOT_IMPLEMENTED = fixed(502, "5.5.1", "Command not implemented");
export const SYNTAX = fixed(501, "5.5.4", "Syntax error in parameters");
export const EHLO_FIRST = fixed(503, "5.5.1", "EHLO first");
export const MAIL_FIRST = fixed(503, "5.5.1", "MAIL first");
export const RCPT_FIRST = fixed(503, "5.5.1", "RCPT first");
export const BINARY_NEEDS_BDAT = fixed(503, "5.5.1", "A message with BODY=BINARYMIME is sent by BDAT");
export const HOLD_TOO_LONG = fixed(501, "5.5.4", "Held longer than allowed");
export const NESTED_MAIL = fixed(503, "5.5.1", "MAIL already given");
export const BDAT_RUNNING = fixed(503, "5.5.1", "BDAT has begun, send BDAT");
export const TLS_ACTIVE = fixed(503, "5.5.1", "TLS is already active");
export const AUTH_DONE = fixed(503, "5.5.1", "Already authenticated");
export const AUTH_IN_TRANSACTION = fixed(503, "5.5.1", "AUTH is not allowed in a transaction");
export const AUTH_REQUIRED = fixed(530, "5.7.0", "Authentication required");
export const TLS_REQUIRED = fixed(530, "5.7.0", "Must issue a STARTTLS command first");
export const AUTH_NEEDS_TLS = fixed(538, "5.7.11", "Encryption required for authentication");
export const UNKNOWN_MECHANISM = fixed(504, "5.5.4", "Unrecognized authentication type");
export const AUTH_CANCELLED = fixed(501, "5.0.0", "Authentication cancelled");
export const BAD_BASE64 = fixed(501, "5.5.2", "Cannot decode base64");
export const BAD_SASL_RESPONSE = fixed(501, "5.5.2", "Response not understood");
export const BAD_CREDENTIALS = fixed(535, "5.7.8", "Authentication credentials invalid");
export const AUTH_UNAVAILABLE = fixed(454, "4.7.0", "Temporary authentication failure");
export const BAD_SENDER = fixed(553, "5.1.7", "Sender address not understood");
export const BAD_RECIPIENT = fixed(553, "5.1.3", "Recipient address not understood");
export const NEEDS_SMTPUTF8 = fixed(553, "5.6.7", "Address needs SMTPUTF8");
export const UNKNOWN_PARAMETER = fixed(555, "5.5.4", "Parameter not recognized");
export const TOO_MANY_RECIPIENTS = fixed(452, "4.5.3", "Too many recipients");
export const TOO_BIG = fixed(552, "5.3.4", "Message exceeds the size limit");
export const BINARY_OUTSIDE_PARTS = fixed(
  554,
  "5.6.0",
  "NUL or bare line end outside the body of a MIME part",
);
export const NOT_IN_TRANSACTION = fixed(503, "5.5.1", "Not allowed in a transaction");
export const XCLIENT_REFUSED = fixed(501, "5.5.4", "Attributes not understood");
export const BARE_LINE_END = fixed(554, "5.6.0", "Message contains bare CR or LF");
export const NO_VALID_RECIPIENTS = fixed(554, "5.5.1", "No valid recipients");
export const NO_CHUNK_SIZE = fixed(421, "4.5.2", "Chunk size not understood, closing connection");
export const TOO_MANY_LOGINS = fixed(421, "4.7.0", "Too many failed logins, try again later");
export const SERVER_FAULT = fixed(421, "4.3.0", "Local error, closing connection");
export const TOO_MANY_ERRORS = fixed(421, "4.7.0", "Too many errors, closing connection");
export const TOO_MANY_COMMANDS = fixed(421, "4.7.0", "Too many commands, closing connection");
export const LOCAL_ERROR = fixed(451, "4.3.0", "Local error, try again later");
export const DISK_FULL = fixed(452, "4.3.1", "Insufficient system storage, try again later");
export const SHUTTING_DOWN = fixed(421, "4.3.2", "Service shutting down");
export const SHUT_OUT = fixed(421, "4.7.0", "Not now, try again later");
export const IDLE_TOO_LONG = fixed(421, "4.4.2", "Timeout, closing connection");

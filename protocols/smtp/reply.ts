/** SMTP replies (RFC 5321 4.2) with enhanced status codes (RFC 2034, RFC 3463), ours in one table. */

export interface Reply {
  readonly code: number;
  /** As in "5.7.1"; "" for replies that have none (greeting, EHLO, 354). */
  readonly enhanced: string;
  readonly text: string;
}

export function reply(code: number, enhanced: string, text: string): Reply {
  return { code, enhanced, text };
}

/** One line; text of ours never holds CR or LF, text of others is cleaned here. */
export function encodeReply({ code, enhanced, text }: Reply): string {
  const clean = /[^\x20-\x7e]/.test(text) ? text.replace(/[^\x20-\x7e]+/g, " ") : text;
  return enhanced === "" ? `${code} ${clean}\r\n` : `${code} ${enhanced} ${clean}\r\n`;
}

export const SENDER_OK = reply(250, "2.1.0", "Sender OK");
export const RECIPIENT_OK = reply(250, "2.1.5", "Recipient OK");
export const RESET_OK = reply(250, "2.0.0", "Reset");
export const NOOP_OK = reply(250, "2.0.0", "OK");
export const BYE = reply(221, "2.0.0", "Bye");
export const START_MAIL = reply(354, "", "End with <CRLF>.<CRLF>");
export const READY_FOR_TLS = reply(220, "2.0.0", "Ready to start TLS");
export const AUTHENTICATED = reply(235, "2.7.0", "Authenticated");
export const CANNOT_VRFY = reply(252, "2.1.5", "Cannot verify, but will try to deliver");
export const HELP = reply(214, "2.0.0", "See RFC 5321");
export const CHUNK_OK = reply(250, "2.0.0", "Chunk received");

export const UNKNOWN_COMMAND = reply(500, "5.5.2", "Command not recognized");
export const LINE_TOO_LONG = reply(500, "5.5.6", "Line too long");
export const NOT_IMPLEMENTED = reply(502, "5.5.1", "Command not implemented");
export const SYNTAX = reply(501, "5.5.4", "Syntax error in parameters");
export const EHLO_FIRST = reply(503, "5.5.1", "EHLO first");
export const MAIL_FIRST = reply(503, "5.5.1", "MAIL first");
export const RCPT_FIRST = reply(503, "5.5.1", "RCPT first");
export const NESTED_MAIL = reply(503, "5.5.1", "MAIL already given");
export const BDAT_RUNNING = reply(503, "5.5.1", "BDAT has begun, send BDAT");
export const TLS_ACTIVE = reply(503, "5.5.1", "TLS is already active");
export const AUTH_DONE = reply(503, "5.5.1", "Already authenticated");
export const AUTH_IN_TRANSACTION = reply(503, "5.5.1", "AUTH is not allowed in a transaction");
export const AUTH_REQUIRED = reply(530, "5.7.0", "Authentication required");
export const TLS_REQUIRED = reply(530, "5.7.0", "Must issue a STARTTLS command first");
export const AUTH_NEEDS_TLS = reply(538, "5.7.11", "Encryption required for authentication");
export const UNKNOWN_MECHANISM = reply(504, "5.5.4", "Unrecognized authentication type");
export const AUTH_CANCELLED = reply(501, "5.0.0", "Authentication cancelled");
export const BAD_BASE64 = reply(501, "5.5.2", "Cannot decode base64");
export const BAD_CREDENTIALS = reply(535, "5.7.8", "Authentication credentials invalid");
export const AUTH_UNAVAILABLE = reply(454, "4.7.0", "Temporary authentication failure");
export const BAD_SENDER = reply(553, "5.1.7", "Sender address not understood");
export const BAD_RECIPIENT = reply(553, "5.1.3", "Recipient address not understood");
export const NEEDS_SMTPUTF8 = reply(553, "5.6.7", "Address needs SMTPUTF8");
export const UNKNOWN_PARAMETER = reply(555, "5.5.4", "Parameter not recognized");
export const TOO_MANY_RECIPIENTS = reply(452, "4.5.3", "Too many recipients");
export const TOO_BIG = reply(552, "5.3.4", "Message exceeds the size limit");
export const BARE_LINE_END = reply(554, "5.6.0", "Message contains bare CR or LF");
export const NO_VALID_RECIPIENTS = reply(554, "5.5.1", "No valid recipients");
export const TOO_MANY_ERRORS = reply(421, "4.7.0", "Too many errors, closing connection");
export const TOO_MANY_COMMANDS = reply(421, "4.7.0", "Too many commands, closing connection");
export const LOCAL_ERROR = reply(451, "4.3.0", "Local error, try again later");
export const DISK_FULL = reply(452, "4.3.1", "Insufficient system storage, try again later");
export const SHUTTING_DOWN = reply(421, "4.3.2", "Service shutting down");
export const IDLE_TOO_LONG = reply(421, "4.4.2", "Timeout, closing connection");

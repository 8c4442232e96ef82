/**
 * What an SMTP session asks of delivery: one {@linkcode Transaction} for each MAIL, answered in replies.
 *
 * The driver (`server/smtp.ts`) knows sockets and the protocol core, `inbound.ts` knows policy, recipients and storage;
 * this is all they know of each other. LMTP and other ways in use the same interface.
 */
import type { MailParameters, RcptParameters } from "../protocols/smtp/parameters.ts";
import type { Path } from "../protocols/smtp/path.ts";
import type { Reply } from "../protocols/smtp/reply.ts";
import type { Account } from "../storage/directory_view.ts";
import type { ClientView } from "../filter/check.ts";
import type { SessionScreen } from "../filter/screen.ts";

/** The client and its session, as they are when MAIL comes. */
export interface ClientFacts {
  /** The id in every log line of the session. */
  readonly sessionId: string;
  readonly address: string;
  readonly port: number;
  /** Argument of EHLO or HELO. */
  readonly heloName: string;
  /** EHLO, hence ESMTP in `Received`. */
  readonly esmtp: boolean;
  /** Null in clear; `protocol` and `cipher` are null where the carrier cannot tell. */
  readonly tls: { readonly protocol: string | null; readonly cipher: string | null } | null;
  /** `mx`: the port for other servers; `submission`: 587 and 465; `lmtp`: local delivery (RFC 2033). */
  readonly service: "mx" | "submission" | "lmtp";
  /** Null before a login. */
  readonly account: Account | null;
  /** The SASL mechanism of the login; null or left out without one. */
  readonly mechanism?: string | null;
  /** In one of `trusted_networks`: may relay, line ends are converted. */
  readonly trusted: boolean;
  /** The checks of this session; null or left out: none. */
  readonly screen?: SessionScreen | null;
  /** It sent octets before the greeting. */
  readonly spokeEarly?: boolean;
}

export interface Reception {
  /** The checks of one session, null where there are none. */
  screen?(): SessionScreen | null;
  /** MAIL: opens a transaction, or refuses. */
  mail(
    client: ClientFacts,
    mail: { readonly reversePath: Path | null; readonly parameters: MailParameters },
  ): Transaction | Reply;
  /** VRFY and EXPN. */
  lookup(client: ClientFacts, question: { readonly verb: "VRFY" | "EXPN"; readonly text: string }): Reply;
  /** ETRN: mail held for a domain is tried now. Rejects with StorageError. */
  etrn(client: ClientFacts, text: string): Promise<Reply>;
}

/** What reading a message has shown. */
export interface MessageFound {
  readonly holdsNul: boolean;
}

/** One message on its way in. Every method may be called once `mail` gave it, until `finish` or `discard`. */
export interface Transaction {
  /** Our id of the message: in the 250, in `Received`, in every log line about it. */
  readonly traceId: string;
  /** RCPT. The recipient counts when the reply is 2xx. */
  rcpt(path: Path, parameters: RcptParameters): Reply | Promise<Reply>;
  /** Before the 354, or the first chunk of BDAT: null goes on. */
  begin(): Reply | null | Promise<Reply | null>;
  /** A span of the message, dot-stuffing removed, valid during the call. A returned promise is backpressure. */
  write(bytes: Uint8Array, start: number, end: number): Promise<void> | undefined;
  /** The message is complete. The reply is 2xx only after it is durable. Never rejects: trouble is a 4xx. */
  finish(found?: MessageFound): Promise<Reply>;
  /** The same for LMTP: a reply for each accepted recipient, in order (RFC 2033 4.2). */
  finishEach(found?: MessageFound): Promise<readonly Reply[]>;
  /** Forgets everything; safe at any time and more than once, also after `finish`. `refusal` is what the message was told. */
  discard(refusal?: Reply): void;
}

/** Tells a refusal from a transaction. */
export function isReply(answer: Transaction | Reply): answer is Reply {
  return "code" in answer;
}

/** What checks know of a client. */
export function viewOf(client: ClientFacts): ClientView {
  return {
    sessionId: client.sessionId,
    address: client.address,
    port: client.port,
    heloName: client.heloName,
    tls: client.tls !== null,
    tlsProtocol: client.tls?.protocol ?? null,
    tlsCipher: client.tls?.cipher ?? null,
    service: client.service,
    login: client.account?.address ?? null,
    mechanism: client.mechanism ?? null,
    spokeEarly: client.spokeEarly ?? false,
  };
}

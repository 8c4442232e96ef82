/** The drivers of the mail protocols in one thread: which of them serves a connection, and their sessions together. */
import { runImapEvent } from "../../delivery/scripts/imap_events.ts";
import type { InboundReception } from "../../delivery/inbound.ts";
import { MAILBOX_MECHANISMS, SMTP_MECHANISMS } from "../../protocols/sasl/mechanisms.ts";
import type { AttachedFiles } from "../../search/attached_files.ts";
import type { IndexReader } from "../../search/index_reader.ts";
import type { Store } from "../../storage/store.ts";
import type { Bans } from "../bans.ts";
import type { ListenerConfig } from "../config/config.ts";
import type { Deadlines } from "../deadline.ts";
import { ImapServer } from "../imap.ts";
import type { MaildropLocks } from "../maildrop_locks.ts";
import { ManageSieveServer } from "../managesieve.ts";
import { Pop3Server } from "../pop3.ts";
import { SmtpServer } from "../smtp.ts";
import type { SessionInfo } from "../threads/messages.ts";
import type { Transport } from "../transport.ts";
import type { Logins } from "./logins.ts";
import type { SessionOptions } from "./session_options.ts";

export interface MailServerParts {
  readonly store: Store;
  readonly hostName: string;
  readonly logins: Logins;
  readonly bans: Bans;
  readonly deadlines: Deadlines;
  readonly reception: InboundReception;
  /** Null: searches read every message. */
  readonly indexes: IndexReader | null;
  /** Null: what stands in attached files is not searched. */
  readonly attached: AttachedFiles | null;
  readonly locks: MaildropLocks;
  /** A new id for a session or a message. */
  readonly newId: () => string;
}

export class MailServers {
  readonly #imap: ImapServer;
  readonly #pop3: Pop3Server;
  readonly #manageSieve: ManageSieveServer;
  readonly #smtp: SmtpServer;

  constructor({ logins, bans, reception, indexes, attached, locks, ...parts }: MailServerParts) {
    const { store, hostName } = parts;
    const common = {
      ...{ deadlines: parts.deadlines, now: Date.now, newId: parts.newId },
      offence: bans.offence.bind(bans),
    };
    const mailbox = { ...common, store, mechanisms: logins.mechanisms(MAILBOX_MECHANISMS) };
    this.#imap = new ImapServer({
      ...mailbox,
      hostName,
      ...{ indexes, attached },
      login: logins.of("imap"),
      scriptEvent: (event) => runImapEvent({ post: reception.post, hostname: hostName }, event),
    });
    this.#pop3 = new Pop3Server({ ...mailbox, hostName, locks, login: logins.of("pop3") });
    this.#manageSieve = new ManageSieveServer({
      ...mailbox,
      implementation: "Veredus",
      login: logins.of("managesieve"),
    });
    this.#smtp = new SmtpServer({
      ...common,
      hostName,
      reception,
      login: logins.of("smtp"),
      mechanisms: logins.mechanisms(SMTP_MECHANISMS),
      banned: (address) => bans.banned(address),
    });
  }

  /** Serves one connection to its end; never rejects. */
  serve(transport: Transport, listener: ListenerConfig, options: SessionOptions): Promise<void> {
    const { peer } = transport;
    switch (listener.protocol) {
      case "smtp":
      case "submission":
      case "submissions":
      case "lmtp":
        return this.#smtp.serve(transport, options.smtp(listener, peer));
      case "imap":
      case "imaps":
        return this.#imap.serve(transport, options.imap(listener, peer));
      case "pop3":
      case "pop3s":
        return this.#pop3.serve(transport, options.pop3(listener, peer));
      case "managesieve":
        return this.#manageSieve.serve(transport, options.manageSieve(listener, peer));
      default:
        transport.close();
        return Promise.resolve();
    }
  }

  sessions(): SessionInfo[] {
    return [
      ...this.#imap.sessions().map(({ mailbox, idling, command, ...session }): SessionInfo => ({
        ...session,
        protocol: "imap",
        doing: mailbox === null ? command : `${idling ? "IDLE" : command} in ${mailbox}`,
      })),
      ...this.#pop3.sessions().map(({ command, ...session }): SessionInfo => ({
        ...session,
        protocol: "pop3",
        doing: command,
      })),
      ...this.#manageSieve.sessions().map(({ command, ...session }): SessionInfo => ({
        ...session,
        protocol: "managesieve",
        doing: command,
      })),
      ...this.#smtp.sessions().map(({ command, heloName, ...session }): SessionInfo => ({
        ...session,
        protocol: "smtp",
        doing: heloName === "" ? command : `${command} from ${heloName}`,
      })),
    ];
  }

  /** Ends a session by id; false when there is none. */
  end(id: string): boolean {
    return this.#imap.end(id) || this.#smtp.end(id) || this.#pop3.end(id) || this.#manageSieve.end(id);
  }

  /** Ends every session; commands that run are finished first. */
  shutdown(): void {
    this.#imap.shutdown();
    this.#pop3.shutdown();
    this.#manageSieve.shutdown();
    this.#smtp.shutdown();
  }
}

/** What the IMAP driver is made with: services of the thread, time limits, settings. */
import { DEFAULT_SESSION_LIMITS, type SessionLimits } from "../../protocols/imap/session_options.ts";
import type { AttachedFiles } from "../../search/attached_files.ts";
import type { IndexReader } from "../../search/index_reader.ts";
import { type Namespaces, NO_NAMESPACES } from "../../protocols/imap/namespaces.ts";
import type { ImapEvent } from "../../delivery/scripts/imap_events.ts";
import type { SharingScope } from "../../storage/rights.ts";
import type { Store } from "../../storage/store.ts";
import type { Deadlines } from "../deadline.ts";
import type { Login, SessionMechanismsOf } from "../login.ts";

export interface ImapServices {
  readonly store: Store;
  /** Null: searches read every message. */
  readonly indexes: IndexReader | null;
  /** Null: what stands in attached files is not searched, but for what indexes know. */
  readonly attached: AttachedFiles | null;
  readonly deadlines: Deadlines;
  readonly login: Login;
  /** SASL mechanisms by name in capitals. */
  readonly mechanisms: SessionMechanismsOf;
  readonly hostName: string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** A new id for a session or a message. */
  readonly newId: () => string;
  /** Runs the scripts of what happened (RFC 6785); left out: none are. */
  readonly scriptEvent?: (event: ImapEvent) => Promise<void>;
  /** What bans count, of clients without a login; left out: nothing. */
  readonly offence?: (address: string, offence: "protocol") => void;
}

export interface ImapTimeouts {
  /** From the connection to the login, in all. */
  readonly beforeLoginMs: number;
  /** Without a command, also in IDLE. RFC 3501 5.4 asks for 30 minutes at least. */
  readonly idleMs: number;
  /** In the middle of a command, and for a client that does not read. */
  readonly stallMs: number;
  readonly stillHereMs: number;
}

const DEFAULT_IMAP_TIMEOUTS: ImapTimeouts = {
  beforeLoginMs: 3 * 60_000,
  idleMs: 35 * 60_000,
  stallMs: 5 * 60_000,
  stillHereMs: 2 * 60_000,
};

/** With whom mailboxes can be shared, and where those of others are. */
export interface SharingOptions {
  readonly scope: SharingScope;
  readonly namespaces: Namespaces;
}

const NO_SHARING: SharingOptions = { scope: "off", namespaces: NO_NAMESPACES };

export interface ImapOptions {
  /** Where scripts are managed, as in `sieve://mail.example.org` (RFC 6785 2.1); "" is nowhere. */
  readonly sieveUrl: string;
  readonly sharing: SharingOptions;
  /** Accounts that may set quotas by IMAP (RFC 9208 4.1.3). */
  readonly quotaSetters: readonly string[];
  /** Passwords are taken without TLS (loopback in local mode). */
  readonly plainLoginAllowed: boolean;
  readonly literals: "LITERAL+" | "LITERAL-";
  readonly limits: SessionLimits;
  /** Messages of one command (RFC 9738), and of COPY and APPEND; 0 is any number. */
  readonly messageLimit: number;
  readonly saveLimit: number;
  readonly timeouts: ImapTimeouts;
  /** Refused logins before BYE. */
  readonly loginFailures: number;
}

export const DEFAULT_IMAP_OPTIONS: ImapOptions = {
  sieveUrl: "",
  plainLoginAllowed: false,
  literals: "LITERAL+",
  limits: DEFAULT_SESSION_LIMITS,
  messageLimit: 0,
  saveLimit: 0,
  sharing: NO_SHARING,
  quotaSetters: [],
  timeouts: DEFAULT_IMAP_TIMEOUTS,
  loginFailures: 5,
};

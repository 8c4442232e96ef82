/**
 * Commands that a session answers by itself: what there is to use, how the two sides talk, who they are. And which
 * commands it takes at all, as it stands. Pure.
 *
 * CAPABILITY, ID (RFC 2971), ENABLE (RFC 5161), NAMESPACE (RFC 2342), COMPARATOR (RFC 5255), STARTTLS, COMPRESS (RFC 4978).
 */
import { capabilities } from "./capability.ts";
import type { Command } from "./command.ts";
import { formatComparator, matchingComparators } from "./comparator.ts";
import { APPENDING, BY_NUMBER, COMMANDS } from "./command_table.ts";
import type { ImapEvent } from "./event.ts";
import { formatNstring } from "./format/string.ts";
import { formatNamespaces, NO_NAMESPACES } from "./namespaces.ts";
import type { Reply } from "./reply.ts";
import type { ImapSession } from "./session.ts";
import type { SessionOptions } from "./session_options.ts";
import { UID_REQUIRED } from "./uid_only.ts";

/** What depends on the account that is logged in. */
export interface OfAccount {
  /** Capabilities it is not told of, in capitals. */
  readonly hidden: ReadonlySet<string>;
  /** It may set quotas (RFC 9208 4.1.3). */
  readonly quotaSet: boolean;
}

export const NOBODY: OfAccount = { hidden: new Set(), quotaSet: false };

export const UNKNOWN_COMMAND: Reply = { status: "BAD", text: "Unknown command" };

/** The tagged reply, and what the driver is to do behind it. */
export interface OwnAnswer {
  readonly reply: Reply;
  readonly event?: ImapEvent;
}

type Facets = Pick<
  ImapSession,
  | "clientId"
  | "comparator"
  | "compressed"
  | "enabled"
  | "messageLimit"
  | "out"
  | "saveLimit"
  | "state"
  | "tlsActive"
>;

export class OwnCommands {
  account = NOBODY;
  readonly #session: Facets;
  readonly #options: SessionOptions;

  constructor(session: Facets, options: SessionOptions) {
    this.#session = session;
    this.#options = options;
  }

  /** Why a command of this name cannot be served now; null when it can. */
  objection(name: string): Reply | null {
    const { state, enabled } = this.#session;
    const states = APPENDING.get(name) ?? COMMANDS.get(name)?.states;
    if (states === undefined) return UNKNOWN_COMMAND;
    if (!states.includes(state)) {
      const text = state === "not-authenticated"
        ? "Log in first"
        : states.includes("selected")
        ? "Select a mailbox first"
        : "Already logged in";
      return { status: "BAD", text };
    }
    if ((name === "LOGIN" || name === "AUTHENTICATE") && this.#loginDisabled()) {
      return { status: "NO", code: "PRIVACYREQUIRED", text: "Start TLS first" };
    }
    return enabled.uidOnly && BY_NUMBER.has(name) ? UID_REQUIRED : null;
  }

  /** Null: it is not for the session alone. */
  answer(command: Command): OwnAnswer | null {
    const session = this.#session;
    switch (command.name) {
      case "CAPABILITY":
        session.out.text(`* CAPABILITY ${this.capabilities()}\r\n`);
        return done("Capability completed");
      case "NOOP":
        return session.state === "not-authenticated" ? done("Nothing done") : null;
      case "ID":
        session.clientId = command.fields;
        session.out.text(`* ID ${this.#serverId()}\r\n`);
        return done("ID completed");
      case "ENABLE":
        this.#enable(command.capabilities);
        return done("Enable completed");
      case "NAMESPACE":
        session.out.text(formatNamespaces(this.#options.namespaces ?? NO_NAMESPACES, session.enabled.utf8));
        return done("Namespace completed");
      case "COMPARATOR":
        return this.#compare(command.orders);
      case "STARTTLS":
        if (session.tlsActive) return { reply: { status: "BAD", text: "TLS is active already" } };
        if (!this.#options.startTlsAvailable) {
          return { reply: { status: "NO", text: "TLS is not available here" } };
        }
        return { ...done("Begin TLS"), event: { kind: "starttls" } };
      case "COMPRESS":
        if (command.algorithm !== "DEFLATE") return no("CANNOT", "DEFLATE is all there is");
        if (session.compressed) return no("COMPRESSIONACTIVE", "Compression is active already");
        session.compressed = true;
        return { ...done("DEFLATE active"), event: { kind: "compress" } };
      default:
        return null;
    }
  }

  capabilities(): string {
    const { state, tlsActive, messageLimit, saveLimit } = this.#session;
    const options = this.#options;
    return capabilities({
      authenticated: state === "authenticated" || state === "selected",
      startTlsAvailable: options.startTlsAvailable && !tlsActive,
      loginDisabled: this.#loginDisabled(),
      literals: options.literals,
      mechanisms: [...options.mechanisms.keys()],
      appendLimitOctets: options.limits.messageOctets,
      sieveUrl: options.sieveUrl ?? "",
      messageLimit,
      saveLimit,
      sharing: options.namespaces !== undefined && options.namespaces !== NO_NAMESPACES,
      ...this.account,
    });
  }

  #loginDisabled(): boolean {
    return !this.#session.tlsActive && !this.#options.plainLoginAllowed;
  }

  #enable(names: readonly string[]): void {
    const { enabled, out } = this.#session;
    const told = enabled.add(names, this.account.hidden).map((name) =>
      name === "IMAP4REV2" ? " IMAP4rev2" : ` ${name}`
    );
    out.text(`* ENABLED${told.join("")}\r\n`);
  }

  /** RFC 5255 4.7. */
  #compare(orders: readonly string[]): OwnAnswer {
    const session = this.#session;
    const matching = matchingComparators(orders);
    const [first] = matching;
    if (orders.length > 0 && first === undefined) {
      return no("BADCOMPARATOR", "There is no such comparator");
    }
    session.comparator = first ?? session.comparator;
    session.out.text(formatComparator(session.comparator, matching));
    return done("Comparator completed");
  }

  #serverId(): string {
    const fields = [...this.#options.serverId].map(([name, value]) => `"${name}" ${formatNstring(value)}`);
    return fields.length === 0 ? "NIL" : `(${fields.join(" ")})`;
  }
}

function done(text: string): OwnAnswer {
  return { reply: { status: "OK", text } };
}

function no(code: string, text: string): OwnAnswer {
  return { reply: { status: "NO", code, text } };
}

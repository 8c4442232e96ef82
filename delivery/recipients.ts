/**
 * From a forward-path to the mailboxes and remote addresses that get the message.
 *
 * An address of a local domain is, in this order: an account, an alias, a sub-address of either, the domain's
 * catch-all, or `postmaster`, which always works (RFC 5321 4.5.1): where no account, alias or catch-all takes it, it
 * goes to the oldest enabled account of the domain, else of the server. `<Postmaster>`, `postmaster@` our host name and
 * address literals of our own mean the default domain: the host name when it is a local domain, else its longest local
 * parent, else the first local domain. Aliases may name aliases; what they name outside goes to the queue, since the
 * operator wrote it; a target that takes no mail is passed over with a warning unless none is left. A disabled account
 * refuses (5.2.1), also through an alias of its own. `captureOutbound` files all remote mail in one INBOX instead.
 * Hot: everything asked of the directory is cached. Limits: {@linkcode MAX_ALIAS_TARGETS}, {@linkcode MAX_ALIAS_DEPTH}.
 */
import { getLogger } from "@logtape/logtape";
import { formatPath, type Path } from "../protocols/smtp/path.ts";
import type { Reply } from "../protocols/smtp/reply.ts";
import { normalizeAddress, normalizeDomain } from "../storage/address_form.ts";
import type { DomainRow } from "../storage/ops.ts";
import type { Account, Directory, Mailboxes } from "../storage/store.ts";
import {
  ACCOUNT_DISABLED,
  ALIAS_LOOP,
  ALIAS_TOO_WIDE,
  BAD_DESTINATION,
  type Destination,
  RELAYING_DENIED,
  UNKNOWN_RECIPIENT,
} from "./policy.ts";
import { subaddressBases } from "./subaddress.ts";

/** Addresses one recipient may become. */
export const MAX_ALIAS_TARGETS = 1_000;
/** Aliases naming aliases. */
export const MAX_ALIAS_DEPTH = 10;

const log = getLogger(["veredus", "delivery"]);

export interface MailboxTarget {
  readonly kind: "mailbox";
  readonly mailboxId: number;
  /** Primary address of the account. */
  readonly account: string;
  /** For Delivered-To: the address that led to the mailbox behind all aliases, with its detail. */
  readonly deliveredTo: string;
  /** It was meant for another server. */
  readonly captured: boolean;
}

export interface RemoteTarget {
  readonly kind: "remote";
  readonly address: string;
  /** Domain in lower-case A-labels, or an address literal. */
  readonly destination: string;
}

export type RecipientTarget = MailboxTarget | RemoteTarget;

/** Closed set, used as metric label. */
export type RefusalReason =
  | "unknown"
  | "disabled"
  | "relaying-denied"
  | "bad-domain"
  | "alias-loop"
  | "alias-too-wide";

export type Resolution =
  | { readonly kind: "accepted"; readonly targets: readonly RecipientTarget[] }
  | { readonly kind: "refused"; readonly reason: RefusalReason };

export const REFUSALS: Readonly<Record<RefusalReason, Reply>> = {
  "unknown": UNKNOWN_RECIPIENT,
  "disabled": ACCOUNT_DISABLED,
  "relaying-denied": RELAYING_DENIED,
  "bad-domain": BAD_DESTINATION,
  "alias-loop": ALIAS_LOOP,
  "alias-too-wide": ALIAS_TOO_WIDE,
};

export interface RecipientOptions {
  readonly directory: Directory;
  readonly mailboxes: Pick<Mailboxes, "inboxOf">;
  readonly hostname: string;
  /** Addresses this host is reached at: `[address]` as domain means us. */
  readonly ownAddresses: readonly string[];
  /** Account address, "" to send on. */
  readonly captureOutbound: string;
}

/** What a domain part is to us. `row` is null for foreign ones. */
interface Place {
  readonly destination: Destination;
  readonly name: string;
  readonly row: DomainRow | null;
  /** Only postmaster lives at our bare host name. */
  readonly postmasterOnly: boolean;
}

interface Expansion {
  readonly targets: RecipientTarget[];
  /** Aliases that were followed, and those being followed now. */
  readonly seen: Set<string>;
  readonly open: Set<string>;
  reason: RefusalReason | null;
}

export class RecipientResolver {
  readonly #options: RecipientOptions;
  readonly #hostname: string;
  readonly #literals: ReadonlySet<string>;

  constructor(options: RecipientOptions) {
    this.#options = options;
    this.#hostname = normalizeDomain(options.hostname) ?? options.hostname.toLowerCase();
    this.#literals = new Set(options.ownAddresses.map(literalOf));
  }

  /** `mayRelay`: the client may send to domains that are not ours. */
  resolve(path: Path, mayRelay: boolean): Resolution {
    const place = this.#place(path.domain);
    if (place === null) return { kind: "refused", reason: path.domain === "" ? "unknown" : "bad-domain" };
    if (place.destination !== "local") {
      if (place.destination === "foreign" && !mayRelay) return { kind: "refused", reason: "relaying-denied" };
      return this.#remote(formatPath(path), place.name);
    }
    const domain = place.row!;
    const address = normalizeAddress(formatPath({ ...path, domain: domain.name }));
    if (address === null || (place.postmasterOnly && !isPostmaster(address))) {
      return { kind: "refused", reason: "unknown" };
    }
    const account = this.#options.directory.account(address);
    if (account !== null) return this.#toAccount(account, address);
    const expansion: Expansion = { targets: [], seen: new Set(), open: new Set(), reason: null };
    this.#local(address, domain, { expansion, depth: 0 });
    return outcome(expansion);
  }

  /** The same for an address of our own making (a DSN's recipient, a notice's), which may go anywhere. */
  resolveAddress(address: string): Resolution {
    const at = address.lastIndexOf("@");
    if (at <= 0) return { kind: "refused", reason: "bad-domain" };
    const place = this.#place(address.slice(at + 1));
    if (place === null) return { kind: "refused", reason: "bad-domain" };
    if (place.destination !== "local") return this.#remote(address, place.name);
    const normal = normalizeAddress(`${address.slice(0, at)}@${place.row!.name}`);
    if (normal === null) return { kind: "refused", reason: "unknown" };
    const expansion: Expansion = { targets: [], seen: new Set(), open: new Set(), reason: null };
    this.#local(normal, place.row!, { expansion, depth: 0 });
    return outcome(expansion);
  }

  #place(domain: string): Place | null {
    const { directory } = this.#options;
    if (domain === "") return this.#defaultPlace(false);
    if (domain.startsWith("[")) {
      const literal = domain.toLowerCase();
      if (this.#literals.has(literal)) return this.#defaultPlace(false);
      return { destination: "foreign", name: literal, row: null, postmasterOnly: false };
    }
    const name = normalizeDomain(domain);
    if (name === null) return null;
    const row = directory.domain(name);
    if (row !== null) return { destination: row.kind, name, row, postmasterOnly: false };
    if (name === this.#hostname) return this.#defaultPlace(true);
    return { destination: "foreign", name, row: null, postmasterOnly: false };
  }

  #defaultPlace(postmasterOnly: boolean): Place | null {
    const row = this.#defaultDomain();
    return row === null ? null : { destination: "local", name: row.name, row, postmasterOnly };
  }

  #defaultDomain(): DomainRow | null {
    const { directory } = this.#options;
    for (let name = this.#hostname; name !== "";) {
      const row = directory.domain(name);
      if (row?.kind === "local") return row;
      const dot = name.indexOf(".");
      name = dot < 0 ? "" : name.slice(dot + 1);
    }
    return directory.domains({ after: "", limit: 1_000 }).find(({ kind }) => kind === "local") ?? null;
  }

  #toAccount(account: Account, deliveredTo: string): Resolution {
    const target = this.#mailbox(account, deliveredTo);
    return typeof target === "string"
      ? { kind: "refused", reason: target }
      : { kind: "accepted", targets: [target] };
  }

  #mailbox(account: Account, deliveredTo: string): MailboxTarget | RefusalReason {
    if (!account.enabled) return "disabled";
    const mailboxId = this.#options.mailboxes.inboxOf(account.id);
    if (mailboxId === null) return "unknown";
    return { kind: "mailbox", mailboxId, account: account.address, deliveredTo, captured: false };
  }

  #remote(address: string, destination: string): Resolution {
    const target = this.#remoteTarget(address, destination);
    return target === null
      ? { kind: "refused", reason: "disabled" }
      : { kind: "accepted", targets: [target] };
  }

  /** Null when mail is captured and nobody is there to take it: then it must not go out either. */
  #remoteTarget(address: string, destination: string): RecipientTarget | null {
    const { captureOutbound, directory } = this.#options;
    if (captureOutbound === "") return { kind: "remote", address, destination };
    const account = directory.account(normalizeAddress(captureOutbound) ?? captureOutbound);
    const target = account === null ? "unknown" : this.#mailbox(account, address);
    return typeof target === "string" ? null : { ...target, captured: true };
  }

  /** Adds what a local address (normal form) stands for. */
  #local(address: string, domain: DomainRow, at: { expansion: Expansion; depth: number }): void {
    if (this.#known(address, address, at)) return;
    for (const base of subaddressBases(address, domain.subaddressSeparators)) {
      if (this.#known(base, address, at)) return;
    }
    if (domain.catchAll !== "") {
      const catchAll = this.#options.directory.account(domain.catchAll);
      if (catchAll !== null) this.#add(this.#mailbox(catchAll, address), at.expansion);
      else this.#follow(address, [domain.catchAll], at);
      return;
    }
    const { directory } = this.#options;
    const oldest = isPostmaster(address)
      ? directory.oldestAccount(domain.name) ?? directory.oldestAccount(null)
      : null;
    this.#add(oldest === null ? "unknown" : this.#mailbox(oldest, address), at.expansion);
  }

  /** True when `address` is an account or alias; its targets are added then. */
  #known(address: string, deliveredTo: string, at: { expansion: Expansion; depth: number }): boolean {
    const { directory } = this.#options;
    const account = directory.account(address);
    if (account !== null) {
      this.#add(this.#mailbox(account, deliveredTo), at.expansion);
      return true;
    }
    const alias = directory.alias(address);
    if (alias === null) return false;
    this.#follow(address, alias.targets, at);
    return true;
  }

  #follow(from: string, targets: readonly string[], at: { expansion: Expansion; depth: number }): void {
    const { expansion, depth } = at;
    if (expansion.open.has(from) || depth >= MAX_ALIAS_DEPTH) return this.#add("alias-loop", expansion);
    if (expansion.seen.has(from)) return; // met on two branches: its targets are in already
    expansion.seen.add(from);
    expansion.open.add(from);
    for (const target of targets) {
      if (expansion.reason === "alias-too-wide") break;
      const place = this.#place(target.slice(target.lastIndexOf("@") + 1));
      if (place === null) this.#add("bad-domain", expansion);
      else if (place.destination === "local") {
        this.#local(normalizeAddress(target) ?? target, place.row!, { expansion, depth: depth + 1 });
      } else this.#add(this.#remoteTarget(target, place.name) ?? "disabled", expansion);
    }
    expansion.open.delete(from);
  }

  #add(target: RecipientTarget | RefusalReason, expansion: Expansion): void {
    if (typeof target === "string") {
      expansion.reason ??= target;
      if (expansion.open.size > 0) {
        log.warn("an alias names an address that takes no mail: {reason}", {
          reason: target,
          aliases: [...expansion.open].join(" > "),
        });
      }
    } else if (expansion.targets.length < MAX_ALIAS_TARGETS) expansion.targets.push(target);
    else expansion.reason = "alias-too-wide";
  }
}

function outcome({ targets, reason }: Expansion): Resolution {
  if (reason === "alias-too-wide" || targets.length === 0) {
    return { kind: "refused", reason: reason ?? "unknown" };
  }
  return { kind: "accepted", targets };
}

function isPostmaster(address: string): boolean {
  return address.startsWith("postmaster@");
}

/** RFC 5321 4.1.3. */
function literalOf(address: string): string {
  return address.includes(":") ? `[ipv6:${address.toLowerCase()}]` : `[${address}]`;
}

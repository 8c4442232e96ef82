/**
 * From a forward-path to the mailboxes, remote addresses and agents that get the message.
 *
 * An address of a local domain (places.ts) is, in this order: an account, a further address of one, an alias, a group, a
 * bounce to a forwarded message (srs.ts), a sub-address of any but the last, the domain's catch-all, or `postmaster`, which always
 * works (RFC 5321 4.5.1): where nobody takes it, it goes to the oldest enabled account of the domain, else of the server.
 * Mail to a shared account needs the right to post to its INBOX, or to the folder that a sub-address names.
 * Aliases may name aliases; what they name outside is forwarded through the queue, since the
 * operator wrote it; a target that takes no mail is passed over with a warning unless none is left. A disabled account
 * refuses (5.2.1), also through an alias of its own. `captureOutbound` files all remote mail in one INBOX instead.
 *
 * A recipient is over quota when each mailbox it leads to is: where only some are, the sender cannot be told of those,
 * and they get it. Hot: everything asked of the directory is cached but the counters of accounts with a quota
 * (bench/micro/inbound_bench.ts). Limits: {@linkcode MAX_ALIAS_TARGETS}, {@linkcode MAX_ALIAS_DEPTH}.
 */
import { getLogger } from "@logtape/logtape";
import { formatPath, type Path } from "../protocols/smtp/path.ts";
import type { Reply } from "../protocols/smtp/reply.ts";
import { domainOf, normalizeAddress, normalizeDomain } from "../storage/address_form.ts";
import type { DomainRow } from "../storage/ops.ts";
import type { Access } from "../storage/access.ts";
import type { Account, Directory, GroupRow } from "../storage/directory_view.ts";
import type { Mailboxes } from "../storage/mailboxes.ts";
import { Places } from "./places.ts";
import {
  ACCOUNT_DISABLED,
  ALIAS_LOOP,
  ALIAS_TOO_WIDE,
  BAD_BOUNCE_ADDRESS,
  BAD_DESTINATION,
  MAILBOX_FULL,
  MAILBOX_FULL_FOR_NOW,
  POSTING_DENIED,
  RELAYING_DENIED,
  UNKNOWN_RECIPIENT,
} from "./policy.ts";
import { overQuota } from "./quota.ts";
import { isSrs, srsReverse } from "./srs.ts";
import { folderOf, subaddressBases } from "./subaddress.ts";

/** Addresses one recipient may become. */
const MAX_ALIAS_TARGETS = 1_000;
/** Aliases naming aliases. */
const MAX_ALIAS_DEPTH = 10;

const log = getLogger(["veredus", "delivery"]);

export interface MailboxTarget {
  readonly kind: "mailbox";
  readonly mailboxId: number;
  /** Primary address of the account. */
  readonly account: string;
  readonly owner: Account;
  /** The folder of a sub-address that is to be made first; "" is none. */
  readonly newFolder: string;
  /** A masked address led here; "" when none did. */
  readonly masked: string;
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
  /** The domain of ours whose alias leads out; "" when the client named the address itself. */
  readonly forwardedBy: string;
}

/** What is done with the message from the queue: a group, or an alias to a command or an HTTP hook (agents.ts). */
export interface AgentTarget {
  readonly kind: "agent";
  /** The address of ours that leads there. */
  readonly address: string;
  /** `group:ADDRESS`, `command:NAME` or `hook:NAME`. */
  readonly destination: string;
}

export type RecipientTarget = MailboxTarget | RemoteTarget | AgentTarget;

/** What is known of the message at RCPT. */
export interface RcptFacts {
  /** The client may send to domains that are not ours. */
  readonly mayRelay: boolean;
  /** Reverse-path; "" is the null path. */
  readonly sender: string;
  /** The reverse-path is known to be the client's: a login, or a network that is trusted. */
  readonly senderKnown: boolean;
  /** As announced; 1 when it was not. */
  readonly octets: number;
}

/** Closed set, used as metric label. */
export type RefusalReason =
  | "unknown"
  | "disabled"
  | "relaying-denied"
  | "bad-domain"
  | "alias-loop"
  | "alias-too-wide"
  | "posting-denied"
  | "bad-bounce-address"
  | "over-quota"
  | "over-quota-for-now";

/** How a recipient was found; closed set, used as metric label. `forward`: an alias that leads (also) outside. */
export type RecipientWay =
  | "account"
  | "domain-alias"
  | "further"
  | "masked"
  | "sub-address"
  | "alias"
  | "forward"
  | "group"
  | "catch-all"
  | "postmaster"
  | "bounce"
  | "remote";

export type Resolution =
  | { readonly kind: "accepted"; readonly targets: readonly RecipientTarget[]; readonly way: RecipientWay }
  /** `full` are accounts whose quota was the reason. */
  | { readonly kind: "refused"; readonly reason: RefusalReason; readonly full?: readonly Account[] };

export const REFUSALS: Readonly<Record<RefusalReason, Reply>> = {
  "unknown": UNKNOWN_RECIPIENT,
  "disabled": ACCOUNT_DISABLED,
  "relaying-denied": RELAYING_DENIED,
  "bad-domain": BAD_DESTINATION,
  "alias-loop": ALIAS_LOOP,
  "alias-too-wide": ALIAS_TOO_WIDE,
  "posting-denied": POSTING_DENIED,
  "bad-bounce-address": BAD_BOUNCE_ADDRESS,
  "over-quota": MAILBOX_FULL,
  "over-quota-for-now": MAILBOX_FULL_FOR_NOW,
};

export interface RecipientOptions {
  readonly directory: Directory;
  readonly mailboxes: Pick<Mailboxes, "inboxOf" | "byFoldedName" | "byId">;
  readonly access: Pick<Access, "rights">;
  readonly hostname: string;
  /** Addresses this host is reached at: `[address]` as domain means us. */
  readonly ownAddresses: readonly string[];
  /** Account address, "" to send on. */
  readonly captureOutbound: string;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
}

interface Expansion {
  readonly targets: RecipientTarget[];
  /** Aliases that were followed, and those being followed now. */
  readonly seen: Set<string>;
  readonly open: Set<string>;
  /** Null: mail of our own, which no posting policy stops. */
  readonly facts: RcptFacts | null;
  reason: RefusalReason | null;
  /** Of the address itself, not of what its aliases name. */
  way: RecipientWay;
}

/** An alias target that is no address. */
const AGENT = /^(?:hook|command):[a-z0-9][a-z0-9_-]{0,63}$/;

export function isAgentTarget(text: string): boolean {
  return AGENT.test(text);
}

export class RecipientResolver {
  readonly #options: RecipientOptions;
  readonly #places: Places;

  constructor(options: RecipientOptions) {
    this.#options = options;
    this.#places = new Places(options);
  }

  resolve(path: Path, facts: RcptFacts): Resolution {
    const place = this.#places.of(path.domain);
    if (place === null) return { kind: "refused", reason: path.domain === "" ? "unknown" : "bad-domain" };
    if (place.destination !== "local") {
      if (place.destination === "foreign" && !facts.mayRelay) {
        return { kind: "refused", reason: "relaying-denied" };
      }
      return this.#remote(formatPath(path), place.name);
    }
    const domain = place.row!;
    const address = normalizeAddress(formatPath({ ...path, domain: domain.name }));
    if (address === null || (place.postmasterOnly && !isPostmaster(address))) {
      return { kind: "refused", reason: "unknown" };
    }
    const account = this.#options.directory.account(address);
    if (account !== null) {
      const named = path.domain === domain.name || normalizeDomain(path.domain) === domain.name;
      const way = named ? "account" : "domain-alias";
      return this.#room(this.#toAccount(account, { deliveredTo: address, way }, facts), facts.octets);
    }
    if (isSrs(path.localPart)) return this.#bounce(path.localPart, domain.name);
    const expansion = expansionFor(facts);
    this.#local(address, domain, { expansion, depth: 0 });
    return this.#room(outcome(expansion), facts.octets);
  }

  /** The same for an address of our own making (a DSN's recipient, a notice's, a member's), which may go anywhere. */
  resolveAddress(address: string): Resolution {
    const at = address.lastIndexOf("@");
    if (at <= 0) return { kind: "refused", reason: "bad-domain" };
    const place = this.#places.of(address.slice(at + 1));
    if (place === null) return { kind: "refused", reason: "bad-domain" };
    if (place.destination !== "local") return this.#remote(address, place.name);
    if (isSrs(address)) return this.#bounce(address.slice(0, at), place.row!.name);
    const normal = normalizeAddress(`${address.slice(0, at)}@${place.row!.name}`);
    if (normal === null) return { kind: "refused", reason: "unknown" };
    const expansion = expansionFor(null);
    this.#local(normal, place.row!, { expansion, depth: 0 });
    return outcome(expansion);
  }

  /** True for addresses of domains with mailboxes here. */
  isLocal(address: string): boolean {
    return this.#places.of(address.slice(address.lastIndexOf("@") + 1))?.destination === "local";
  }

  /** Refuses what leads only to mailboxes without room. */
  #room(resolution: Resolution, octets: number): Resolution {
    if (resolution.kind === "refused") return resolution;
    let refuses = true;
    const full: Account[] = [];
    for (const target of resolution.targets) {
      if (target.kind !== "mailbox") return resolution;
      const over = overQuota(this.#options.directory, target.owner, octets);
      if (over === null) return resolution;
      if (over.whose === "account") full.push(target.owner);
      if (over.rule === "defer") refuses = false;
    }
    return { kind: "refused", reason: refuses ? "over-quota" : "over-quota-for-now", full };
  }

  /** A bounce to what we rewrote goes back where the message came from (srs.ts). */
  #bounce(localPart: string, domain: string): Resolution {
    const { directory, clock } = this.#options;
    const keys = directory.secrets("srs").map(({ value }) => Uint8Array.fromBase64(value));
    const reversal = srsReverse(localPart, { keys, now: clock() });
    if (reversal.kind === "refused") {
      log.info("a bounce address is {reason}: {localPart}", { reason: reversal.reason, localPart });
      return { kind: "refused", reason: "bad-bounce-address" };
    }
    const { address } = reversal;
    const place = this.#places.of(domainOf(address));
    if (place === null || place.destination === "local") {
      return { kind: "refused", reason: "bad-bounce-address" }; // we never rewrite addresses of our own
    }
    const target = this.#remoteTarget(address, { destination: place.name, forwardedBy: domain });
    return target === null
      ? { kind: "refused", reason: "disabled" }
      : { kind: "accepted", targets: [target], way: "bounce" };
  }

  #toAccount(
    account: Account,
    { deliveredTo, way }: { readonly deliveredTo: string; readonly way: RecipientWay },
    facts: RcptFacts,
  ): Resolution {
    const target = this.#mailbox(account, deliveredTo, { facts });
    return typeof target === "string"
      ? { kind: "refused", reason: target }
      : { kind: "accepted", targets: [target], way };
  }

  /** `detail` is what a sub-address has behind its separator. */
  #mailbox(
    account: Account,
    deliveredTo: string,
    more: { readonly detail?: string; readonly masked?: string; readonly facts?: RcptFacts | null } = {},
  ): MailboxTarget | RefusalReason {
    if (!account.enabled) return "disabled";
    const { mailboxes } = this.#options;
    const inbox = mailboxes.inboxOf(account.id);
    if (inbox === null) return "unknown";
    const { folder, create } = this.#folderFor(account, more.detail ?? "");
    const named = folder === "" ? null : mailboxes.byFoldedName(account.id, folder);
    const facts = account.shared ? more.facts ?? null : null;
    const found = named !== null && facts !== null && !this.#mayPostTo(named.id, facts) ? null : named;
    if (found === null && facts !== null && !this.#mayPostTo(inbox, facts)) return "posting-denied";
    return {
      kind: "mailbox",
      mailboxId: found?.id ?? inbox,
      account: account.address,
      owner: account,
      deliveredTo,
      newFolder: found === null && create ? folder : "",
      masked: more.masked ?? "",
      captured: false,
    };
  }

  #folderFor(account: Account, detail: string): { folder: string; create: boolean } {
    if (detail === "") return { folder: "", create: false };
    // A shared account has its folders for those who may post there; none is made by mail.
    if (account.shared) return { folder: folderOf(detail), create: false };
    const way = account.subaddressFolder ??
      this.#options.directory.domain(domainOf(account.address))?.subaddressFolder ?? "inbox";
    return { folder: way === "inbox" ? "" : folderOf(detail), create: way === "create" };
  }

  #remote(address: string, destination: string): Resolution {
    const target = this.#remoteTarget(address, { destination, forwardedBy: "" });
    return target === null
      ? { kind: "refused", reason: "disabled" }
      : { kind: "accepted", targets: [target], way: "remote" };
  }

  /** Null when mail is captured and nobody is there to take it: then it must not go out either. */
  #remoteTarget(
    address: string,
    way: { readonly destination: string; readonly forwardedBy: string },
  ): RecipientTarget | null {
    const { captureOutbound, directory } = this.#options;
    if (captureOutbound === "") return { kind: "remote", address, ...way };
    const account = directory.account(normalizeAddress(captureOutbound) ?? captureOutbound);
    const target = account === null ? "unknown" : this.#mailbox(account, address);
    return typeof target === "string" ? null : { ...target, captured: true };
  }

  /** Adds what a local address (normal form) stands for. */
  #local(address: string, domain: DomainRow, at: { expansion: Expansion; depth: number }): void {
    if (this.#known(address, { deliveredTo: address, detail: "" }, at)) return;
    for (const base of subaddressBases(address, domain.subaddressSeparators)) {
      const detail = address.slice(base.lastIndexOf("@") + 1, address.lastIndexOf("@"));
      if (!this.#known(base, { deliveredTo: address, detail }, at)) continue;
      if (at.depth === 0) at.expansion.way = "sub-address";
      return;
    }
    if (domain.catchAll !== "") {
      if (at.depth === 0) at.expansion.way = "catch-all";
      const catchAll = this.#options.directory.account(domain.catchAll);
      if (catchAll !== null) this.#add(this.#mailbox(catchAll, address), at.expansion);
      else this.#follow(address, [domain.catchAll], at);
      return;
    }
    const { directory } = this.#options;
    const oldest = isPostmaster(address)
      ? directory.oldestAccount(domain.name) ?? directory.oldestAccount(null)
      : null;
    if (oldest !== null && at.depth === 0) at.expansion.way = "postmaster";
    this.#add(oldest === null ? "unknown" : this.#mailbox(oldest, address), at.expansion);
  }

  /** True when `address` is known; what it leads to is added then. */
  #known(
    address: string,
    way: { readonly deliveredTo: string; readonly detail: string },
    at: { expansion: Expansion; depth: number },
  ): boolean {
    const { directory } = this.#options;
    const { expansion } = at;
    // What an alias of the operator's leads to is posted by the operator.
    const facts = expansion.open.size > 0 ? null : expansion.facts;
    const account = directory.account(address);
    if (account !== null) {
      this.#add(this.#mailbox(account, way.deliveredTo, { ...way, facts }), expansion);
      return true;
    }
    const further = directory.address(address);
    if (further !== null) {
      if (at.depth === 0) expansion.way = further.kind === "masked" ? "masked" : "further";
      const owner = directory.owner(address);
      const masked = further.kind === "masked" ? address : "";
      this.#add(
        owner === null ? "disabled" : this.#mailbox(owner, way.deliveredTo, { ...way, masked, facts }),
        expansion,
      );
      return true;
    }
    const alias = directory.alias(address);
    if (alias !== null) {
      this.#follow(address, alias.targets, at);
      if (at.depth === 0) {
        expansion.way = expansion.targets.some(({ kind }) => kind === "remote") ? "forward" : "alias";
      }
      return true;
    }
    const group = directory.group(address);
    if (group === null) return false;
    if (at.depth === 0) expansion.way = "group";
    const mine = expansion.facts === null || expansion.open.size > 0 || this.#mayPost(group, expansion.facts);
    this.#add(
      mine ? { kind: "agent", address, destination: `group:${address}` } : "posting-denied",
      expansion,
    );
    return true;
  }

  /**
   * The right to post to a mailbox of a shared account (RFC 4314 2.1): of whom the sender is known to be, else of anyone.
   */
  #mayPostTo(mailboxId: number, { sender, senderKnown }: RcptFacts): boolean {
    const { access, directory, mailboxes } = this.#options;
    const mailbox = mailboxes.byId(mailboxId);
    const address = senderKnown && sender !== "" ? normalizeAddress(sender) : null;
    const reader = address === null ? null : directory.owner(address);
    return mailbox !== null && access.rights(reader, mailbox, "server").includes("p");
  }

  /** A reverse-path of ours counts only where the client is known to own it: others can write anything. */
  #mayPost(group: GroupRow, { sender, senderKnown }: RcptFacts): boolean {
    if (group.posting === "anyone") return true;
    const address = sender === "" ? null : normalizeAddress(sender);
    if (address === null || (!senderKnown && this.isLocal(address))) return false;
    const { directory } = this.#options;
    const names = [address, directory.owner(address)?.address ?? address, sender];
    if (names.some((name) => group.owners.includes(name))) return true;
    return group.posting === "members" && names.some((name) => directory.isMember(group.address, name));
  }

  #follow(from: string, targets: readonly string[], at: { expansion: Expansion; depth: number }): void {
    const { expansion, depth } = at;
    if (expansion.open.has(from) || depth >= MAX_ALIAS_DEPTH) return this.#add("alias-loop", expansion);
    if (expansion.seen.has(from)) return; // met on two branches: its targets are in already
    expansion.seen.add(from);
    expansion.open.add(from);
    for (const target of targets) {
      if (expansion.reason === "alias-too-wide") break;
      if (AGENT.test(target)) {
        this.#add({ kind: "agent", address: from, destination: target }, expansion);
        continue;
      }
      const place = this.#places.of(domainOf(target));
      if (place === null) this.#add("bad-domain", expansion);
      else if (place.destination === "local") {
        const renamed = `${target.slice(0, target.lastIndexOf("@"))}@${place.row!.name}`;
        this.#local(normalizeAddress(renamed) ?? renamed, place.row!, { expansion, depth: depth + 1 });
      } else {
        const way = { destination: place.name, forwardedBy: domainOf(from) };
        this.#add(this.#remoteTarget(target, way) ?? "disabled", expansion);
      }
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
    else {
      expansion.reason = "alias-too-wide";
      log.warn("an alias names more than {limit} addresses: {aliases}", {
        limit: MAX_ALIAS_TARGETS,
        aliases: [...expansion.open].join(" > "),
      });
    }
  }
}

function expansionFor(facts: RcptFacts | null): Expansion {
  return { targets: [], seen: new Set(), open: new Set(), facts, reason: null, way: "account" };
}

function outcome({ targets, reason, way }: Expansion): Resolution {
  if (reason === "alias-too-wide" || targets.length === 0) {
    return { kind: "refused", reason: reason ?? "unknown" };
  }
  return { kind: "accepted", targets, way };
}

function isPostmaster(address: string): boolean {
  return address.startsWith("postmaster@");
}

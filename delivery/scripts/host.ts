/**
 * What scripts can ask of this server (sieve/host.ts): the mailboxes, annotations and lists of one account.
 *
 * Every answer is one indexed read. Lists (RFC 6134) by name: `:addrbook:default` and `urn:veredus:known` are those the
 * account has written to, `urn:veredus:allow` and `urn:veredus:block` the lines of its annotations
 * `/private/vendor/veredus/allow` and `block` (addresses, or domains from "@" on).
 */
import { utf8 } from "../../bytes/decode.ts";
import { EMPTY_HOST, type Host } from "../../sieve/host.ts";
import type { Envelope } from "../../sieve/run.ts";
import { domainOf, normalizeAddress } from "../../storage/address_form.ts";
import type { Account } from "../../storage/directory_view.ts";
import type { Annotation } from "../../storage/mailboxes.ts";
import type { Store } from "../../storage/store.ts";
import { stateKey } from "./memory.ts";

export interface HostOptions {
  readonly store: Store;
  readonly account: Account;
  readonly envelope: Envelope;
  readonly hostname: string;
  readonly now: number;
  /** Of the client that sent the message; "" is not known. */
  readonly client: { readonly address: string; readonly name: string };
  /** Left out: not tested. */
  readonly virusLevel?: number | null;
  /** What the spam filter says; left out: not asked. */
  readonly spamPercent?: number | null;
}

const ANNOTATION = "/private/vendor/veredus/";
const KNOWN: ReadonlySet<string> = new Set([":addrbook:default", "urn:veredus:known"]);

export function scriptHost(options: HostOptions): Host {
  const { store, account, envelope, now } = options;
  const { mailboxes, directory, policy } = store;
  const mailboxNamed = (name: string) => mailboxes.byName(account.id, name);
  const annotation = (mailboxId: number, entry: string) =>
    annotationOf(mailboxes.annotations(account.id, mailboxId), entry.toLowerCase());
  return {
    ...EMPTY_HOST,
    envelope,
    now,
    zoneMinutes: -new Date(now).getTimezoneOffset(),
    separators: directory.domain(domainOf(account.address))?.subaddressSeparators ?? "",
    virusLevel: options.virusLevel ?? null,
    spamPercent: options.spamPercent ?? null,
    environment: (item) => environment(options, item),
    mailboxExists: (name) => mailboxNamed(name)?.selectable === true,
    mailboxIdExists: (id) => mailboxById(store, account, id) !== null,
    specialUseExists: (mailbox, use) =>
      mailbox === null
        ? mailboxes.list(account.id).some(({ specialUse }) => sameUse(specialUse, use))
        : sameUse(mailboxNamed(mailbox)?.specialUse ?? null, use),
    metadata: (mailbox, entry) => {
      if (mailbox === null) return annotation(0, entry);
      const found = mailboxNamed(mailbox);
      return found === null ? null : annotation(found.id, entry);
    },
    listHas: (list, value) => listHas(options, list, value),
    seen: (id, last) => {
      const row = policy.get("duplicate", stateKey(account.id, id), now);
      // RFC 7352 3.2: with :last the time counts from the last message, else from the first.
      return row !== null && (last || row.expiresAt > now);
    },
  };
}

/** An address, or its domain, is on a list of the account; null where there is no such list. */
export function listHas(
  { store: { mailboxes, policy }, account, now }: Pick<HostOptions, "store" | "account" | "now">,
  list: string,
  value: string,
): boolean | null {
  const address = normalizeAddress(value) ?? value.toLowerCase();
  if (KNOWN.has(list)) return policy.get("known", `${account.address} ${address}`, now) !== null;
  const name = /^urn:veredus:(allow|block)$/.exec(list)?.[1];
  if (name === undefined) return null;
  const text = annotationOf(mailboxes.annotations(account.id, 0), ANNOTATION + name);
  if (text === null || address === "") return false;
  const entries = text.toLowerCase().split(/\s+/);
  return entries.includes(address) || entries.includes(`@${domainOf(address)}`);
}

function annotationOf(annotations: readonly Annotation[], entry: string): string | null {
  const row = annotations.find((one) => one.entry === entry);
  return row === undefined ? null : utf8(row.value);
}

/** RFC 8579: special uses are compared in any case. */
export function sameUse(use: string | null, other: string): boolean {
  return use !== null && use.toLowerCase() === other.toLowerCase();
}

/** A mailbox by its object id (RFC 8474), of this account alone. */
export function mailboxById({ mailboxes }: Pick<Store, "mailboxes">, account: Account, id: string) {
  const number = /^F([1-9]\d{0,14})$/.exec(id)?.[1];
  const mailbox = number === undefined ? null : mailboxes.byId(Number(number));
  return mailbox?.accountId === account.id && mailbox.selectable ? mailbox : null;
}

/** RFC 6785 4.2 to 4.5: empty at a delivery. */
const IMAP_ITEMS = /^imap\.(?:user|email|cause|mailbox|changedflags)$/;

/** RFC 5183 4.1. */
function environment({ hostname, client, account }: HostOptions, item: string): string | null {
  switch (item) {
    case "domain":
      return domainOf(account.address);
    case "host":
      return hostname;
    case "location":
      return "MDA";
    case "name":
      return "Veredus";
    case "phase":
      return "during";
    case "remote-host":
      return client.name === "" ? null : client.name;
    case "remote-ip":
      return client.address === "" ? null : client.address;
    default:
      return IMAP_ITEMS.test(item) ? "" : null;
  }
}

/** The directory as the protocols and the administrator see it: domains, accounts, their addresses, groups, aliases, keys and tokens. */
import type { DkimKeyInput, DomainRow, GroupInput, QuotaLevel, SubaddressFolder, TokenRow } from "./ops.ts";

export interface Account {
  readonly id: number;
  readonly address: string;
  readonly displayName: string;
  readonly passwordHash: string | null;
  readonly enabled: boolean;
  readonly sendAs: readonly string[];
  readonly createdAt: number;
  /** Null takes the domain's, 0 is no limit. */
  readonly quotaOctets: number | null;
  readonly quotaMessages: number | null;
  readonly subaddressFolder: SubaddressFolder | null;
  /** Capabilities of IMAP its clients are not told of, in capitals. */
  readonly hiddenCapabilities: readonly string[];
  /** SCRAM verifier (RFC 5803); null where none could be made yet. */
  readonly scram: string | null;
  /** Nobody's own: it holds mailboxes for those who have rights on them, and nobody logs in as it. */
  readonly shared: boolean;
}

/** A client certificate that logs in. */
export interface CertificateRow {
  /** SHA-256 of the DER form, lower-case hex. */
  readonly fingerprint: string;
  readonly accountId: number;
  readonly note: string;
  readonly createdAt: number;
}

/** A further address of an account. */
export interface AddressRow {
  readonly address: string;
  readonly accountId: number;
  readonly kind: "own" | "masked";
  readonly enabled: boolean;
  readonly note: string;
  readonly createdAt: number;
  /** To the hour; 0 never. */
  readonly lastUsedAt: number;
}

export interface GroupRow extends GroupInput {
  readonly members: number;
  readonly createdAt: number;
}

/** What is stored, and what its owner was told. */
export interface Usage {
  readonly octets: number;
  readonly messages: number;
  readonly noticed: QuotaLevel;
}

/** A key, Base64. */
export interface SecretRow {
  readonly createdAt: number;
  readonly value: string;
}

export interface DkimKeyRow extends DkimKeyInput {
  readonly createdAt: number;
  readonly changedAt: number;
}

export interface AliasRow {
  readonly address: string;
  readonly targets: readonly string[];
}

/** Pages of administrative lists. */
export interface Page {
  /** Rows after this key, in key order; "" from the start. */
  readonly after: string;
  /** 1 to 1,000. */
  readonly limit: number;
}

export interface Directory {
  /** Cached, dropped on "directory" changes. */
  domain(name: string): DomainRow | null;
  domains(page: Page): DomainRow[];
  /** By exact primary address in normal form. */
  account(address: string): Account | null;
  accountById(id: number): Account | null;
  accounts(page: Page, domain?: string): Account[];
  /** The enabled account created first, of a domain or of all; cached. Takes mail to postmaster where nobody else does. */
  oldestAccount(domain: string | null): Account | null;
  /** A further address; cached, but for `lastUsedAt`. */
  address(address: string): AddressRow | null;
  addressesOf(accountId: number, page: Page): AddressRow[];
  /** The account with this address, its own or a further one that is enabled; cached. */
  owner(address: string): Account | null;
  /** Every account with a password has its SCRAM verifier; cached. */
  allHaveScram(): boolean;
  certificate(fingerprint: string): CertificateRow | null;
  certificatesOf(accountId: number): CertificateRow[];
  group(address: string): GroupRow | null;
  groups(page: Page, domain?: string): GroupRow[];
  members(group: string, page: Page): string[];
  isMember(group: string, member: string): boolean;
  /** Counters as they are now. */
  usage(accountId: number): Usage;
  domainUsage(name: string): { readonly octets: number; readonly messages: number };
  /** Newest first; cached. */
  secrets(name: string): readonly SecretRow[];
  /** All keys of a domain in whatever state, oldest first. */
  dkimKeys(domain: string): readonly DkimKeyRow[];
  alias(address: string): AliasRow | null;
  aliases(page: Page, domain?: string): AliasRow[];
  /** Alias addresses that deliver (directly) to this account address: may be used as From. */
  aliasesOf(address: string): string[];
  tokenByHash(hash: string): TokenRow | null;
  token(id: string): TokenRow | null;
  tokens(page: Page): TokenRow[];
}

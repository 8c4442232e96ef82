/** Reads of domains, accounts, addresses, groups, aliases, tokens and secrets. What deliveries and logins ask for is cached until it changes. */
import type { SqlValue } from "./libsql.ts";
import type { DomainRow, Posting, QuotaLevel, RelayRecipients, SubaddressFolder, TokenRow } from "./ops.ts";
import type { Statements } from "./statements.ts";
import type {
  Account,
  AddressRow,
  AliasRow,
  CertificateRow,
  Directory,
  DkimKeyRow,
  GroupRow,
  Page,
  SecretRow,
  Usage,
} from "./directory_view.ts";

const MAX_CACHED = 10_000;
const MAX_PAGE = 1_000;
const ACCOUNT =
  "id, address, display_name, password_hash, enabled, send_as, created_at, quota_octets, quota_messages, " +
  "subaddress_folder, scram, hidden_capabilities, shared";
const DOMAIN =
  "name, kind, next_hop, catch_all, subaddress_separators, alias_of, subaddress_folder, quota_octets, " +
  "quota_messages, account_quota_octets, account_quota_messages, quota_soft_percent, over_quota, relay_recipients";
const ADDRESS = "address, account_id, kind, enabled, note, created_at, last_used_at";
const GROUP = "address, display_name, posting, owners, members, created_at";
const CERTIFICATE = "fingerprint, account_id, note, created_at";
const TOKEN = "id, name, hash, scopes, created_at, expires_at";

export class SqlDirectory implements Directory {
  #statements: Statements;
  #domains = new Map<string, DomainRow | null>();
  #accounts = new Map<string, Account | null>();
  #aliases = new Map<string, AliasRow | null>();
  #oldest = new Map<string, Account | null>();
  #addresses = new Map<string, AddressRow | null>();
  #owners = new Map<string, Account | null>();
  #groups = new Map<string, GroupRow | null>();
  #allHaveScram: boolean | null = null;
  #secrets = new Map<string, readonly SecretRow[]>();
  #dkimKeys = new Map<string, readonly DkimKeyRow[]>();

  constructor(statements: Statements) {
    this.#statements = statements;
  }

  /** Forgets everything cached; on every "directory" change. */
  invalidate(): void {
    this.#domains.clear();
    this.#accounts.clear();
    this.#aliases.clear();
    this.#oldest.clear();
    this.#addresses.clear();
    this.#owners.clear();
    this.#groups.clear();
    this.#secrets.clear();
    this.#dkimKeys.clear();
    this.#allHaveScram = null;
  }

  domain(name: string): DomainRow | null {
    return cached(this.#domains, name, () => {
      const row = this.#statements.rows(`SELECT ${DOMAIN} FROM domains WHERE name = ?`).get(name);
      return row === undefined ? null : toDomain(row);
    });
  }

  domains(page: Page): DomainRow[] {
    return this.#statements.rows(`SELECT ${DOMAIN} FROM domains WHERE name > ? ORDER BY name LIMIT ?`)
      .all(page.after, limitOf(page)).map(toDomain);
  }

  account(address: string): Account | null {
    return cached(this.#accounts, address, () => {
      const row = this.#statements.rows(`SELECT ${ACCOUNT} FROM accounts WHERE address = ?`).get(address);
      return row === undefined ? null : toAccount(row);
    });
  }

  accountById(id: number): Account | null {
    const row = this.#statements.rows(`SELECT ${ACCOUNT} FROM accounts WHERE id = ?`).get(id);
    return row === undefined ? null : toAccount(row);
  }

  accounts(page: Page, domain?: string): Account[] {
    return this.#byAddress(`SELECT ${ACCOUNT} FROM accounts`, { page, domain }).map(toAccount);
  }

  oldestAccount(domain: string | null): Account | null {
    return cached(this.#oldest, domain ?? "", () => {
      const row = domain === null
        ? this.#statements.rows(`SELECT ${ACCOUNT} FROM accounts WHERE enabled = 1 ORDER BY id LIMIT 1`).get()
        : this.#statements.rows(
          `SELECT ${ACCOUNT} FROM accounts WHERE domain = ? AND enabled = 1 ORDER BY id LIMIT 1`,
        ).get(domain);
      return row === undefined ? null : toAccount(row);
    });
  }

  address(address: string): AddressRow | null {
    return cached(this.#addresses, address, () => {
      const row = this.#statements.rows(`SELECT ${ADDRESS} FROM addresses WHERE address = ?`).get(address);
      return row === undefined ? null : toAddress(row);
    });
  }

  addressesOf(accountId: number, page: Page): AddressRow[] {
    return this.#statements.rows(
      `SELECT ${ADDRESS} FROM addresses WHERE account_id = ? AND address > ? ORDER BY address LIMIT ?`,
    ).all(accountId, page.after, limitOf(page)).map(toAddress);
  }

  owner(address: string): Account | null {
    return cached(this.#owners, address, () => {
      const primary = this.account(address);
      if (primary !== null) return primary;
      const further = this.address(address);
      return further?.enabled ? this.accountById(further.accountId) : null;
    });
  }

  group(address: string): GroupRow | null {
    return cached(this.#groups, address, () => {
      const row = this.#statements.rows(`SELECT ${GROUP} FROM groups WHERE address = ?`).get(address);
      return row === undefined ? null : toGroup(row);
    });
  }

  groups(page: Page, domain?: string): GroupRow[] {
    return this.#byAddress(`SELECT ${GROUP} FROM groups`, { page, domain }).map(toGroup);
  }

  members(group: string, page: Page): string[] {
    return this.#statements.rows(
      "SELECT member FROM group_members WHERE group_address = ? AND member > ? ORDER BY member LIMIT ?",
    ).all(group, page.after, limitOf(page)).map((row) => row[0] as string);
  }

  isMember(group: string, member: string): boolean {
    return this.#statements.rows("SELECT 1 FROM group_members WHERE group_address = ? AND member = ?")
      .get(group, member) !== undefined;
  }

  usage(accountId: number): Usage {
    const [octets = 0, messages = 0, noticed = 0] = this.#statements.rows(
      "SELECT used_octets, used_messages, quota_noticed FROM accounts WHERE id = ?",
    ).get(accountId) as number[] | undefined ?? [];
    return { octets, messages, noticed: noticed as QuotaLevel };
  }

  domainUsage(name: string): { octets: number; messages: number } {
    const [octets = 0, messages = 0] = this.#statements.rows(
      "SELECT used_octets, used_messages FROM domains WHERE name = ?",
    ).get(name) as number[] | undefined ?? [];
    return { octets, messages };
  }

  allHaveScram(): boolean {
    return this.#allHaveScram ??= this.#statements.rows(
      "SELECT 1 FROM accounts WHERE scram IS NULL AND password_hash IS NOT NULL LIMIT 1",
    ).get() === undefined;
  }

  certificate(fingerprint: string): CertificateRow | null {
    const row = this.#statements.rows(`SELECT ${CERTIFICATE} FROM client_certificates WHERE fingerprint = ?`)
      .get(fingerprint);
    return row === undefined ? null : toCertificate(row);
  }

  certificatesOf(accountId: number): CertificateRow[] {
    return this.#statements.rows(
      `SELECT ${CERTIFICATE} FROM client_certificates WHERE account_id = ? ORDER BY fingerprint LIMIT 1000`,
    ).all(accountId).map(toCertificate);
  }

  dkimKeys(domain: string): readonly DkimKeyRow[] {
    return cached(this.#dkimKeys, domain, () =>
      this.#statements.rows(
        "SELECT domain, selector, kind, private_key, public_key, state, created_at, changed_at FROM dkim_keys " +
          "WHERE domain = ? ORDER BY created_at, selector LIMIT 100",
      ).all(domain).map((row) => ({
        domain: row[0] as string,
        selector: row[1] as string,
        kind: row[2] as DkimKeyRow["kind"],
        privateKey: row[3] as string,
        publicKey: row[4] as string,
        state: row[5] as DkimKeyRow["state"],
        createdAt: row[6] as number,
        changedAt: row[7] as number,
      })));
  }

  secrets(name: string): readonly SecretRow[] {
    return cached(this.#secrets, name, () =>
      this.#statements.rows(
        "SELECT created_at, value FROM secrets WHERE name = ? ORDER BY created_at DESC LIMIT 100",
      ).all(name).map(([createdAt, value]) => ({ createdAt: createdAt as number, value: value as string })));
  }

  alias(address: string): AliasRow | null {
    return cached(this.#aliases, address, () => {
      const row = this.#statements.rows("SELECT address, targets FROM aliases WHERE address = ?").get(
        address,
      );
      return row === undefined ? null : toAlias(row);
    });
  }

  aliases(page: Page, domain?: string): AliasRow[] {
    return this.#byAddress("SELECT address, targets FROM aliases", { page, domain }).map(toAlias);
  }

  /** What `select` names, of a domain or of all. */
  #byAddress(
    select: string,
    { page, domain }: { readonly page: Page; readonly domain: string | undefined },
  ): SqlValue[][] {
    const order = "address > ? ORDER BY address LIMIT ?";
    return domain === undefined
      ? this.#statements.rows(`${select} WHERE ${order}`).all(page.after, limitOf(page))
      : this.#statements.rows(`${select} WHERE domain = ? AND ${order}`).all(
        domain,
        page.after,
        limitOf(page),
      );
  }

  aliasesOf(address: string): string[] {
    return this.#statements.rows(
      "SELECT address FROM alias_targets WHERE target = ? ORDER BY address LIMIT 1000",
    )
      .all(address).map((row) => row[0] as string);
  }

  tokenByHash(hash: string): TokenRow | null {
    const row = this.#statements.rows(`SELECT ${TOKEN} FROM tokens WHERE hash = ?`).get(hash);
    return row === undefined ? null : toToken(row);
  }

  token(id: string): TokenRow | null {
    const row = this.#statements.rows(`SELECT ${TOKEN} FROM tokens WHERE id = ?`).get(id);
    return row === undefined ? null : toToken(row);
  }

  tokens(page: Page): TokenRow[] {
    return this.#statements.rows(`SELECT ${TOKEN} FROM tokens WHERE id > ? ORDER BY id LIMIT ?`)
      .all(page.after, limitOf(page)).map(toToken);
  }
}

function cached<T>(cache: Map<string, T>, key: string, read: () => T): T {
  const known = cache.get(key);
  if (known !== undefined) return known;
  const value = read();
  if (cache.size >= MAX_CACHED) cache.clear();
  cache.set(key, value);
  return value;
}

function limitOf(page: Page): number {
  return Math.max(1, Math.min(MAX_PAGE, page.limit));
}

function lines(text: unknown): string[] {
  return text === "" ? [] : String(text).split("\n");
}

function toDomain(row: unknown[]): DomainRow {
  const [name, kind, nextHop, catchAll, subaddressSeparators, aliasOf] = row as string[];
  const [quotaOctets, quotaMessages, accountQuotaOctets, accountQuotaMessages, quotaSoftPercent] = row.slice(
    7,
  ) as number[];
  return {
    name: name!,
    kind: kind as "local" | "relay",
    nextHop: nextHop!,
    catchAll: catchAll!,
    subaddressSeparators: subaddressSeparators!,
    aliasOf: aliasOf!,
    subaddressFolder: row[6] as SubaddressFolder,
    quotaOctets: quotaOctets!,
    quotaMessages: quotaMessages!,
    accountQuotaOctets: accountQuotaOctets!,
    accountQuotaMessages: accountQuotaMessages!,
    quotaSoftPercent: quotaSoftPercent!,
    overQuota: row[12] as "defer" | "refuse",
    relayRecipients: row[13] as RelayRecipients,
  };
}

function toAddress(row: unknown[]): AddressRow {
  const [address, accountId, kind, enabled, note, createdAt, lastUsedAt] = row;
  return {
    address: address as string,
    accountId: accountId as number,
    kind: kind as "own" | "masked",
    enabled: enabled === 1,
    note: note as string,
    createdAt: createdAt as number,
    lastUsedAt: lastUsedAt as number,
  };
}

function toCertificate(row: unknown[]): CertificateRow {
  const [fingerprint, accountId, note, createdAt] = row;
  return {
    fingerprint: fingerprint as string,
    accountId: accountId as number,
    note: note as string,
    createdAt: createdAt as number,
  };
}

function toGroup(row: unknown[]): GroupRow {
  const [address, displayName, posting, owners, members, createdAt] = row;
  return {
    address: address as string,
    displayName: displayName as string,
    posting: posting as Posting,
    owners: lines(owners),
    members: members as number,
    createdAt: createdAt as number,
  };
}

function toAccount(row: unknown[]): Account {
  const [
    id,
    address,
    displayName,
    passwordHash,
    enabled,
    sendAs,
    createdAt,
    quotaOctets,
    quotaMessages,
    folder,
    scram,
    hiddenCapabilities,
    shared,
  ] = row;
  return {
    id: id as number,
    address: address as string,
    displayName: displayName as string,
    passwordHash: passwordHash as string | null,
    enabled: enabled === 1,
    sendAs: lines(sendAs),
    createdAt: createdAt as number,
    quotaOctets: quotaOctets as number | null,
    quotaMessages: quotaMessages as number | null,
    subaddressFolder: folder as SubaddressFolder | null,
    scram: scram as string | null,
    hiddenCapabilities: (hiddenCapabilities as string).split(" ").filter((name) => name !== ""),
    shared: shared === 1,
  };
}

function toAlias(row: unknown[]): AliasRow {
  return { address: row[0] as string, targets: lines(row[1]) };
}

function toToken(row: unknown[]): TokenRow {
  const [id, name, hash, scopes, createdAt, expiresAt] = row;
  return {
    id: id as string,
    name: name as string,
    hash: hash as string,
    scopes: String(scopes).split(" ").filter((scope) => scope !== ""),
    createdAt: createdAt as number,
    expiresAt: expiresAt as number,
  };
}

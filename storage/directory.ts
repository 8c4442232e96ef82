/** Reads of domains, accounts, aliases and tokens. What deliveries and logins ask for is cached until it changes. */
import type { DomainRow, TokenRow } from "./ops.ts";
import type { Statements } from "./statements.ts";
import type { Account, AliasRow, Directory, Page } from "./store.ts";

const MAX_CACHED = 10_000;
const MAX_PAGE = 1_000;
const ACCOUNT = "id, address, display_name, password_hash, enabled, send_as, created_at";
const DOMAIN = "name, kind, next_hop, catch_all, subaddress_separators";
const TOKEN = "id, name, hash, scopes, created_at, expires_at";

export class SqlDirectory implements Directory {
  #statements: Statements;
  #domains = new Map<string, DomainRow | null>();
  #accounts = new Map<string, Account | null>();
  #aliases = new Map<string, AliasRow | null>();
  #oldest = new Map<string, Account | null>();

  constructor(statements: Statements) {
    this.#statements = statements;
  }

  /** Forgets everything cached; on every "directory" change. */
  invalidate(): void {
    this.#domains.clear();
    this.#accounts.clear();
    this.#aliases.clear();
    this.#oldest.clear();
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
    const rows = domain === undefined
      ? this.#statements.rows(`SELECT ${ACCOUNT} FROM accounts WHERE address > ? ORDER BY address LIMIT ?`)
        .all(page.after, limitOf(page))
      : this.#statements.rows(
        `SELECT ${ACCOUNT} FROM accounts WHERE domain = ? AND address > ? ORDER BY address LIMIT ?`,
      ).all(domain, page.after, limitOf(page));
    return rows.map(toAccount);
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

  alias(address: string): AliasRow | null {
    return cached(this.#aliases, address, () => {
      const row = this.#statements.rows("SELECT address, targets FROM aliases WHERE address = ?").get(
        address,
      );
      return row === undefined ? null : toAlias(row);
    });
  }

  aliases(page: Page, domain?: string): AliasRow[] {
    const rows = domain === undefined
      ? this.#statements.rows(
        "SELECT address, targets FROM aliases WHERE address > ? ORDER BY address LIMIT ?",
      )
        .all(page.after, limitOf(page))
      : this.#statements.rows(
        "SELECT address, targets FROM aliases WHERE domain = ? AND address > ? ORDER BY address LIMIT ?",
      ).all(domain, page.after, limitOf(page));
    return rows.map(toAlias);
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
  const [name, kind, nextHop, catchAll, subaddressSeparators] = row as string[];
  return {
    name: name!,
    kind: kind as "local" | "relay",
    nextHop: nextHop!,
    catchAll: catchAll!,
    subaddressSeparators: subaddressSeparators!,
  };
}

function toAccount(row: unknown[]): Account {
  const [id, address, displayName, passwordHash, enabled, sendAs, createdAt] = row;
  return {
    id: id as number,
    address: address as string,
    displayName: displayName as string,
    passwordHash: passwordHash as string | null,
    enabled: enabled === 1,
    sendAs: lines(sendAs),
    createdAt: createdAt as number,
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

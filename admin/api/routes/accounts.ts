/** Accounts: a primary address with its mailboxes, its password and the other addresses it may send from. */
import { createRoute, z } from "@hono/zod-openapi";
import { HashBusy } from "../../../auth/hash_work.ts";
import { parsePasswordHash, UnusableHash } from "../../../auth/password_hash.ts";
import { makeScram } from "../../../auth/scram.ts";
import { domainOf } from "../../../storage/address_form.ts";
import type { Account } from "../../../storage/directory_view.ts";
import { needs } from "../access.ts";
import { afterOf, pageOf, pageQuery, toPage } from "../page.ts";
import { commit, invalid, Problem, PROBLEM_RESPONSE } from "../problem.ts";
import {
  domainName,
  existingAccount,
  jsonBody,
  jsonResponse,
  localAddress,
  newRouter,
  plainText,
  type RouteContext,
  type Router,
  time,
  timeText,
} from "../router.ts";

const MAX_PASSWORD = 1_024;
const MAX_SEND_AS = 1_000;

const fields = {
  displayName: plainText(200),
  enabled: z.boolean().openapi({ description: "false: no login; mail is still taken" }),
  sendAs: z.array(localAddress).max(MAX_SEND_AS).openapi({
    description: "addresses this login may write from besides its own and its aliases",
  }),
};
const limit = z.int().min(0).max(Number.MAX_SAFE_INTEGER).nullable();
const options = {
  quotaOctets: limit.openapi({ description: "hard limit; 0: none, null: the domain's" }),
  quotaMessages: limit.openapi({ description: "the same in messages" }),
  subaddressFolder: z.enum(["inbox", "existing", "create"]).nullable().openapi({
    description: "where mail for user+folder goes; null: as the domain says",
  }),
  hiddenCapabilities: z.array(z.string().regex(/^[A-Z0-9][A-Z0-9+=\-]{0,63}$/)).max(32).openapi({
    description: "IMAP capabilities (in capitals) its clients are not told of: a way around their faults",
  }),
};
const secretFields = {
  password: z.string().min(1).max(MAX_PASSWORD).optional(),
  passwordHash: z.string().max(512).nullable().optional().openapi({
    description:
      "a hash to take over ($scrypt$, $argon2id$, $2a$, $2b$, $2y$) in place of a password; null: no login",
  }),
};
const accountSchema = z.object({
  id: z.int(),
  address: z.string(),
  ...fields,
  ...options,
  sendAs: z.array(z.string()),
  shared: z.boolean(),
  hasPassword: z.boolean(),
  createdAt: time,
}).openapi("Account");
const accountDetails = accountSchema.extend({
  aliases: z.array(z.string()).openapi({ description: "aliases that deliver to it" }),
  mailboxes: z.int(),
  messages: z.int(),
  sizeOctets: z.int(),
}).openapi("AccountDetails");
const newAccount = z.strictObject({
  address: localAddress,
  displayName: fields.displayName.default(""),
  enabled: fields.enabled.default(true),
  sendAs: fields.sendAs.default([]),
  shared: z.boolean().default(false).openapi({
    description: "nobody logs in as it: it holds mailboxes for those who have rights on them",
  }),
  ...z.object(options).partial().shape,
  ...secretFields,
}).openapi("NewAccount");
const accountChange = z.strictObject({
  ...z.object({ ...fields, ...options }).partial().shape,
  ...secretFields,
})
  .openapi("AccountChange");
const addressParam = z.object({ address: localAddress });
const tags = ["Accounts"];

export function accountRoutes({ services, directory }: RouteContext): Router {
  const { store } = services;
  const router = newRouter();

  router.openapi(
    createRoute({
      method: "get",
      path: "/accounts",
      tags,
      summary: "List accounts",
      middleware: [needs("accounts:read")],
      request: { query: pageQuery.extend({ domain: domainName.optional() }) },
      responses: {
        200: jsonResponse(pageOf(accountSchema, "AccountPage"), "A page, by address"),
        default: PROBLEM_RESPONSE,
      },
    }),
    (c) => {
      const { cursor, limit, domain } = c.req.valid("query");
      const rows = store.directory.accounts({ after: afterOf(cursor), limit: limit + 1 }, domain);
      return c.json(toPage(rows, { limit, keyOf: ({ address }) => address, toItem: shown }), 200);
    },
  );

  router.openapi(
    createRoute({
      method: "post",
      path: "/accounts",
      tags,
      summary: "Add an account",
      description:
        "With INBOX, Sent, Drafts, Junk, Trash and Archive. Without a password nobody can log in. A shared account has INBOX alone, to which anyone may send.",
      middleware: [needs("accounts:write")],
      request: jsonBody(newAccount),
      responses: { 201: jsonResponse(accountSchema, "The new account"), default: PROBLEM_RESPONSE },
    }),
    async (c) => {
      const { address, displayName, enabled, sendAs, shared, ...rest } = c.req.valid("json");
      const { quotaOctets, quotaMessages, subaddressFolder, hiddenCapabilities, ...secret } = rest;
      if (shared && (secret.password !== undefined || typeof secret.passwordHash === "string")) {
        throw invalid("password", "nobody logs in as a shared account");
      }
      const free = () => {
        if (store.directory.account(address) === null) return;
        throw new Problem(409, { fault: "already-exists", detail: `the account ${address} exists` });
      };
      free(); // before a hash is computed for nothing
      const passwordHash = await passwordHashOf(secret) ?? null;
      return await directory.run(async () => {
        free();
        refuseForeignDomain(address);
        const more = given({ quotaOctets, quotaMessages, subaddressFolder, hiddenCapabilities });
        const account = {
          address,
          displayName,
          enabled,
          sendAs,
          shared,
          passwordHash,
          scram: await scramOf(secret.password),
          ...more,
        };
        await commit(store, { kind: "put-account", account });
        return c.json(shown(existingAccount(store, address)), 201);
      });
    },
  );

  router.openapi(
    createRoute({
      method: "get",
      path: "/accounts/{address}",
      tags,
      summary: "Show an account",
      middleware: [needs("accounts:read")],
      request: { params: addressParam },
      responses: { 200: jsonResponse(accountDetails, "The account"), default: PROBLEM_RESPONSE },
    }),
    (c) => {
      const account = existingAccount(store, c.req.valid("param").address);
      const { octets, messages } = store.messages.usage(account.id);
      return c.json({
        ...shown(account),
        aliases: store.directory.aliasesOf(account.address),
        mailboxes: store.mailboxes.list(account.id).length,
        messages,
        sizeOctets: octets,
      }, 200);
    },
  );

  router.openapi(
    createRoute({
      method: "patch",
      path: "/accounts/{address}",
      tags,
      summary: "Change an account",
      description: "A new password, or `enabled: false`, ends its sessions.",
      middleware: [needs("accounts:write")],
      request: { params: addressParam, ...jsonBody(accountChange) },
      responses: { 200: jsonResponse(accountSchema, "The changed account"), default: PROBLEM_RESPONSE },
    }),
    async (c) => {
      const { address } = c.req.valid("param");
      const { displayName, enabled, sendAs, ...rest } = c.req.valid("json");
      const { quotaOctets, quotaMessages, subaddressFolder, hiddenCapabilities, ...secret } = rest;
      if (
        existingAccount(store, address).shared &&
        (secret.password !== undefined || typeof secret.passwordHash === "string")
      ) {
        throw invalid("password", "nobody logs in as a shared account");
      }
      const passwordHash = await passwordHashOf(secret);
      return await directory.run(async () => {
        existingAccount(store, address);
        await commit(store, {
          kind: "put-account",
          account: {
            address,
            ...(displayName !== undefined && { displayName }),
            ...(enabled !== undefined && { enabled }),
            ...(sendAs !== undefined && { sendAs }),
            ...(passwordHash !== undefined && { passwordHash, scram: await scramOf(secret.password) }),
            ...given({ quotaOctets, quotaMessages, subaddressFolder, hiddenCapabilities }),
          },
        });
        if (passwordHash !== undefined || enabled === false) await endSessions(address);
        return c.json(shown(existingAccount(store, address)), 200);
      });
    },
  );

  router.openapi(
    createRoute({
      method: "delete",
      path: "/accounts/{address}",
      tags,
      summary: "Remove an account with all its mail",
      middleware: [needs("accounts:write")],
      request: { params: addressParam },
      responses: { 204: { description: "It is gone" }, default: PROBLEM_RESPONSE },
    }),
    (c) => {
      const { address } = c.req.valid("param");
      return directory.run(async () => {
        existingAccount(store, address);
        await commit(store, { kind: "remove-account", address });
        await endSessions(address);
        return c.body(null, 204);
      });
    },
  );

  function refuseForeignDomain(address: string): void {
    const name = domainOf(address);
    const domain = store.directory.domain(name);
    if (domain?.kind === "local") return;
    throw new Problem(409, {
      fault: "no-such-domain",
      detail: domain === null
        ? `there is no domain ${name}; add it first (veredus domain add ${name})`
        : `${name} is a relay domain and has no accounts`,
    });
  }

  /** Null where only a hash is known: the next login makes it. */
  async function scramOf(password: string | undefined): Promise<string | null> {
    return password === undefined ? null : await makeScram(password);
  }

  /** Undefined: unchanged. */
  async function passwordHashOf(
    secret: { password?: string | undefined; passwordHash?: string | null | undefined },
  ): Promise<string | null | undefined> {
    const { password, passwordHash } = secret;
    if (password !== undefined && passwordHash !== undefined) {
      throw invalid("password", "give either a password or a passwordHash");
    }
    if (typeof passwordHash === "string") {
      try {
        parsePasswordHash(passwordHash);
      } catch (error) {
        if (error instanceof UnusableHash) throw invalid("passwordHash", error.message);
        throw error;
      }
    }
    if (password === undefined) return passwordHash;
    try {
      return await services.hashPassword(password);
    } catch (error) {
      if (error instanceof HashBusy) throw new Problem(503, { fault: "unavailable", detail: error.message });
      throw error;
    }
  }

  async function endSessions(address: string): Promise<void> {
    if (services.sessions === null) return;
    const { sessions } = services;
    const own = (await sessions.list()).filter(({ account }) => account === address);
    await Promise.all(own.map(({ id }) => sessions.end(id)));
  }

  return router;
}

/** Without the options that were left out. */
function given<T extends object>(options: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}

function shown(account: Account) {
  const { id, address, displayName, enabled, sendAs, passwordHash, createdAt } = account;
  return {
    id,
    address,
    displayName,
    enabled,
    quotaOctets: account.quotaOctets,
    quotaMessages: account.quotaMessages,
    subaddressFolder: account.subaddressFolder,
    hiddenCapabilities: [...account.hiddenCapabilities],
    sendAs: [...sendAs],
    shared: account.shared,
    hasPassword: passwordHash !== null,
    createdAt: timeText(createdAt),
  };
}

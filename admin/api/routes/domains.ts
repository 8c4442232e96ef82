/** Domains: those with mailboxes here (`local`), and those that mail is taken for and sent on (`relay`). */
import { createRoute, z } from "@hono/zod-openapi";
import { normalizeAddress } from "../../../storage/address_form.ts";
import type { DomainRow } from "../../../storage/ops.ts";
import { needs } from "../access.ts";
import { afterOf, pageOf, pageQuery, toPage } from "../page.ts";
import { commit, invalid, notFound, Problem, PROBLEM_RESPONSE } from "../problem.ts";
import { domainName, jsonBody, jsonResponse, newRouter, type RouteContext, type Router } from "../router.ts";

const MAX_SEPARATORS = 4;
const NEXT_HOP = /^(?:mx|lmtp:unix:\/[^\s]{1,100}|(?:lmtp:)?(?:\[[0-9a-f:.]+\]|[^\s:[\]/]+):\d{1,5})$/i;

const fields = {
  kind: z.enum(["local", "relay"]).openapi({
    description: "local: mailboxes here; relay: accepted for and sent on",
  }),
  nextHop: z.string().max(300).openapi({
    description: "relay only: `mx`, `HOST:PORT` (SMTP), `lmtp:HOST:PORT` or `lmtp:unix:/PATH`",
    example: "",
  }),
  catchAll: z.string().max(1_024).openapi({
    description: "address that receives what no account or alias takes; empty: nobody",
    example: "",
  }),
  subaddressSeparators: z.string().max(MAX_SEPARATORS).regex(/^[-+=_.#~]*$/, {
    error: `up to ${MAX_SEPARATORS} of the characters - + = _ . # ~`,
  }).openapi({ description: "user+tag is user; empty: off", example: "+" }),
};
const limit = z.int().min(0).max(Number.MAX_SAFE_INTEGER);
const options = {
  aliasOf: z.union([z.literal(""), domainName]).openapi({
    description: "the local domain this one is another name of; empty: a domain of its own",
    example: "",
  }),
  subaddressFolder: z.enum(["inbox", "existing", "create"]).openapi({
    description:
      "mail for user+folder: to INBOX, to the folder where it exists, or to the folder in any case",
  }),
  relayRecipients: z.enum(["any", "list", "ask"]).openapi({
    description:
      "relay only: whom mail is taken for: anybody, those of a list, or whom the next hop says that it takes",
  }),
  quotaOctets: limit.openapi({ description: "hard limit of all accounts together; 0: none" }),
  quotaMessages: limit.openapi({ description: "the same in messages" }),
  accountQuotaOctets: limit.openapi({
    description: "hard limit of each account without its own; 0: none",
  }),
  accountQuotaMessages: limit.openapi({ description: "the same in messages" }),
  quotaSoftPercent: z.int().min(0).max(100).openapi({
    description: "hundredths of an account's limit from which on its owner is told once; 0: never",
  }),
  overQuota: z.enum(["defer", "refuse"]).openapi({
    description: "mail over a hard limit is put off (452 4.2.2) or refused (552 5.2.2)",
  }),
};

const domainSchema = z.object({ name: z.string(), ...fields, ...options }).openapi("Domain");
const domainDetails = domainSchema.extend({ usedOctets: z.int(), usedMessages: z.int() }).openapi(
  "DomainDetails",
);
const newDomain = z.strictObject({
  name: domainName,
  kind: fields.kind.default("local"),
  nextHop: fields.nextHop.default(""),
  catchAll: fields.catchAll.default(""),
  subaddressSeparators: fields.subaddressSeparators.default("+"),
  aliasOf: options.aliasOf.default(""),
  subaddressFolder: options.subaddressFolder.default("inbox"),
  relayRecipients: options.relayRecipients.default("any"),
  quotaOctets: options.quotaOctets.default(0),
  quotaMessages: options.quotaMessages.default(0),
  accountQuotaOctets: options.accountQuotaOctets.default(0),
  accountQuotaMessages: options.accountQuotaMessages.default(0),
  quotaSoftPercent: options.quotaSoftPercent.default(90),
  overQuota: options.overQuota.default("defer"),
}).openapi("NewDomain");
const domainChange = z.strictObject({ ...fields, ...options }).partial().openapi("DomainChange");
const nameParam = z.object({ name: domainName });
const tags = ["Domains"];

export function domainRoutes({ services, directory }: RouteContext): Router {
  const { store } = services;
  const router = newRouter();

  router.openapi(
    createRoute({
      method: "get",
      path: "/domains",
      tags,
      summary: "List domains",
      middleware: [needs("domains:read")],
      request: { query: pageQuery },
      responses: {
        200: jsonResponse(pageOf(domainSchema, "DomainPage"), "A page, by name"),
        default: PROBLEM_RESPONSE,
      },
    }),
    (c) => {
      const { cursor, limit } = c.req.valid("query");
      const rows = store.directory.domains({ after: afterOf(cursor), limit: limit + 1 });
      return c.json(toPage(rows, { limit, keyOf: ({ name }) => name, toItem: (row) => row }), 200);
    },
  );

  router.openapi(
    createRoute({
      method: "post",
      path: "/domains",
      tags,
      summary: "Add a domain",
      middleware: [needs("domains:write")],
      request: jsonBody(newDomain),
      responses: { 201: jsonResponse(domainSchema, "The new domain"), default: PROBLEM_RESPONSE },
    }),
    (c) => {
      const domain = checked(c.req.valid("json"));
      return directory.run(async () => {
        if (store.directory.domain(domain.name) !== null) {
          throw new Problem(409, { fault: "already-exists", detail: `the domain ${domain.name} exists` });
        }
        await commit(store, { kind: "put-domain", domain });
        return c.json(domain, 201);
      });
    },
  );

  router.openapi(
    createRoute({
      method: "get",
      path: "/domains/{name}",
      tags,
      summary: "Show a domain",
      middleware: [needs("domains:read")],
      request: { params: nameParam },
      responses: { 200: jsonResponse(domainDetails, "The domain"), default: PROBLEM_RESPONSE },
    }),
    (c) => {
      const domain = existing(c.req.valid("param").name);
      const { octets, messages } = store.directory.domainUsage(domain.name);
      return c.json({ ...domain, usedOctets: octets, usedMessages: messages }, 200);
    },
  );

  router.openapi(
    createRoute({
      method: "patch",
      path: "/domains/{name}",
      tags,
      summary: "Change a domain",
      middleware: [needs("domains:write")],
      request: { params: nameParam, ...jsonBody(domainChange) },
      responses: { 200: jsonResponse(domainSchema, "The changed domain"), default: PROBLEM_RESPONSE },
    }),
    (c) => {
      const { name } = c.req.valid("param");
      const change = c.req.valid("json");
      return directory.run(async () => {
        const before = existing(name);
        // A relay domain that becomes local has no next hop any more.
        const nextHop = change.kind === "local" ? "" : before.nextHop;
        const domain = checked({ ...before, nextHop, ...defined(change) });
        if (before.kind === "local" && domain.kind === "relay") refuseWhileUsed(name);
        await commit(store, { kind: "put-domain", domain });
        return c.json(domain, 200);
      });
    },
  );

  router.openapi(
    createRoute({
      method: "delete",
      path: "/domains/{name}",
      tags,
      summary: "Remove a domain",
      description: "Its accounts and aliases must be removed first.",
      middleware: [needs("domains:write")],
      request: { params: nameParam },
      responses: { 204: { description: "It is gone" }, default: PROBLEM_RESPONSE },
    }),
    (c) => {
      const { name } = c.req.valid("param");
      return directory.run(async () => {
        existing(name);
        refuseWhileUsed(name);
        await commit(store, { kind: "remove-domain", name });
        return c.body(null, 204);
      });
    },
  );

  function existing(name: string): DomainRow {
    const domain = store.directory.domain(name);
    if (domain === null) throw notFound("no-such-domain", `there is no domain ${name}`);
    return domain;
  }

  function refuseWhileUsed(name: string): void {
    const page = { after: "", limit: 1 };
    const [account] = store.directory.accounts(page, name);
    const [alias] = store.directory.aliases(page, name);
    const [group] = store.directory.groups(page, name);
    const used = account
      ? `the account ${account.address}`
      : alias
      ? `the alias ${alias.address}`
      : group
      ? `the group ${group.address}`
      : null;
    if (used === null) return;
    throw new Problem(409, { fault: "domain-in-use", detail: `${used} is in ${name}; remove it first` });
  }

  return router;
}

/** What the fields mean together. */
function checked(domain: DomainRow): DomainRow {
  if (domain.kind === "local" && domain.nextHop !== "") {
    throw invalid("nextHop", "belongs to relay domains only");
  }
  if (domain.aliasOf !== "" && (domain.kind === "relay" || domain.catchAll !== "")) {
    throw invalid("aliasOf", "another name of a domain has no next hop and no catch-all of its own");
  }
  if (domain.kind === "relay") {
    const port = Number(/:(\d+)$/.exec(domain.nextHop)?.[1] ?? 25);
    if (!NEXT_HOP.test(domain.nextHop) || port < 1 || port > 65_535) {
      throw invalid("nextHop", `"${domain.nextHop}" is none of mx, HOST:PORT, lmtp:HOST:PORT`);
    }
    if (domain.catchAll !== "") throw invalid("catchAll", "belongs to local domains only");
  }
  if (domain.catchAll === "") return domain;
  const catchAll = normalizeAddress(domain.catchAll);
  if (catchAll === null) throw invalid("catchAll", `"${domain.catchAll}" is not an address`);
  return { ...domain, catchAll };
}

/** Without the fields that were left out. */
function defined<T extends object>(change: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}

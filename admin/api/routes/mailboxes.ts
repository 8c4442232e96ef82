/** Mailboxes of an account, and who else may do what with them (RFC 4314). */
import { createRoute, z } from "@hono/zod-openapi";
import { aclIdentifier } from "../../../delivery/acl_identifier.ts";
import { mailboxNameFault } from "../../../protocols/imap/mailbox_name.ts";
import { parseRights } from "../../../protocols/imap/rights.ts";
import type { Account } from "../../../storage/directory_view.ts";
import type { Mailbox } from "../../../storage/mailboxes.ts";
import { needs } from "../access.ts";
import { commit, invalid, notFound, PROBLEM_RESPONSE } from "../problem.ts";
import {
  existingAccount,
  jsonBody,
  jsonResponse,
  localAddress,
  newRouter,
  type RouteContext,
  type Router,
} from "../router.ts";

const nameText = z.string().min(1).max(1_024).openapi({ example: "Archive/2025" });
const mailboxSchema = z.object({
  name: z.string(),
  messages: z.int(),
  unseen: z.int(),
  sizeOctets: z.int(),
  specialUse: z.string().nullable(),
}).openapi("Mailbox");
const entrySchema = z.object({ mailbox: z.string(), identifier: z.string(), rights: z.string() }).openapi(
  "AccessEntry",
);
const grantedSchema = z.object({ owner: z.string(), mailbox: z.string(), rights: z.string() }).openapi(
  "Granted",
);
const entryChange = z.strictObject({
  mailbox: nameText,
  identifier: z.string().min(1).max(512).openapi({
    description:
      "an address of an account or a group, @domain, authenticated or anyone; behind - it takes rights away",
  }),
  rights: z.string().max(100).openapi({
    description: "letters of lrswipkxtea (RFC 4314), in place of those before; none removes the entry",
    example: "lrs",
  }),
  subtree: z.boolean().default(false).openapi({ description: "also on all mailboxes below" }),
}).openapi("AccessChange");
const ownerParam = z.object({ address: localAddress });
const tags = ["Mailboxes"];

export function mailboxRoutes({ services, directory }: RouteContext): Router {
  const { store } = services;
  const router = newRouter();

  router.openapi(
    createRoute({
      method: "get",
      path: "/accounts/{address}/mailboxes",
      tags,
      summary: "List the mailboxes of an account",
      middleware: [needs("accounts:read")],
      request: { params: ownerParam },
      responses: {
        200: jsonResponse(z.object({ items: z.array(mailboxSchema) }), "All of them, by name"),
        default: PROBLEM_RESPONSE,
      },
    }),
    (c) => {
      const items = store.mailboxes.list(existingAccount(store, c.req.valid("param").address).id).map(shown);
      return c.json({ items }, 200);
    },
  );

  router.openapi(
    createRoute({
      method: "post",
      path: "/accounts/{address}/mailboxes",
      tags,
      summary: "Add a mailbox",
      description:
        "With the access list of the one above it; at the top of a shared account, that of its INBOX.",
      middleware: [needs("accounts:write")],
      request: { params: ownerParam, ...jsonBody(z.strictObject({ name: nameText }).openapi("NewMailbox")) },
      responses: { 201: jsonResponse(mailboxSchema, "The new mailbox"), default: PROBLEM_RESPONSE },
    }),
    async (c) => {
      const account = existingAccount(store, c.req.valid("param").address);
      const { name } = c.req.valid("json");
      const fault = mailboxNameFault(name);
      if (fault !== null) throw invalid("name", fault);
      const belowInbox = account.shared;
      await commit(store, {
        kind: "create-mailbox",
        accountId: account.id,
        name,
        specialUse: null,
        belowInbox,
      });
      return c.json(shown(mailboxOf(account, name)), 201);
    },
  );

  router.openapi(
    createRoute({
      method: "get",
      path: "/accounts/{address}/access",
      tags,
      summary: "List who else has rights on the mailboxes of an account",
      description: "The account itself has every right on them and is not listed.",
      middleware: [needs("accounts:read")],
      request: { params: ownerParam, query: z.object({ mailbox: nameText.optional() }) },
      responses: {
        200: jsonResponse(z.object({ items: z.array(entrySchema) }), "By mailbox and identifier"),
        default: PROBLEM_RESPONSE,
      },
    }),
    (c) => {
      const account = existingAccount(store, c.req.valid("param").address);
      const { mailbox } = c.req.valid("query");
      const all = mailbox === undefined ? store.mailboxes.list(account.id) : [mailboxOf(account, mailbox)];
      const items = all.flatMap(({ id, name }) =>
        store.access.acl(id).map(({ identifier, rights }) => ({ mailbox: name, identifier, rights }))
      );
      return c.json({ items }, 200);
    },
  );

  router.openapi(
    createRoute({
      method: "put",
      path: "/accounts/{address}/access",
      tags,
      summary: "Share a mailbox, or end it",
      description:
        "What is shared with whom is limited by `imap.sharing` of the configuration: the list may say more than holds.",
      middleware: [needs("accounts:write")],
      request: { params: ownerParam, ...jsonBody(entryChange) },
      responses: {
        200: jsonResponse(z.object({ items: z.array(entrySchema) }), "The list of the mailbox"),
        default: PROBLEM_RESPONSE,
      },
    }),
    (c) => {
      const { address } = c.req.valid("param");
      const { mailbox: name, subtree, ...change } = c.req.valid("json");
      return directory.run(async () => {
        const account = existingAccount(store, address);
        const { id: mailboxId, name: shownName } = mailboxOf(account, name);
        const rights = parseRights(change.rights);
        if (rights === null) throw invalid("rights", `"${change.rights}" has letters outside lrswipkxtea`);
        const identifier = aclIdentifier(store.directory, change.identifier) ??
          (rights === "" ? change.identifier : null);
        if (identifier === null) {
          throw invalid(
            "identifier",
            `"${change.identifier}" is no account, group or domain here, nor anyone`,
          );
        }
        if (!account.shared && identifier.replace(/^-/, "") === account.address) {
          throw invalid("identifier", "the owner has every right");
        }
        await commit(store, { kind: "set-acl", mailboxId, identifier, rights, mode: "replace", subtree });
        const items = store.access.acl(mailboxId).map((entry) => ({ mailbox: shownName, ...entry }));
        return c.json({ items }, 200);
      });
    },
  );

  router.openapi(
    createRoute({
      method: "get",
      path: "/accounts/{address}/granted",
      tags,
      summary: "List mailboxes of others on which an account has rights",
      description: "As far as `imap.sharing` of the configuration lets them hold.",
      middleware: [needs("accounts:read")],
      request: { params: ownerParam },
      responses: {
        200: jsonResponse(z.object({ items: z.array(grantedSchema) }), "By owner and mailbox"),
        default: PROBLEM_RESPONSE,
      },
    }),
    (c) => {
      const granted = store.access.granted(existingAccount(store, c.req.valid("param").address), "server");
      const items = granted.map(({ owner, mailbox, rights }) => ({
        owner: owner.address,
        mailbox: mailbox.name,
        rights,
      }));
      return c.json({ items }, 200);
    },
  );

  function mailboxOf({ id, address }: Account, name: string): Mailbox {
    const mailbox = store.mailboxes.byName(id, name);
    if (mailbox === null) throw notFound("no-such-mailbox", `${address} has no mailbox ${name}`);
    return mailbox;
  }

  return router;
}

function shown({ name, messages, unseen, sizeOctets, specialUse }: Mailbox) {
  return { name, messages, unseen, sizeOctets, specialUse };
}

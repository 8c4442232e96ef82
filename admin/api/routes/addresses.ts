/**
 * Further addresses of an account: its own ones, and masked ones made up for one correspondent each; and the key behind
 * return addresses of forwarded mail.
 */
import { createRoute, z } from "@hono/zod-openapi";
import { randomBytes } from "node:crypto";
import { KEPT_KEYS, rotateKeys } from "../../../delivery/forwarding.ts";
import { maskedLocalPart } from "../../../delivery/masked.ts";
import { domainOf } from "../../../storage/address_form.ts";
import type { Account, AddressRow } from "../../../storage/directory_view.ts";
import { needs } from "../access.ts";
import { afterOf, pageOf, pageQuery, toPage } from "../page.ts";
import { commit, invalid, notFound, PROBLEM_RESPONSE } from "../problem.ts";
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

const note = plainText(200);
const addressSchema = z.object({
  address: z.string(),
  kind: z.enum(["own", "masked"]),
  enabled: z.boolean().openapi({ description: "false: mail for it is refused" }),
  note: z.string(),
  createdAt: time,
  lastUsedAt: time.nullable().openapi({ description: "to the hour; masked addresses only" }),
}).openapi("Address");
const newAddress = z.strictObject({
  kind: z.enum(["own", "masked"]).default("own"),
  address: localAddress.optional().openapi({ description: "left out for masked: one is made up" }),
  domain: domainName.optional().openapi({ description: "masked: in this domain; left out: the account's" }),
  note: note.default(""),
}).openapi("NewAddress");
const addressChange = z.strictObject({ enabled: z.boolean(), note }).partial().openapi("AddressChange");
const ownerParam = z.object({ address: localAddress });
const bothParams = z.object({ address: localAddress, further: localAddress });
const tags = ["Addresses"];

export function addressRoutes({ services, directory }: RouteContext): Router {
  const { store } = services;
  const router = newRouter();

  router.openapi(
    createRoute({
      method: "get",
      path: "/accounts/{address}/addresses",
      tags,
      summary: "List further addresses of an account",
      middleware: [needs("accounts:read")],
      request: { params: ownerParam, query: pageQuery },
      responses: {
        200: jsonResponse(pageOf(addressSchema, "AddressPage"), "A page, by address"),
        default: PROBLEM_RESPONSE,
      },
    }),
    (c) => {
      const { id } = existingAccount(store, c.req.valid("param").address);
      const { cursor, limit } = c.req.valid("query");
      const rows = store.directory.addressesOf(id, { after: afterOf(cursor), limit: limit + 1 });
      return c.json(toPage(rows, { limit, keyOf: ({ address }) => address, toItem: shown }), 200);
    },
  );

  router.openapi(
    createRoute({
      method: "post",
      path: "/accounts/{address}/addresses",
      tags,
      summary: "Add an address to an account",
      description: "A masked one without `address` gets a random local part.",
      middleware: [needs("accounts:write")],
      request: { params: ownerParam, ...jsonBody(newAddress) },
      responses: { 201: jsonResponse(addressSchema, "The new address"), default: PROBLEM_RESPONSE },
    }),
    (c) => {
      const body = c.req.valid("json");
      return directory.run(async () => {
        const account = existingAccount(store, c.req.valid("param").address);
        const address = body.address ?? madeUp(account, body);
        if (store.directory.address(address) !== null) {
          throw invalid("address", `${address} is an address of an account already`);
        }
        await commit(store, {
          kind: "put-address",
          address: { address, accountId: account.id, kind: body.kind, enabled: true, note: body.note },
        });
        return c.json(shown(existing(account, address)), 201);
      });
    },
  );

  router.openapi(
    createRoute({
      method: "patch",
      path: "/accounts/{address}/addresses/{further}",
      tags,
      summary: "Enable, disable or annotate an address",
      middleware: [needs("accounts:write")],
      request: { params: bothParams, ...jsonBody(addressChange) },
      responses: { 200: jsonResponse(addressSchema, "The changed address"), default: PROBLEM_RESPONSE },
    }),
    (c) => {
      const { address, further } = c.req.valid("param");
      const { enabled, note } = c.req.valid("json");
      return directory.run(async () => {
        const account = existingAccount(store, address);
        const before = existing(account, further);
        await commit(store, {
          kind: "put-address",
          address: { ...before, enabled: enabled ?? before.enabled, note: note ?? before.note },
        });
        return c.json(shown(existing(account, further)), 200);
      });
    },
  );

  router.openapi(
    createRoute({
      method: "delete",
      path: "/accounts/{address}/addresses/{further}",
      tags,
      summary: "Remove an address from an account",
      middleware: [needs("accounts:write")],
      request: { params: bothParams },
      responses: { 204: { description: "It is gone" }, default: PROBLEM_RESPONSE },
    }),
    (c) => {
      const { address, further } = c.req.valid("param");
      return directory.run(async () => {
        existing(existingAccount(store, address), further);
        await commit(store, { kind: "remove-address", address: further });
        return c.body(null, 204);
      });
    },
  );

  router.openapi(
    createRoute({
      method: "post",
      path: "/forwarding/rotate-key",
      tags,
      summary: "Make a new key for return addresses of forwarded mail",
      description: `Done every 30 days anyway. The newest ${KEPT_KEYS} verify.`,
      middleware: [needs("aliases:write")],
      responses: { 204: { description: "It is made" }, default: PROBLEM_RESPONSE },
    }),
    (c) =>
      directory.run(async () => {
        await rotateKeys(store, Number.MAX_SAFE_INTEGER);
        return c.body(null, 204);
      }),
  );

  function existing(account: Account, address: string): AddressRow {
    const row = store.directory.address(address);
    if (row === null || row.accountId !== account.id) {
      throw notFound("no-such-address", `${address} is no further address of ${account.address}`);
    }
    // `lastUsedAt` is written without a word to the caches.
    const before = address.slice(0, -1);
    return store.directory.addressesOf(account.id, { after: before, limit: 1_000 })
      .find((one) => one.address === address) ?? row;
  }

  return router;
}

function madeUp(
  account: Account,
  { kind, domain }: { kind: "own" | "masked"; domain?: string | undefined },
): string {
  if (kind === "own") throw invalid("address", "is needed, as in ann@example.org");
  return `${maskedLocalPart(randomBytes(12))}@${domain ?? domainOf(account.address)}`;
}

function shown({ address, kind, enabled, note, createdAt, lastUsedAt }: AddressRow) {
  return {
    address,
    kind,
    enabled,
    note,
    createdAt: timeText(createdAt),
    lastUsedAt: lastUsedAt === 0 ? null : timeText(lastUsedAt),
  };
}

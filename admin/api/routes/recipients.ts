/** Lists of recipients that the queue keeps: those that are no more, and those of relay domains with a list. */
import { createRoute, z } from "@hono/zod-openapi";
import { domainOf, normalizeAddress } from "../../../storage/address_form.ts";
import type { PolicyKind } from "../../../storage/ops.ts";
import { needs } from "../access.ts";
import { afterOf, pageOf, pageQuery, toPage } from "../page.ts";
import { commit, invalid, notFound, PROBLEM_RESPONSE } from "../problem.ts";
import {
  jsonBody,
  jsonResponse,
  newRouter,
  type RouteContext,
  type Router,
  time,
  timeText,
} from "../router.ts";

/** Of a list of the operator's: no end. */
const NEVER = 253_402_300_799_000;
const MAX_ADDRESSES = 1_000;

const suppressedSchema = z.object({
  address: z.string(),
  since: time,
  until: time,
  reply: z.string().openapi({ description: "what the other server said" }),
}).openapi("SuppressedRecipient");
const relaySchema = z.object({ address: z.string(), since: time }).openapi("RelayRecipient");
const newRelay = z.strictObject({
  addresses: z.array(z.string().min(3).max(1_024)).min(1).max(MAX_ADDRESSES),
})
  .openapi("NewRelayRecipients");
const addressQuery = z.object({ address: z.string().min(3).max(1_024) });

export function recipientRoutes({ services }: RouteContext): Router {
  const { store } = services;
  const router = newRouter();
  const rowsOf = (kind: PolicyKind, { cursor, limit }: { cursor?: string | undefined; limit: number }) =>
    store.policy.list(kind, { after: afterOf(cursor), limit: limit + 1, now: services.clock() });

  async function remove(kind: PolicyKind, text: string): Promise<void> {
    const address = text.toLowerCase();
    if (store.policy.get(kind, address, services.clock()) === null) {
      throw notFound("no-such-recipient", `${address} is not on the list`);
    }
    await commit(store, { kind: "remove-state", of: kind, keys: [address] });
  }

  router.openapi(
    createRoute({
      method: "get",
      path: "/suppressed",
      tags: ["Queue"],
      summary: "List recipients that are not written to because they are no more",
      middleware: [needs("queue:read")],
      request: { query: pageQuery },
      responses: {
        200: jsonResponse(pageOf(suppressedSchema, "SuppressedPage"), "A page, by address"),
        default: PROBLEM_RESPONSE,
      },
    }),
    (c) => {
      const { cursor, limit } = c.req.valid("query");
      const toItem = ({ key, lastAt, expiresAt, note }: ReturnType<typeof rowsOf>[number]) => ({
        address: key,
        since: timeText(lastAt),
        until: timeText(expiresAt),
        reply: note,
      });
      return c.json(
        toPage(rowsOf("suppressed", { cursor, limit }), { limit, keyOf: ({ key }) => key, toItem }),
        200,
      );
    },
  );

  router.openapi(
    createRoute({
      method: "delete",
      path: "/suppressed",
      tags: ["Queue"],
      summary: "Write to a recipient again",
      middleware: [needs("queue:write")],
      request: { query: addressQuery },
      responses: { 204: { description: "It is off the list" }, default: PROBLEM_RESPONSE },
    }),
    async (c) => {
      await remove("suppressed", c.req.valid("query").address);
      return c.body(null, 204);
    },
  );

  router.openapi(
    createRoute({
      method: "get",
      path: "/relay-recipients",
      tags: ["Domains"],
      summary: "List the recipients of relay domains with a list",
      middleware: [needs("domains:read")],
      request: { query: pageQuery },
      responses: {
        200: jsonResponse(pageOf(relaySchema, "RelayRecipientPage"), "A page, by address"),
        default: PROBLEM_RESPONSE,
      },
    }),
    (c) => {
      const { cursor, limit } = c.req.valid("query");
      const toItem = ({ key, firstAt }: ReturnType<typeof rowsOf>[number]) => ({
        address: key,
        since: timeText(firstAt),
      });
      return c.json(
        toPage(rowsOf("relay-recipient", { cursor, limit }), { limit, keyOf: ({ key }) => key, toItem }),
        200,
      );
    },
  );

  router.openapi(
    createRoute({
      method: "post",
      path: "/relay-recipients",
      tags: ["Domains"],
      summary: "Add recipients of relay domains",
      description: "They count where the domain's relayRecipients is `list`.",
      middleware: [needs("domains:write")],
      request: jsonBody(newRelay),
      responses: { 204: { description: "They are on the list" }, default: PROBLEM_RESPONSE },
    }),
    async (c) => {
      const now = services.clock();
      const rows = c.req.valid("json").addresses.map((text) => {
        const address = normalizeAddress(text);
        if (address === null) throw invalid("addresses", `${text} is not an address`);
        if (store.directory.domain(domainOf(address))?.kind !== "relay") {
          throw invalid("addresses", `${address} is not of a relay domain`);
        }
        return {
          ...{
            kind: "relay-recipient" as const,
            key: address,
            firstAt: now,
            lastAt: now,
            count: 1,
            note: "",
          },
          expiresAt: NEVER,
        };
      });
      await commit(store, { kind: "put-state", rows, add: false });
      return c.body(null, 204);
    },
  );

  router.openapi(
    createRoute({
      method: "delete",
      path: "/relay-recipients",
      tags: ["Domains"],
      summary: "Take a recipient of a relay domain off the list",
      middleware: [needs("domains:write")],
      request: { query: addressQuery },
      responses: { 204: { description: "It is off the list" }, default: PROBLEM_RESPONSE },
    }),
    async (c) => {
      await remove("relay-recipient", c.req.valid("query").address);
      return c.body(null, 204);
    },
  );
  return router;
}

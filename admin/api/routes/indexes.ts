/** The full-text index of an account: how far it is, and the way to make it anew. */
import { createRoute, z } from "@hono/zod-openapi";
import type { IndexControl } from "../../services.ts";
import { needs } from "../access.ts";
import { Problem, PROBLEM_RESPONSE } from "../problem.ts";
import {
  existingAccount,
  jsonResponse,
  localAddress,
  newRouter,
  type RouteContext,
  type Router,
} from "../router.ts";

const indexSchema = z.object({
  messages: z.int().openapi({ description: "messages it holds" }),
  total: z.int().openapi({
    description: "messages of the account; searches read those that are not in the index",
  }),
  waiting: z.int().openapi({
    description:
      "messages of the index whose attached files were not read: not yet, or search.attachments is false",
  }),
  octets: z.int(),
}).openapi("Index");
const params = z.object({ address: localAddress });
const tags = ["Accounts"];

export function indexRoutes({ services }: RouteContext): Router {
  const router = newRouter();

  router.openapi(
    createRoute({
      method: "get",
      path: "/accounts/{address}/index",
      tags,
      summary: "Show how far the full-text index is",
      middleware: [needs("accounts:read")],
      request: { params },
      responses: { 200: jsonResponse(indexSchema, "The index"), default: PROBLEM_RESPONSE },
    }),
    async (c) => c.json(await stateOf(existingAccount(services.store, c.req.valid("param").address).id), 200),
  );

  router.openapi(
    createRoute({
      method: "post",
      path: "/accounts/{address}/index/rebuild",
      tags,
      summary: "Make the full-text index anew",
      description: "Begins; meanwhile searches work without it.",
      middleware: [needs("maintenance:write")],
      request: { params },
      responses: { 202: jsonResponse(indexSchema, "It has begun"), default: PROBLEM_RESPONSE },
    }),
    async (c) => {
      const id = existingAccount(services.store, c.req.valid("param").address).id;
      await control().rebuild(id);
      return c.json(await stateOf(id), 202);
    },
  );

  function control(): IndexControl {
    if (services.indexes !== null) return services.indexes;
    const detail = "no full-text indexes are kept: search.index in the configuration is false";
    throw new Problem(501, { fault: "no-index", detail });
  }

  async function stateOf(id: number) {
    const { messages = 0, waiting = 0, octets = 0 } = await control().state(id) ?? {};
    const total = services.store.mailboxes.list(id).reduce((sum, mailbox) => sum + mailbox.messages, 0);
    return { messages, total, waiting, octets };
  }

  return router;
}

/** What the checks remember of others (greylisting, days of logins, ...): to be looked at, and forgotten. */
import { createRoute, z } from "@hono/zod-openapi";
import type { PolicyKind } from "../../../storage/ops.ts";
import { needs } from "../access.ts";
import { afterOf, pageOf, pageQuery, toPage } from "../page.ts";
import { commit, notFound, PROBLEM_RESPONSE } from "../problem.ts";
import { jsonResponse, newRouter, type RouteContext, type Router, time, timeText } from "../router.ts";

/** Bans and lists of recipients have calls of their own. */
const KINDS = [
  "greylist",
  "sent",
  "first-time",
  "known",
  "noticed",
  "dns-trouble",
  "scan-trouble",
  "tls-seen",
  "vacation",
  "duplicate",
  "seen-author",
] as const satisfies readonly PolicyKind[];

const kind = z.enum(KINDS).openapi({
  description:
    "greylist; sent and first-time: what a login sent on a day; known: whom it has written to; noticed: " +
    "days of which the administrator was told; dns-trouble and scan-trouble: who was put off for want of an answer; " +
    "tls-seen: domains that took mail under TLS; vacation: who was answered; duplicate and seen-author: what came before",
});
const memorySchema = z.object({
  key: z.string(),
  count: z.int(),
  first: time,
  last: time,
  until: time.openapi({ description: "then it is forgotten by itself" }),
}).openapi("Memory");
const keyText = z.string().min(1).max(2_000);

export function memoryRoutes({ services }: RouteContext): Router {
  const { store } = services;
  const router = newRouter();

  router.openapi(
    createRoute({
      method: "get",
      path: "/memory",
      tags: ["Memory"],
      summary: "List what the checks remember",
      middleware: [needs("sessions:read")],
      request: { query: pageQuery.extend({ kind }) },
      responses: {
        200: jsonResponse(pageOf(memorySchema, "MemoryPage"), "A page, by key"),
        default: PROBLEM_RESPONSE,
      },
    }),
    (c) => {
      const { kind, cursor, limit } = c.req.valid("query");
      const rows = store.policy.list(kind, {
        after: afterOf(cursor),
        limit: limit + 1,
        now: services.clock(),
      });
      const toItem = ({ key, count, firstAt, lastAt, expiresAt }: typeof rows[number]) => ({
        ...{ key, count },
        first: timeText(firstAt),
        last: timeText(lastAt),
        until: timeText(expiresAt),
      });
      return c.json(toPage(rows, { limit, keyOf: ({ key }) => key, toItem }), 200);
    },
  );

  router.openapi(
    createRoute({
      method: "delete",
      path: "/memory",
      tags: ["Memory"],
      summary: "Forget something",
      description: "A client is greylisted anew; a login may send as if it had sent nothing that day.",
      middleware: [needs("sessions:write")],
      request: { query: z.object({ kind, key: keyText }) },
      responses: { 204: { description: "It is forgotten" }, default: PROBLEM_RESPONSE },
    }),
    async (c) => {
      const { kind, key } = c.req.valid("query");
      if (store.policy.get(kind, key, services.clock()) === null) {
        throw notFound("no-such-memory", `nothing of ${key} is remembered as ${kind}`);
      }
      await commit(store, { kind: "remove-state", of: kind, keys: [key] });
      return c.body(null, 204);
    },
  );
  return router;
}

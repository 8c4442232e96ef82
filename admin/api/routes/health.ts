/** How the server is, in more words than `/healthz` gives to strangers. */
import { createRoute, z } from "@hono/zod-openapi";
import { needs } from "../access.ts";
import { PROBLEM_RESPONSE } from "../problem.ts";
import { jsonResponse, newRouter, type RouteContext, type Router, time, timeText } from "../router.ts";

const healthSchema = z.object({
  status: z.enum(["ok", "trouble"]),
  trouble: z.string().nullable().openapi({ description: "why the server cannot take mail" }),
  version: z.string(),
  startedAt: time,
  diskFull: z.boolean().openapi({ description: "new mail is refused until there is more space" }),
  queue: z.object({ queued: z.int(), held: z.int(), oldestCreatedAt: time.nullable() }),
  sessions: z.int().nullable(),
}).openapi("Health");

export function healthRoutes({ services }: RouteContext): Router {
  const router = newRouter();
  router.openapi(
    createRoute({
      method: "get",
      path: "/health",
      tags: ["Health"],
      summary: "How the server is",
      middleware: [needs("health:read")],
      responses: { 200: jsonResponse(healthSchema, "Its state"), default: PROBLEM_RESPONSE },
    }),
    async (c) => {
      const trouble = await services.trouble();
      const { queued, held, oldestCreatedAt } = services.store.queue.counts();
      return c.json({
        status: trouble === null ? "ok" as const : "trouble" as const,
        trouble,
        version: services.version,
        startedAt: timeText(services.startedAt),
        diskFull: services.store.diskFull(),
        queue: { queued, held, oldestCreatedAt: oldestCreatedAt === null ? null : timeText(oldestCreatedAt) },
        sessions: services.sessions === null ? null : (await services.sessions.list()).length,
      }, 200);
    },
  );
  return router;
}

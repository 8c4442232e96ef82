/** What the resolver of this server finds, with the steps on the way. */
import { createRoute, z } from "@hono/zod-openapi";
import { parseType } from "../../../dns/rdata.ts";
import { needs } from "../access.ts";
import { Problem, PROBLEM_RESPONSE } from "../problem.ts";
import { jsonResponse, newRouter, type RouteContext, type Router } from "../router.ts";

const reportSchema = z.object({
  name: z.string(),
  type: z.string(),
  result: z.string().openapi({ description: "found, no-data, no-such-domain, or a fault", example: "found" }),
  security: z.enum(["secure", "insecure", "bogus", "indeterminate"]),
  reason: z.object({ code: z.int(), text: z.string() }).nullable().openapi({
    description: "extended DNS error (RFC 8914)",
  }),
  detail: z.string(),
  canonicalName: z.string(),
  ttlSeconds: z.number(),
  records: z.array(z.string()).openapi({ description: "as in a zone file" }),
  elapsedMs: z.number(),
  steps: z.array(z.object({ atMs: z.number(), text: z.string() })),
}).openapi("DnsReport");

export function dnsRoutes({ services }: RouteContext): Router {
  const router = newRouter();
  router.openapi(
    createRoute({
      method: "get",
      path: "/dns/query",
      tags: ["DNS"],
      summary: "Look a name up as the server does",
      middleware: [needs("dns:read")],
      request: {
        query: z.object({
          name: z.string().min(1).max(1_024),
          type: z.string().max(16).openapi({ example: "MX" }),
          trace: z.enum(["true", "false"]).default("false").openapi({
            description: "each step; nothing is taken from the cache",
          }),
        }),
      },
      responses: { 200: jsonResponse(reportSchema, "What was found"), default: PROBLEM_RESPONSE },
    }),
    async (c) => {
      const { name, type, trace } = c.req.valid("query");
      const code = parseType(type);
      if (code === null) {
        throw new Problem(400, {
          fault: "bad-type",
          detail: `type: "${type}" is no record type; MX or TYPE65280 are`,
        });
      }
      if (services.queryDns === null) {
        throw new Problem(501, { fault: "no-server", detail: "only a running server has a resolver" });
      }
      const report = await services.queryDns({ name, type: code, trace: trace === "true" });
      return c.json({ ...report, records: [...report.records], steps: [...report.steps] }, 200);
    },
  );
  return router;
}

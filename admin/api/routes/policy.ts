/** What the server has seen and decided of others: the life of messages, and banned addresses. */
import { createRoute, z } from "@hono/zod-openapi";
import { isIP } from "node:net";
import { findTraces } from "../../../storage/trace_log.ts";
import { needs } from "../access.ts";
import { afterOf, pageOf, pageQuery, toPage } from "../page.ts";
import { invalid, notFound, Problem, PROBLEM_RESPONSE } from "../problem.ts";
import {
  jsonBody,
  jsonResponse,
  newRouter,
  type RouteContext,
  type Router,
  time,
  timeText,
} from "../router.ts";

const MAX_MESSAGES = 100;

const eventSchema = z.looseObject({
  at: time,
  event: z.string().openapi({
    description: "accepted, deferred, refused (our answers), checked, attempt (of the queue)",
  }),
}).openapi("TraceEvent");
const traceSchema = z.object({
  items: z.array(z.object({ trace: z.string(), events: z.array(eventSchema) })),
}).openapi("Traces");
const banSchema = z.object({
  address: z.string().openapi({ description: "an IPv4 address, or the /64 of an IPv6 one" }),
  since: time,
  until: time,
  times: z.int().openapi({ description: "how often it was banned; each time doubles the length" }),
  reason: z.string(),
}).openapi("Ban");
const newBan = z.strictObject({
  address: z.string().refine((text) => isIP(text) !== 0, "an IP address"),
  minutes: z.number().positive().max(525_600).default(60),
}).openapi("NewBan");

export function policyRoutes({ services }: RouteContext): Router {
  const router = newRouter();
  const { bans } = services;

  router.openapi(
    createRoute({
      method: "get",
      path: "/traces",
      tags: ["Traces"],
      summary: "Show the life of messages",
      description: "By our own id, by Message-ID, or by an address of sender or recipient; the newest first.",
      middleware: [needs("queue:read")],
      request: {
        query: z.object({
          about: z.string().min(3).max(1_000),
          limit: z.coerce.number().int().min(1).max(MAX_MESSAGES).default(10),
        }),
      },
      responses: { 200: jsonResponse(traceSchema, "Messages with their events"), default: PROBLEM_RESPONSE },
    }),
    async (c) => {
      if (services.traceFolder === null) throw noServer();
      const found = await findTraces(services.traceFolder, c.req.valid("query"));
      const items = found.map((events) => ({
        trace: events[0]!.trace,
        events: events.map(({ at, trace: _, ...event }) => ({
          at: timeText(at),
          ...event as unknown as { event: string },
        })),
      }));
      return c.json({ items }, 200);
    },
  );

  router.openapi(
    createRoute({
      method: "get",
      path: "/bans",
      tags: ["Bans"],
      summary: "List banned addresses",
      middleware: [needs("sessions:read")],
      request: { query: pageQuery },
      responses: {
        200: jsonResponse(pageOf(banSchema, "BanPage"), "A page, by address"),
        default: PROBLEM_RESPONSE,
      },
    }),
    (c) => {
      if (bans === null) throw noServer();
      const { cursor, limit } = c.req.valid("query");
      const rows = bans.list({ after: afterOf(cursor), limit: limit + 1 });
      const toItem = ({ since, until, ...ban }: typeof rows[number]) => ({
        ...ban,
        since: timeText(since),
        until: timeText(until),
      });
      return c.json(toPage(rows, { limit, keyOf: ({ address }) => address, toItem }), 200);
    },
  );

  router.openapi(
    createRoute({
      method: "post",
      path: "/bans",
      tags: ["Bans"],
      summary: "Ban an address",
      middleware: [needs("sessions:write")],
      request: jsonBody(newBan),
      responses: { 201: jsonResponse(banSchema, "The ban"), default: PROBLEM_RESPONSE },
    }),
    async (c) => {
      if (bans === null) throw noServer();
      const { address, minutes } = c.req.valid("json");
      const ban = await bans.add(address, Math.round(minutes * 60_000));
      if (ban === null) throw invalid("address", "is on the list of those that are never banned");
      return c.json({ ...ban, since: timeText(ban.since), until: timeText(ban.until) }, 201);
    },
  );

  router.openapi(
    createRoute({
      method: "delete",
      path: "/bans",
      tags: ["Bans"],
      summary: "Lift a ban",
      middleware: [needs("sessions:write")],
      request: { query: z.object({ address: z.string().min(2).max(100) }) },
      responses: { 204: { description: "It is lifted" }, default: PROBLEM_RESPONSE },
    }),
    async (c) => {
      if (bans === null) throw noServer();
      const { address } = c.req.valid("query");
      if (!await bans.lift(address.replace(/\/64$/, ""))) {
        throw notFound("no-such-ban", `${address} is not banned`);
      }
      return c.body(null, 204);
    },
  );
  return router;
}

function noServer(): Problem {
  return new Problem(501, { fault: "no-server", detail: "only a running server knows; start it" });
}

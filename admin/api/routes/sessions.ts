/** Connections of clients on all threads: who is here, and the way to end one. */
import { createRoute, z } from "@hono/zod-openapi";
import type { PlacedSession, SessionControl } from "../../services.ts";
import { needs } from "../access.ts";
import { afterOf, pageOf, pageQuery, toPage } from "../page.ts";
import { notFound, Problem, PROBLEM_RESPONSE } from "../problem.ts";
import {
  jsonResponse,
  localAddress,
  newRouter,
  type RouteContext,
  type Router,
  time,
  timeText,
} from "../router.ts";

const sessionSchema = z.object({
  id: z.string().openapi({ description: "as in every log line of the session" }),
  protocol: z.enum(["smtp", "imap", "pop3", "managesieve"]),
  address: z.string().openapi({ description: "of the client" }),
  account: z.string().nullable().openapi({ description: "null before a login" }),
  tls: z.boolean(),
  since: time,
  doing: z.string(),
  thread: z.int(),
}).openapi("Session");
const filter = pageQuery.extend({
  account: localAddress.optional(),
  protocol: sessionSchema.shape.protocol.optional(),
});
const idParam = z.object({ id: z.string().min(1).max(64) });
const tags = ["Sessions"];

export function sessionRoutes({ services }: RouteContext): Router {
  const router = newRouter();

  router.openapi(
    createRoute({
      method: "get",
      path: "/sessions",
      tags,
      summary: "List sessions",
      middleware: [needs("sessions:read")],
      request: { query: filter },
      responses: {
        200: jsonResponse(pageOf(sessionSchema, "SessionPage"), "A page, by id"),
        default: PROBLEM_RESPONSE,
      },
    }),
    async (c) => {
      const { cursor, limit, account, protocol } = c.req.valid("query");
      const after = afterOf(cursor);
      const rows = (await control().list())
        .filter((session) => session.id > after)
        .filter((session) => account === undefined || session.account === account)
        .filter((session) => protocol === undefined || session.protocol === protocol)
        .sort((a, b) => a.id < b.id ? -1 : 1)
        .slice(0, limit + 1);
      return c.json(toPage(rows, { limit, keyOf: ({ id }) => id, toItem: shown }), 200);
    },
  );

  router.openapi(
    createRoute({
      method: "delete",
      path: "/sessions/{id}",
      tags,
      summary: "End a session",
      middleware: [needs("sessions:write")],
      request: { params: idParam },
      responses: { 204: { description: "It is ended" }, default: PROBLEM_RESPONSE },
    }),
    async (c) => {
      const { id } = c.req.valid("param");
      if (!await control().end(id)) {
        throw notFound("no-such-session", `there is no session ${id}; it may have ended by itself`);
      }
      return c.body(null, 204);
    },
  );

  function control(): SessionControl {
    if (services.sessions !== null) return services.sessions;
    throw new Problem(501, { fault: "no-server", detail: "no server runs on this data folder: no sessions" });
  }

  return router;
}

function shown(session: PlacedSession) {
  const { id, protocol, address, account, tls, since, doing, thread } = session;
  return { id, protocol, address, account, tls, since: timeText(since), doing, thread };
}

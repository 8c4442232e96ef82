/** A copy of the data folder, made by the server while it runs. */
import { createRoute, z } from "@hono/zod-openapi";
import type { BackupControl } from "../../services.ts";
import { needs } from "../access.ts";
import { notFound, Problem, PROBLEM_RESPONSE } from "../problem.ts";
import {
  jsonBody,
  jsonResponse,
  newRouter,
  type RouteContext,
  type Router,
  time,
  timeText,
} from "../router.ts";

const request = z.strictObject({
  to: z.string().regex(/^\/[^\0]{0,4095}$/, "an absolute path").openapi({
    description: "folder on the machine of the server, writable by it; empty or not there",
  }),
}).openapi("BackupRequest");
const schema = z.object({
  state: z.enum(["none", "running", "done", "failed"]).openapi({
    description: "of the one asked for here; none since the server started",
  }),
  to: z.string(),
  reason: z.string().openapi({ description: "why it failed" }),
  done: z.int().openapi({ description: "octets" }),
  total: z.int().openapi({ description: "octets; 0 while the database is copied" }),
  missingSegments: z.array(z.int()).openapi({ description: "files of messages that were lost before" }),
  lastAt: time.nullable().openapi({ description: "end of the last whole copy, made here or by the command" }),
}).openapi("Backup");
const tags = ["Maintenance"];

export function backupRoutes({ services }: RouteContext): Router {
  const router = newRouter();

  router.openapi(
    createRoute({
      method: "post",
      path: "/backup",
      tags,
      summary: "Copy the data",
      description: "Begins. Mail comes in and goes out meanwhile; `veredus restore` puts it back.",
      middleware: [needs("admin")],
      request: jsonBody(request),
      responses: { 202: jsonResponse(schema, "It has begun"), default: PROBLEM_RESPONSE },
    }),
    (c) => {
      if (!control().start(c.req.valid("json").to)) {
        throw new Problem(409, { fault: "backup-runs", detail: "a copy is being made" });
      }
      return c.json(shown(), 202);
    },
  );

  router.openapi(
    createRoute({
      method: "get",
      path: "/backup",
      tags,
      summary: "Show how far the copy is",
      middleware: [needs("maintenance:read")],
      responses: { 200: jsonResponse(schema, "The copy"), default: PROBLEM_RESPONSE },
    }),
    (c) => c.json(shown(), 200),
  );

  router.openapi(
    createRoute({
      method: "delete",
      path: "/backup",
      tags,
      summary: "Stop the copy",
      description: "What there is of it is removed.",
      middleware: [needs("admin")],
      responses: { 204: { description: "It is stopped" }, default: PROBLEM_RESPONSE },
    }),
    async (c) => {
      if (!await control().stop()) throw notFound("no-such-backup", "no copy is being made");
      return c.body(null, 204);
    },
  );

  function control(): BackupControl {
    if (services.backups !== null) return services.backups;
    throw new Problem(501, {
      fault: "no-server",
      detail: "no server runs here: `veredus backup` makes copies",
    });
  }

  function shown() {
    const lastAt = control().lastAt();
    const state = control().state();
    return {
      ...(state ?? { state: "none" as const, to: "", reason: "", done: 0, total: 0 }),
      missingSegments: [...state?.missingSegments ?? []],
      lastAt: lastAt === null ? null : timeText(lastAt),
    };
  }

  return router;
}

/** What keeps a server well: log levels, the settings in force, and reading the configuration again. */
import { createRoute, z } from "@hono/zod-openapi";
import { LOG_AREAS, LOG_LEVELS, type LogArea, type LogLevel } from "../../../telemetry/log.ts";
import type { LogControl } from "../../services.ts";
import { needs } from "../access.ts";
import { Problem, PROBLEM_RESPONSE } from "../problem.ts";
import { jsonBody, jsonResponse, newRouter, type RouteContext, type Router } from "../router.ts";

const level = z.enum(LOG_LEVELS as [LogLevel, ...LogLevel[]]);
const area = z.enum(LOG_AREAS);
const levelsSchema = z.object({
  level: level.openapi({ description: "of areas without their own" }),
  areas: z.partialRecord(area, level),
}).openapi("LogLevels");
const levelChange = z.strictObject({
  area: area.nullable().default(null).openapi({ description: "null: the common level" }),
  level,
}).openapi("LogLevelChange");
const reloadSchema = z.object({
  needRestart: z.array(z.string()).openapi({ description: "keys that differ and are read only at a start" }),
}).openapi("Reload");
const settingsSchema = z.object({
  items: z.array(z.object({
    key: z.string().openapi({ description: "as in limits.message_size" }),
    value: z.unknown().openapi({ description: "as the file would say it" }),
    set: z.boolean().openapi({ description: "false: it is the default" }),
    about: z.string(),
  })),
}).openapi("Settings");
const tags = ["Maintenance"];

export function maintenanceRoutes({ services }: RouteContext): Router {
  const router = newRouter();

  router.openapi(
    createRoute({
      method: "get",
      path: "/log-levels",
      tags,
      summary: "Show the log levels",
      middleware: [needs("logs:read")],
      responses: { 200: jsonResponse(levelsSchema, "The levels in force"), default: PROBLEM_RESPONSE },
    }),
    (c) => c.json(shown(logs()), 200),
  );

  router.openapi(
    createRoute({
      method: "put",
      path: "/log-levels",
      tags,
      summary: "Set a log level",
      description: "On all threads, until the next start or reload.",
      middleware: [needs("logs:write")],
      request: jsonBody(levelChange),
      responses: { 200: jsonResponse(levelsSchema, "The levels in force"), default: PROBLEM_RESPONSE },
    }),
    (c) => {
      const { area, level } = c.req.valid("json");
      logs().set(area, level);
      return c.json(shown(logs()), 200);
    },
  );

  router.openapi(
    createRoute({
      method: "post",
      path: "/reload",
      tags,
      summary: "Read the configuration and the certificates again",
      middleware: [needs("maintenance:write")],
      responses: { 200: jsonResponse(reloadSchema, "It is in force"), default: PROBLEM_RESPONSE },
    }),
    async (c) => {
      if (services.reload === null) {
        throw new Problem(501, {
          fault: "no-config",
          detail: "no server with a configuration file runs here",
        });
      }
      try {
        return c.json({ needRestart: await services.reload() }, 200);
      } catch (error) {
        if (!(error instanceof Error)) throw error;
        const detail = `the configuration was not taken over, the old one stays in force: ${error.message}`;
        throw new Problem(409, { fault: "config", detail });
      }
    },
  );

  router.openapi(
    createRoute({
      method: "get",
      path: "/settings",
      tags,
      summary: "Show the settings in force",
      description:
        "Keys of the configuration file. Some hold what others should not know, as the key of a list in DNS.",
      middleware: [needs("admin")],
      request: {
        query: z.object({
          key: z.string().max(100).default("").openapi({ description: "a key, or what keys begin with" }),
        }),
      },
      responses: { 200: jsonResponse(settingsSchema, "The settings"), default: PROBLEM_RESPONSE },
    }),
    (c) => {
      if (services.settings === null) {
        throw new Problem(501, {
          fault: "no-config",
          detail: "no server with a configuration file runs here",
        });
      }
      const { key } = c.req.valid("query");
      return c.json({ items: services.settings().filter((setting) => setting.key.startsWith(key)) }, 200);
    },
  );

  function logs(): LogControl {
    if (services.logs !== null) return services.logs;
    throw new Problem(501, { fault: "no-server", detail: "no server runs on this data folder: no log" });
  }

  return router;
}

function shown(logs: LogControl) {
  const { level, areas } = logs.levels();
  return { level, areas: { ...areas } as Partial<Record<LogArea, LogLevel>> };
}

/** Bearer tokens of this API. The secret is shown once, when the token is made. */
import { createRoute, z } from "@hono/zod-openapi";
import { randomBytes } from "node:crypto";
import type { TokenRow } from "../../../storage/ops.ts";
import { permits, type Scope, SCOPES } from "../../scopes.ts";
import { needs, newToken } from "../access.ts";
import { afterOf, pageOf, pageQuery, toPage } from "../page.ts";
import { commit, notFound, Problem, PROBLEM_RESPONSE } from "../problem.ts";
import {
  jsonBody,
  jsonResponse,
  newRouter,
  plainText,
  type RouteContext,
  type Router,
  time,
  timeText,
} from "../router.ts";

const MAX_LIFE_DAYS = 3_650;
const DAY_MS = 86_400_000;

const tokenSchema = z.object({
  id: z.string(),
  name: z.string(),
  scopes: z.array(z.string()),
  createdAt: time,
  expiresAt: time.nullable(),
}).openapi("Token");
const createdToken = tokenSchema.extend({
  secret: z.string().openapi({ description: "what goes into the Authorization header; it is not kept here" }),
}).openapi("CreatedToken");
const tokenRequest = z.strictObject({
  name: plainText(100).min(1).openapi({
    description: "what it is for",
  }),
  scopes: z.array(z.enum(SCOPES as [Scope, ...Scope[]])).min(1).max(SCOPES.length),
  expiresInDays: z.number().positive().max(MAX_LIFE_DAYS).nullable().default(null).openapi({
    description: "null: it never ends",
  }),
}).openapi("NewToken");
const idParam = z.object({ id: z.string().min(1).max(64) });
const tags = ["Tokens"];

export function tokenRoutes({ services, directory }: RouteContext): Router {
  const { store } = services;
  const router = newRouter();

  router.openapi(
    createRoute({
      method: "get",
      path: "/tokens",
      tags,
      summary: "List tokens",
      middleware: [needs("tokens:read")],
      request: { query: pageQuery },
      responses: {
        200: jsonResponse(pageOf(tokenSchema, "TokenPage"), "A page, by id"),
        default: PROBLEM_RESPONSE,
      },
    }),
    (c) => {
      const { cursor, limit } = c.req.valid("query");
      const rows = store.directory.tokens({ after: afterOf(cursor), limit: limit + 1 });
      return c.json(toPage(rows, { limit, keyOf: ({ id }) => id, toItem: shown }), 200);
    },
  );

  router.openapi(
    createRoute({
      method: "post",
      path: "/tokens",
      tags,
      summary: "Make a token",
      description: "With scopes that its maker has.",
      middleware: [needs("tokens:write")],
      request: jsonBody(tokenRequest),
      responses: { 201: jsonResponse(createdToken, "The token, with its secret"), default: PROBLEM_RESPONSE },
    }),
    (c) => {
      const { name, scopes, expiresInDays } = c.req.valid("json");
      const beyond = scopes.find((scope) => !permits(c.get("principal").scopes, scope));
      if (beyond !== undefined) {
        throw new Problem(403, { fault: "scope", detail: `this token may not hand on the scope ${beyond}` });
      }
      const { secret, hash } = newToken();
      const now = services.clock();
      const token: TokenRow = {
        id: randomBytes(6).toString("hex"),
        name,
        hash,
        scopes: [...new Set(scopes)],
        createdAt: now,
        expiresAt: expiresInDays === null ? 0 : now + Math.round(expiresInDays * DAY_MS),
      };
      return directory.run(async () => {
        await commit(store, { kind: "put-token", token });
        return c.json({ ...shown(token), secret }, 201);
      });
    },
  );

  router.openapi(
    createRoute({
      method: "get",
      path: "/tokens/{id}",
      tags,
      summary: "Show a token",
      middleware: [needs("tokens:read")],
      request: { params: idParam },
      responses: { 200: jsonResponse(tokenSchema, "The token"), default: PROBLEM_RESPONSE },
    }),
    (c) => {
      const { id } = c.req.valid("param");
      const token = store.directory.token(id);
      if (token === null) throw unknown(id);
      return c.json(shown(token), 200);
    },
  );

  router.openapi(
    createRoute({
      method: "delete",
      path: "/tokens/{id}",
      tags,
      summary: "Remove a token",
      description: "It is refused from then on.",
      middleware: [needs("tokens:write")],
      request: { params: idParam },
      responses: { 204: { description: "It is gone" }, default: PROBLEM_RESPONSE },
    }),
    (c) => {
      const { id } = c.req.valid("param");
      return directory.run(async () => {
        try {
          await commit(store, { kind: "remove-token", id });
        } catch (error) {
          if (error instanceof Problem && error.fault === "no-such-token") {
            throw unknown(id);
          }
          throw error;
        }
        return c.body(null, 204);
      });
    },
  );

  return router;
}

function unknown(id: string): Problem {
  return notFound("no-such-token", `there is no token ${id}; \`veredus token list\` shows the ids`);
}

function shown({ id, name, scopes, createdAt, expiresAt }: TokenRow) {
  return {
    id,
    name,
    scopes: [...scopes],
    createdAt: timeText(createdAt),
    expiresAt: expiresAt === 0 ? null : timeText(expiresAt),
  };
}

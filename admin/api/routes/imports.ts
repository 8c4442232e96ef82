/** Moving in: mail of another server or of files, brought into an account by the server itself. */
import { createRoute, z } from "@hono/zod-openapi";
import type { Account } from "../../../storage/directory_view.ts";
import { needs } from "../access.ts";
import { notFound, Problem, PROBLEM_RESPONSE } from "../problem.ts";
import {
  existingAccount,
  jsonBody,
  jsonResponse,
  localAddress,
  newRouter,
  type RouteContext,
  type Router,
} from "../router.ts";

const path = z.string().regex(/^\/[^\0]{0,4095}$/, "an absolute path").openapi({
  description: "on the machine of the server, readable by it",
});
const source = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("imap"),
    host: z.string().min(1).max(255),
    port: z.int().min(1).max(65_535).default(993),
    tls: z.enum(["implicit", "starttls", "none"]).default("implicit"),
    user: z.string().min(1).max(1_024),
    password: z.string().max(1_024),
  }),
  z.strictObject({ kind: z.literal("maildir"), path }),
  z.strictObject({ kind: z.literal("mbox"), path }),
  z.strictObject({ kind: z.literal("zip"), path }),
]);
const request = z.strictObject({
  source,
  into: z.string().max(500).default("").openapi({
    description: "mailbox above what is brought; empty: none",
  }),
  keepUids: z.boolean().default(false).openapi({ description: "into mailboxes that never had a message" }),
  keepUidls: z.boolean().default(false).openapi({ description: "ids that POP3 clients know messages by" }),
  parallel: z.int().min(1).max(16).default(4).openapi({ description: "folders at the same time" }),
}).openapi("ImportRequest");
const schema = z.object({
  state: z.enum(["running", "done", "failed"]),
  reason: z.string().openapi({ description: "why it failed" }),
  folders: z.int(),
  foldersDone: z.int(),
  total: z.int().openapi({ description: "messages, as far as known; 0: not known" }),
  imported: z.int(),
  skipped: z.int().openapi({ description: "brought before" }),
  octets: z.int(),
  failed: z.int(),
  failures: z.array(z.object({ folder: z.string(), item: z.string(), reason: z.string() })),
}).openapi("Import");
const params = z.object({ address: localAddress });
const tags = ["Accounts"];

export function importRoutes({ services }: RouteContext): Router {
  const router = newRouter();

  router.openapi(
    createRoute({
      method: "post",
      path: "/accounts/{address}/import",
      tags,
      summary: "Bring mail into an account",
      description:
        "Begins. What the same source has brought before is left out. Paths are read as the server's user.",
      middleware: [needs("admin")],
      request: { params, ...jsonBody(request) },
      responses: { 202: jsonResponse(schema, "It has begun"), default: PROBLEM_RESPONSE },
    }),
    (c) => {
      const account = existingAccount(services.store, c.req.valid("param").address);
      const { source, ...wishes } = c.req.valid("json");
      if (!services.imports.start(account, source, wishes)) {
        throw new Problem(409, {
          fault: "import-runs",
          detail: `an import into ${account.address} is under way`,
        });
      }
      return c.json(stateOf(account), 202);
    },
  );

  router.openapi(
    createRoute({
      method: "get",
      path: "/accounts/{address}/import",
      tags,
      summary: "Show how far the last import is",
      middleware: [needs("accounts:read")],
      request: { params },
      responses: { 200: jsonResponse(schema, "The import"), default: PROBLEM_RESPONSE },
    }),
    (c) => c.json(stateOf(existingAccount(services.store, c.req.valid("param").address)), 200),
  );

  router.openapi(
    createRoute({
      method: "delete",
      path: "/accounts/{address}/import",
      tags,
      summary: "Stop an import",
      description: "The next one of the same source goes on where it ended.",
      middleware: [needs("admin")],
      request: { params },
      responses: { 204: { description: "It is stopped" }, default: PROBLEM_RESPONSE },
    }),
    async (c) => {
      const account = existingAccount(services.store, c.req.valid("param").address);
      if (!await services.imports.stop(account.id)) throw none(account);
      return c.body(null, 204);
    },
  );

  function stateOf(account: Account) {
    const state = services.imports.state(account.id);
    if (state === null) throw none(account);
    return { ...state, failures: [...state.failures] };
  }

  return router;
}

function none(account: Account): Problem {
  return notFound("no-such-import", `no import into ${account.address} runs here`);
}

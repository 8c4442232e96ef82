/**
 * The admin API: every group of routes under `/api/v1`, with `/healthz`, `/metrics`, `/openapi.json` and `/docs` beside.
 *
 * The same app serves TCP (tokens), the control socket and the command line without a server (owner). Bodies are JSON
 * up to {@linkcode MAX_BODY_OCTETS}; nothing is kept by caches.
 */
import { OpenAPIHono } from "@hono/zod-openapi";
import { getLogger } from "@logtape/logtape";
import type { MiddlewareHandler } from "hono";
import { bodyLimit } from "hono/body-limit";
import { HTTPException } from "hono/http-exception";
import { randomBytes } from "node:crypto";
import { type FailureCounter, MemoryFailures } from "../../auth/failures.ts";
import { addQuarantinePage } from "../quarantine_page.ts";
import type { AdminServices } from "../services.ts";
import { type Access, type AdminEnv, authenticate, needs } from "./access.ts";
import { type ApiDocument, DOCS_POLICY, docsPage } from "./docs_page.ts";
import { Problem } from "./problem.ts";
import { newRouter, type RouteContext, type Router, Serial } from "./router.ts";
import { accountRoutes } from "./routes/accounts.ts";
import { addressRoutes } from "./routes/addresses.ts";
import { backupRoutes } from "./routes/backup.ts";
import { certificateRoutes } from "./routes/certificates.ts";
import { aliasRoutes } from "./routes/aliases.ts";
import { domainRoutes } from "./routes/domains.ts";
import { groupRoutes } from "./routes/groups.ts";
import { healthRoutes } from "./routes/health.ts";
import { importRoutes } from "./routes/imports.ts";
import { indexRoutes } from "./routes/indexes.ts";
import { mailboxRoutes } from "./routes/mailboxes.ts";
import { maintenanceRoutes } from "./routes/maintenance.ts";
import { dnsRoutes } from "./routes/dns.ts";
import { spamRoutes } from "./routes/spam.ts";
import { memoryRoutes } from "./routes/memory.ts";
import { policyRoutes } from "./routes/policy.ts";
import { senderDomainRoutes } from "./routes/sender_domains.ts";
import { quarantineRoutes } from "./routes/quarantine.ts";
import { queueRoutes } from "./routes/queue.ts";
import { recipientRoutes } from "./routes/recipients.ts";
import { scriptRoutes } from "./routes/scripts.ts";
import { sessionRoutes } from "./routes/sessions.ts";
import { tokenRoutes } from "./routes/tokens.ts";

export const API_PREFIX = "/api/v1";
export const MAX_BODY_OCTETS = 1024 * 1024;

const log = getLogger(["veredus", "admin"]);

export interface AdminAppOptions {
  readonly access: Access;
  /** `/metrics` without a token: only where nobody but this machine can ask. */
  readonly openMetrics?: boolean;
  readonly failures?: FailureCounter;
}

export function adminApp(services: AdminServices, options: AdminAppOptions): Router {
  const context: RouteContext = { services, directory: new Serial() };
  const root = new OpenAPIHono<AdminEnv>();
  const who = authenticate(services, {
    access: options.access,
    failures: options.failures ?? new MemoryFailures(),
  });

  root.use(async (c, next) => {
    await next();
    c.header("cache-control", "no-store");
    c.header("x-content-type-options", "nosniff");
  });
  root.get("/healthz", async (c) => {
    const trouble = await services.trouble();
    // Strangers may ask: why it is ill stands in /api/v1/health.
    return trouble === null ? c.json({ status: "ok" }, 200) : c.json({ status: "trouble" }, 503);
  });
  root.get("/.well-known/mta-sts.txt", (c) => {
    const policy = services.stsPolicy?.() ?? null;
    const host = (c.req.header("host") ?? "").toLowerCase().replace(/:\d+$/, "");
    const domain = host.startsWith("mta-sts.") ? host.slice("mta-sts.".length) : "";
    if (policy === null || services.store.directory.domain(domain) === null) return c.notFound();
    return c.body(policy.text, 200, { "content-type": "text/plain; charset=utf-8" });
  });
  addQuarantinePage(root, services);
  const metrics = async () => {
    const text = await services.metrics();
    return new Response(text, { headers: { "content-type": "text/plain; version=0.0.4; charset=utf-8" } });
  };
  if (options.openMetrics) root.get("/metrics", metrics);
  else root.get("/metrics", who, needs("metrics:read"), metrics);

  root.use(
    `${API_PREFIX}/*`,
    who,
    logChanges,
    jsonOnly,
    bodyLimit({ maxSize: MAX_BODY_OCTETS, onError: tooLarge }),
  );
  root.route(API_PREFIX, api(context));
  root.openAPIRegistry.registerComponent("securitySchemes", "token", { type: "http", scheme: "bearer" });
  // Anybody may ask for it: it is made once, when somebody does.
  let made: ReturnType<typeof root.getOpenAPI31Document> | null = null;
  const description = () =>
    made ??= root.getOpenAPI31Document({
      openapi: "3.1.0",
      info: {
        title: "Veredus administration",
        version: services.version,
        description: "Times are RFC 3339, sizes octets. Errors are problem details (RFC 9457).",
      },
      security: [{ token: [] }],
    });
  root.get("/openapi.json", (c) => c.json(description()));
  root.get("/docs", (c) => {
    c.header("content-security-policy", DOCS_POLICY);
    return c.html(docsPage(description() as unknown as ApiDocument));
  });
  root.notFound((c) => {
    const detail = `there is nothing at ${c.req.method} ${c.req.path}; /openapi.json lists what is`;
    return new Problem(404, { fault: "no-such-route", detail }).toResponse();
  });
  root.onError((error) => problemOf(error).toResponse());
  return root;
}

function api(context: RouteContext): Router {
  const router = newRouter();
  const groups = [
    healthRoutes,
    domainRoutes,
    accountRoutes,
    addressRoutes,
    certificateRoutes,
    mailboxRoutes,
    importRoutes,
    indexRoutes,
    aliasRoutes,
    groupRoutes,
    queueRoutes,
    recipientRoutes,
    quarantineRoutes,
    policyRoutes,
    memoryRoutes,
    spamRoutes,
    dnsRoutes,
    senderDomainRoutes,
    scriptRoutes,
    sessionRoutes,
    tokenRoutes,
    maintenanceRoutes,
    backupRoutes,
  ];
  for (const group of groups) router.route("/", group(context));
  return router;
}

/** A page of another site can make a browser send forms, but not JSON: those are told apart here. */
const jsonOnly: MiddlewareHandler<AdminEnv> = async (c, next) => {
  const type = c.req.header("content-type");
  const hasBody = /^(POST|PUT|PATCH)$/.test(c.req.method) && c.req.header("content-length") !== "0" &&
    c.req.raw.body !== null;
  if (hasBody && !/^application\/json\s*(;|$)/i.test(type ?? "")) {
    throw new Problem(415, {
      fault: "not-json",
      detail: `the body is ${type ?? "without a content type"}; send content-type: application/json`,
    });
  }
  await next();
};

/** Who changed what stands in the log; secrets are in bodies, which do not. */
const logChanges: MiddlewareHandler<AdminEnv> = async (c, next) => {
  await next();
  if (c.req.method === "GET") return;
  const { name } = c.get("principal");
  log.info("{method} {path} by {name}: {status}", {
    method: c.req.method,
    path: c.req.path,
    name,
    status: c.res.status,
  });
};

function tooLarge(): never {
  throw new Problem(413, { fault: "limit", detail: `a request may have ${MAX_BODY_OCTETS} octets` });
}

function problemOf(error: Error): Problem {
  if (error instanceof Problem) {
    if (error.cause !== undefined) {
      log.error("{detail}: {error}", { detail: error.message, error: error.cause });
    }
    return error;
  }
  if (error instanceof HTTPException && error.status < 500) {
    return new Problem(400, { fault: "invalid", detail: error.message || "the request could not be read" });
  }
  const id = randomBytes(4).toString("hex");
  log.error("a request failed by a fault of ours ({id}): {error}", { id, error });
  return new Problem(500, { fault: "fault", detail: `the log tells what went wrong, at ${id}` });
}

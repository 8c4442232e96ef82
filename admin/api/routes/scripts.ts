/** Filter scripts of the server, of domains and of accounts; and simple rules for those that a form made. */
import { createRoute, z } from "@hono/zod-openapi";
import { encode } from "../../../bytes/decode.ts";
import { runOverExisting } from "../../../delivery/scripts/existing.ts";
import { faultText } from "../../../sieve/fault.ts";
import { isScriptName } from "../../../sieve/actions/control.ts";
import { compileScript } from "../../../sieve/program.ts";
import { type Rules, rulesIn, rulesToScript } from "../../../sieve/rules.ts";
import type { ScriptScope } from "../../../storage/ops.ts";
import type { ScriptRow } from "../../../storage/scripts.ts";
import { normalizeAddress, normalizeDomain } from "../../../storage/address_form.ts";
import { needs } from "../access.ts";
import { commit, invalid, notFound, Problem, PROBLEM_RESPONSE } from "../problem.ts";
import {
  jsonBody,
  jsonResponse,
  newRouter,
  type RouteContext,
  type Router,
  time,
  timeText,
} from "../router.ts";

const MAX_CONTENT = 256 * 1024;
/** Messages of one page of a run over existing mail. */
const MAX_PAGE = 200;
const tags = ["Filter scripts"];

const scope = z.enum(["server", "domain", "user", "after"]).openapi({
  description: "scripts run in the order server, domain, user, after",
});
const ownerParam = z.object({
  scope,
  owner: z.string().max(1_024).openapi({
    description: "the account's address, the domain's name, or `-` for server and after",
    example: "ann@example.org",
  }),
});
const scriptParam = ownerParam.extend({ name: z.string().max(512).openapi({ example: "main" }) });
const entry = z.object({
  name: z.string(),
  octets: z.number(),
  active: z.boolean(),
  updated: time,
}).openapi("ScriptEntry");
const whole = z.object({
  name: z.string(),
  content: z.string(),
  active: z.boolean(),
  /** Rules of a form that made it. */
  byForm: z.boolean(),
}).openapi("Script");
const content = z.strictObject({ content: z.string().max(MAX_CONTENT) }).openapi("ScriptContent");
const activation = z.strictObject({ name: z.string().max(512).nullable() }).openapi("ScriptActivation");
const check = z.object({
  ok: z.boolean(),
  faults: z.array(z.object({ line: z.number(), column: z.number(), text: z.string() })),
}).openapi("ScriptCheck");
const run = z.strictObject({
  mailbox: z.string().max(1_000),
  dryRun: z.boolean().default(true),
  after: z.number().int().min(0).default(0),
}).openapi("ScriptRun");
const runPage = z.object({
  next: z.number().nullable(),
  looked: z.number(),
  changed: z.number(),
  total: z.number(),
  results: z.array(z.object({ uid: z.number(), actions: z.array(z.string()) })),
}).openapi("ScriptRunPage");

const text = z.string().max(10_000);
const day = z.string().regex(/^\d{4}-\d{2}-\d{2}$/, "a day is written like 2026-12-24").nullable();
const condition = z.union([
  z.strictObject({
    field: z.enum(["from", "to", "cc", "recipient", "subject", "list-id", "header"]),
    name: z.string().regex(/^[!-9;-~]{1,100}$/).optional(),
    is: z.enum(["contains", "is", "begins", "ends", "exists"]),
    not: z.boolean().optional(),
    value: text,
  }),
  z.strictObject({
    field: z.literal("size"),
    is: z.enum(["over", "under"]),
    octets: z.number().int().min(0),
  }),
  z.strictObject({ field: z.literal("body"), is: z.literal("contains"), value: text }),
]);
const action = z.union([
  z.strictObject({ do: z.enum(["file", "copy"]), mailbox: text }),
  z.strictObject({ do: z.literal("flag"), flag: z.string().max(200) }),
  z.strictObject({ do: z.enum(["redirect", "redirect-copy"]), address: z.string().max(1_024) }),
  z.strictObject({ do: z.literal("reject"), text }),
  z.strictObject({ do: z.enum(["keep", "discard"]) }),
]);
const rules = z.strictObject({
  rules: z.array(z.strictObject({
    name: z.string().max(200),
    enabled: z.boolean(),
    match: z.enum(["all", "any"]),
    conditions: z.array(condition).max(50),
    actions: z.array(action).min(1).max(20),
    stop: z.boolean(),
  })).max(500),
  vacation: z.strictObject({
    from: day,
    until: day,
    days: z.number().int().min(1).max(60),
    subject: z.string().max(500).nullable(),
    text,
  }).nullable(),
}).openapi("ScriptRules");

/** The rules of a script that a form made and nobody changed since; null for others. */
function formRules(script: string): Rules | null {
  const parsed = rules.safeParse(rulesIn(script));
  return parsed.success && rulesToScript(parsed.data) === script ? parsed.data : null;
}

export function scriptRoutes({ services }: RouteContext): Router {
  const { store, clock } = services;
  const router = newRouter();

  router.openapi(
    createRoute({
      method: "post",
      path: "/scripts/check",
      tags,
      summary: "Check a script without storing it",
      middleware: [needs("accounts:read")],
      request: jsonBody(content),
      responses: { 200: jsonResponse(check, "What is wrong, by line and column"), default: PROBLEM_RESPONSE },
    }),
    async (c) => {
      const compiled = await compileScript(encode(c.req.valid("json").content));
      const faults = "faults" in compiled ? compiled.faults : [];
      return c.json({
        ok: faults.length === 0,
        faults: faults.map(({ line, column, text }) => ({ line, column, text })),
      }, 200);
    },
  );

  router.openapi(
    createRoute({
      method: "get",
      path: "/scripts/{scope}/{owner}",
      tags,
      summary: "List the scripts of an owner",
      middleware: [needs("accounts:read")],
      request: { params: ownerParam },
      responses: {
        200: jsonResponse(z.object({ items: z.array(entry) }).openapi("ScriptList"), "By name"),
        default: PROBLEM_RESPONSE,
      },
    }),
    (c) => {
      const { scope, owner } = ownerOf(c.req.valid("param"));
      const items = store.scripts.list(scope, owner).map(({ updatedAt, ...rest }) => ({
        ...rest,
        updated: timeText(updatedAt),
      }));
      return c.json({ items }, 200);
    },
  );

  router.openapi(
    createRoute({
      method: "put",
      path: "/scripts/{scope}/{owner}",
      tags,
      summary: "Activate one script of an owner, or none",
      middleware: [needs("accounts:write")],
      request: { params: ownerParam, ...jsonBody(activation) },
      responses: { 204: { description: "It is done" }, default: PROBLEM_RESPONSE },
    }),
    async (c) => {
      const { name } = c.req.valid("json");
      await commit(store, { kind: "activate-script", ...ownerOf(c.req.valid("param")), name });
      return c.body(null, 204);
    },
  );

  router.openapi(
    createRoute({
      method: "get",
      path: "/scripts/{scope}/{owner}/{name}",
      tags,
      summary: "Show a script",
      middleware: [needs("accounts:read")],
      request: { params: scriptParam },
      responses: { 200: jsonResponse(whole, "The script"), default: PROBLEM_RESPONSE },
    }),
    (c) => c.json(shown(existing(c.req.valid("param"))), 200),
  );

  router.openapi(
    createRoute({
      method: "put",
      path: "/scripts/{scope}/{owner}/{name}",
      tags,
      summary: "Store a script that is valid",
      middleware: [needs("accounts:write")],
      request: { params: scriptParam, ...jsonBody(content) },
      responses: { 200: jsonResponse(whole, "The script"), default: PROBLEM_RESPONSE },
    }),
    async (c) => c.json(shown(await put(c.req.valid("param"), c.req.valid("json").content)), 200),
  );

  router.openapi(
    createRoute({
      method: "delete",
      path: "/scripts/{scope}/{owner}/{name}",
      tags,
      summary: "Remove a script that is not active",
      middleware: [needs("accounts:write")],
      request: { params: scriptParam },
      responses: { 204: { description: "It is gone" }, default: PROBLEM_RESPONSE },
    }),
    async (c) => {
      const { name, ...param } = c.req.valid("param");
      await commit(store, { kind: "remove-script", ...ownerOf(param), name });
      return c.body(null, 204);
    },
  );

  router.openapi(
    createRoute({
      method: "get",
      path: "/scripts/{scope}/{owner}/{name}/rules",
      tags,
      summary: "The rules of a script that a form made",
      middleware: [needs("accounts:read")],
      request: { params: scriptParam },
      responses: { 200: jsonResponse(rules, "The rules"), default: PROBLEM_RESPONSE },
    }),
    (c) => {
      const found = formRules(existing(c.req.valid("param")).content);
      if (found === null) throw byHand(c.req.valid("param").name);
      return c.json(found as z.infer<typeof rules>, 200);
    },
  );

  router.openapi(
    createRoute({
      method: "put",
      path: "/scripts/{scope}/{owner}/{name}/rules",
      tags,
      summary: "Write a script from rules; one that was written by hand is left alone",
      middleware: [needs("accounts:write")],
      request: { params: scriptParam, ...jsonBody(rules) },
      responses: { 200: jsonResponse(whole, "The script"), default: PROBLEM_RESPONSE },
    }),
    async (c) => {
      const param = c.req.valid("param");
      const { scope, owner } = ownerOf(param);
      const before = store.scripts.script(scope, owner, param.name);
      if (before !== null && formRules(before.content) === null) throw byHand(param.name);
      return c.json(shown(await put(param, rulesToScript(c.req.valid("json")))), 200);
    },
  );

  router.openapi(
    createRoute({
      method: "post",
      path: "/scripts/{scope}/{owner}/{name}/run",
      tags,
      summary: "Run a script of an account over a page of existing mail",
      middleware: [needs("accounts:write")],
      request: { params: scriptParam, ...jsonBody(run) },
      responses: { 200: jsonResponse(runPage, "What happened, or would"), default: PROBLEM_RESPONSE },
    }),
    async (c) => {
      const param = c.req.valid("param");
      const { mailbox: name, dryRun, after } = c.req.valid("json");
      const script = existing(param);
      const account = param.scope === "user"
        ? store.directory.account(normalizeAddress(param.owner) ?? "")
        : null;
      if (account === null) throw invalid("scope", "only scripts of an account run over its mail");
      const mailbox = store.mailboxes.byName(account.id, name);
      if (mailbox === null) throw notFound("no-such-mailbox", `${account.address} has no mailbox ${name}`);
      const page = await runOverExisting({
        ...{ store, account, mailbox, script, dryRun },
        hostname: account.address.slice(account.address.lastIndexOf("@") + 1),
        now: clock(),
      }, { after, limit: MAX_PAGE });
      if (typeof page === "string") throw new Problem(409, { fault: "invalid", detail: page });
      return c.json({
        ...page,
        total: mailbox.messages,
        results: page.results.map(({ uid, actions }) => ({ uid, actions: [...actions] })),
      }, 200);
    },
  );

  /** The owner as storage names it. */
  function ownerOf(
    { scope, owner }: { scope: ScriptScope; owner: string },
  ): { scope: ScriptScope; owner: string } {
    switch (scope) {
      case "server":
      case "after":
        if (owner !== "-") throw invalid("owner", `scripts of ${scope} have the owner "-"`);
        return { scope, owner: "" };
      case "domain": {
        const name = normalizeDomain(owner);
        if (name === null || store.directory.domain(name) === null) {
          throw notFound("no-such-domain", `there is no domain ${owner}`);
        }
        return { scope, owner: name };
      }
      case "user": {
        const account = store.directory.account(normalizeAddress(owner) ?? "");
        if (account === null) throw notFound("no-such-account", `there is no account ${owner}`);
        return { scope, owner: String(account.id) };
      }
      default:
        return scope satisfies never;
    }
  }

  function existing({ name, ...param }: { scope: ScriptScope; owner: string; name: string }): ScriptRow {
    const { scope, owner } = ownerOf(param);
    const row = store.scripts.script(scope, owner, name);
    if (row === null) throw notFound("no-such-script", `there is no script ${name}`);
    return row;
  }

  async function put(
    { name, ...param }: { scope: ScriptScope; owner: string; name: string },
    text: string,
  ): Promise<ScriptRow> {
    if (!isScriptName(name)) throw invalid("name", "this is no name of a script");
    const octets = encode(text);
    const compiled = await compileScript(octets);
    if ("faults" in compiled) {
      throw new Problem(400, {
        fault: "invalid",
        detail: compiled.faults.map(faultText).join("; "),
        errors: compiled.faults.map((fault) => ({ field: "content", message: faultText(fault) })),
      });
    }
    const { scope, owner } = ownerOf(param);
    await commit(store, { kind: "put-script", scope, owner, name, content: text });
    return existing({ name, ...param });
  }

  return router;
}

function shown({ name, content, active }: ScriptRow): z.infer<typeof whole> {
  return { name, content, active, byForm: formRules(content) !== null };
}

function byHand(name: string): Problem {
  return new Problem(409, {
    fault: "not-by-form",
    detail: `the script ${name} was written by hand: edit its text, or give the rules another name`,
  });
}

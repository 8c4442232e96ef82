/** Aliases: an address of a local domain that stands for one or more others. */
import { createRoute, z } from "@hono/zod-openapi";
import { domainOf, normalizeDomain, normalizeLocalPart } from "../../../storage/address_form.ts";
import type { AliasRow } from "../../../storage/directory_view.ts";
import { isAgentTarget } from "../../../delivery/recipients.ts";
import { needs } from "../access.ts";
import { afterOf, pageOf, pageQuery, toPage } from "../page.ts";
import { commit, invalid, notFound, Problem, PROBLEM_RESPONSE } from "../problem.ts";
import {
  domainName,
  jsonBody,
  jsonResponse,
  localAddress,
  newRouter,
  type RouteContext,
  type Router,
} from "../router.ts";

const MAX_TARGETS = 1_000;
/** Aliases looked at for a loop; beyond it the change is refused. */
const MAX_WALK = 10_000;

const aliasSchema = z.object({ address: z.string(), targets: z.array(z.string()) }).openapi("Alias");
const targets = z.array(z.string().max(1_024)).min(1).max(MAX_TARGETS).openapi({
  example: ["ann@example.org"],
  description: "addresses here or elsewhere, or `command:NAME` and `hook:NAME` of the configuration",
});
const newAlias = z.strictObject({ address: localAddress, targets }).openapi("NewAlias");
const aliasChange = z.strictObject({ targets }).openapi("AliasChange");
const addressParam = z.object({ address: localAddress });
const tags = ["Aliases"];

export function aliasRoutes({ services, directory }: RouteContext): Router {
  const { store } = services;
  const router = newRouter();

  router.openapi(
    createRoute({
      method: "get",
      path: "/aliases",
      tags,
      summary: "List aliases",
      middleware: [needs("aliases:read")],
      request: { query: pageQuery.extend({ domain: domainName.optional() }) },
      responses: {
        200: jsonResponse(pageOf(aliasSchema, "AliasPage"), "A page, by address"),
        default: PROBLEM_RESPONSE,
      },
    }),
    (c) => {
      const { cursor, limit, domain } = c.req.valid("query");
      const rows = store.directory.aliases({ after: afterOf(cursor), limit: limit + 1 }, domain);
      return c.json(toPage(rows, { limit, keyOf: ({ address }) => address, toItem: shown }), 200);
    },
  );

  router.openapi(
    createRoute({
      method: "post",
      path: "/aliases",
      tags,
      summary: "Add an alias",
      middleware: [needs("aliases:write")],
      request: jsonBody(newAlias),
      responses: { 201: jsonResponse(aliasSchema, "The new alias"), default: PROBLEM_RESPONSE },
    }),
    (c) => {
      const { address, targets } = c.req.valid("json");
      return directory.run(async () => {
        if (store.directory.alias(address) !== null) {
          throw new Problem(409, { fault: "already-exists", detail: `the alias ${address} exists` });
        }
        return c.json(shown(await put(address, targets)), 201);
      });
    },
  );

  router.openapi(
    createRoute({
      method: "get",
      path: "/aliases/{address}",
      tags,
      summary: "Show an alias",
      middleware: [needs("aliases:read")],
      request: { params: addressParam },
      responses: { 200: jsonResponse(aliasSchema, "The alias"), default: PROBLEM_RESPONSE },
    }),
    (c) => c.json(shown(existing(c.req.valid("param").address)), 200),
  );

  router.openapi(
    createRoute({
      method: "patch",
      path: "/aliases/{address}",
      tags,
      summary: "Give an alias other targets",
      middleware: [needs("aliases:write")],
      request: { params: addressParam, ...jsonBody(aliasChange) },
      responses: { 200: jsonResponse(aliasSchema, "The changed alias"), default: PROBLEM_RESPONSE },
    }),
    (c) => {
      const { address } = c.req.valid("param");
      const { targets } = c.req.valid("json");
      return directory.run(async () => {
        existing(address);
        return c.json(shown(await put(address, targets)), 200);
      });
    },
  );

  router.openapi(
    createRoute({
      method: "delete",
      path: "/aliases/{address}",
      tags,
      summary: "Remove an alias",
      middleware: [needs("aliases:write")],
      request: { params: addressParam },
      responses: { 204: { description: "It is gone" }, default: PROBLEM_RESPONSE },
    }),
    (c) => {
      const { address } = c.req.valid("param");
      return directory.run(async () => {
        existing(address);
        await commit(store, { kind: "remove-alias", address });
        return c.body(null, 204);
      });
    },
  );

  function existing(address: string): AliasRow {
    const alias = store.directory.alias(address);
    if (alias === null) throw notFound("no-such-alias", `there is no alias ${address}`);
    return alias;
  }

  async function put(address: string, texts: readonly string[]): Promise<AliasRow> {
    const name = domainOf(address);
    if (store.directory.domain(name)?.kind !== "local") {
      throw new Problem(409, {
        fault: "no-such-domain",
        detail: `${name} is not a local domain; add it first (veredus domain add ${name})`,
      });
    }
    if (store.directory.account(address) !== null) {
      throw new Problem(409, { fault: "already-exists", detail: `${address} is an account` });
    }
    const targets = [...new Set(texts.map((text, at) => targetOf(text, at)))];
    refuseLoop(address, targets);
    await commit(store, { kind: "put-alias", address, targets });
    return { address, targets };
  }

  /** Local targets in their normal form; the local part of others is not ours to fold. */
  function targetOf(text: string, index: number): string {
    if (isAgentTarget(text)) return text;
    const at = text.lastIndexOf("@");
    const domain = at > 0 ? normalizeDomain(text.slice(at + 1)) : null;
    const localPart = at > 0 ? normalizeLocalPart(text.slice(0, at)) : null;
    if (domain === null || localPart === null) {
      throw invalid(
        `targets.${index}`,
        `"${text}" is not an address, as in ann@example.org, and no command:NAME or hook:NAME`,
      );
    }
    const local = store.directory.domain(domain)?.kind === "local";
    return `${local ? localPart : text.slice(0, at)}@${domain}`;
  }

  function refuseLoop(address: string, targets: readonly string[]): void {
    const seen = new Set<string>();
    const open = [...targets];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      if (next === address) {
        throw new Problem(409, { fault: "loop", detail: `${address} would lead back to itself` });
      }
      if (seen.has(next)) continue;
      seen.add(next);
      if (seen.size > MAX_WALK) {
        throw new Problem(409, {
          fault: "limit",
          detail: `${address} leads to more than ${MAX_WALK} addresses`,
        });
      }
      open.push(...store.directory.alias(next)?.targets ?? []);
    }
  }

  return router;
}

function shown({ address, targets }: AliasRow): { address: string; targets: string[] } {
  return { address, targets: [...targets] };
}

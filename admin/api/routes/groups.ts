/** Groups: an address whose mail goes to every member, with the marks of a list. */
import { createRoute, z } from "@hono/zod-openapi";
import { domainOf, normalizeDomain, normalizeLocalPart } from "../../../storage/address_form.ts";
import type { GroupRow } from "../../../storage/directory_view.ts";
import { needs } from "../access.ts";
import { afterOf, pageOf, pageQuery, toPage } from "../page.ts";
import { commit, invalid, notFound, Problem, PROBLEM_RESPONSE } from "../problem.ts";
import {
  domainName,
  jsonBody,
  jsonResponse,
  localAddress,
  newRouter,
  plainText,
  type RouteContext,
  type Router,
  time,
  timeText,
} from "../router.ts";

/** Of one request; a group may have more. */
const MAX_CHANGED = 1_000;

const fields = {
  displayName: plainText(200),
  posting: z.enum(["anyone", "members", "owners"]).openapi({ description: "who may write to it" }),
  owners: z.array(z.string().max(1_024)).max(100).openapi({ description: "the first gets what bounces" }),
};
const groupSchema = z.object({ address: z.string(), ...fields, members: z.int(), createdAt: time }).openapi(
  "Group",
);
const newGroup = z.strictObject({
  address: localAddress,
  displayName: fields.displayName.default(""),
  posting: fields.posting.default("members"),
  owners: fields.owners.default([]),
}).openapi("NewGroup");
const groupChange = z.strictObject(fields).partial().openapi("GroupChange");
const memberList = z.array(z.string().max(1_024)).max(MAX_CHANGED).default([]);
const memberChange = z.strictObject({ add: memberList, remove: memberList }).openapi("MemberChange");
const addressParam = z.object({ address: localAddress });
const tags = ["Groups"];

export function groupRoutes({ services, directory }: RouteContext): Router {
  const { store } = services;
  const router = newRouter();

  router.openapi(
    createRoute({
      method: "get",
      path: "/groups",
      tags,
      summary: "List groups",
      middleware: [needs("aliases:read")],
      request: { query: pageQuery.extend({ domain: domainName.optional() }) },
      responses: {
        200: jsonResponse(pageOf(groupSchema, "GroupPage"), "A page, by address"),
        default: PROBLEM_RESPONSE,
      },
    }),
    (c) => {
      const { cursor, limit, domain } = c.req.valid("query");
      const rows = store.directory.groups({ after: afterOf(cursor), limit: limit + 1 }, domain);
      return c.json(toPage(rows, { limit, keyOf: ({ address }) => address, toItem: shown }), 200);
    },
  );

  router.openapi(
    createRoute({
      method: "post",
      path: "/groups",
      tags,
      summary: "Add a group",
      middleware: [needs("aliases:write")],
      request: jsonBody(newGroup),
      responses: { 201: jsonResponse(groupSchema, "The new group"), default: PROBLEM_RESPONSE },
    }),
    (c) => {
      const { owners, ...group } = c.req.valid("json");
      return directory.run(async () => {
        const { address } = group;
        if (store.directory.group(address) !== null) {
          throw new Problem(409, { fault: "already-exists", detail: `the group ${address} exists` });
        }
        const normal = owners.map((text, at) => addressOf(text, `owners.${at}`));
        await commit(store, { kind: "put-group", group: { ...group, owners: normal } });
        return c.json(shown(existing(address)), 201);
      });
    },
  );

  router.openapi(
    createRoute({
      method: "get",
      path: "/groups/{address}",
      tags,
      summary: "Show a group",
      middleware: [needs("aliases:read")],
      request: { params: addressParam },
      responses: { 200: jsonResponse(groupSchema, "The group"), default: PROBLEM_RESPONSE },
    }),
    (c) => c.json(shown(existing(c.req.valid("param").address)), 200),
  );

  router.openapi(
    createRoute({
      method: "patch",
      path: "/groups/{address}",
      tags,
      summary: "Change a group",
      middleware: [needs("aliases:write")],
      request: { params: addressParam, ...jsonBody(groupChange) },
      responses: { 200: jsonResponse(groupSchema, "The changed group"), default: PROBLEM_RESPONSE },
    }),
    (c) => {
      const { address } = c.req.valid("param");
      const { displayName, posting, owners } = c.req.valid("json");
      return directory.run(async () => {
        const before = existing(address);
        const group = {
          address,
          displayName: displayName ?? before.displayName,
          posting: posting ?? before.posting,
          owners: owners?.map((text, at) => addressOf(text, `owners.${at}`)) ?? before.owners,
        };
        await commit(store, { kind: "put-group", group });
        return c.json(shown(existing(address)), 200);
      });
    },
  );

  router.openapi(
    createRoute({
      method: "delete",
      path: "/groups/{address}",
      tags,
      summary: "Remove a group",
      middleware: [needs("aliases:write")],
      request: { params: addressParam },
      responses: { 204: { description: "It is gone" }, default: PROBLEM_RESPONSE },
    }),
    (c) => {
      const { address } = c.req.valid("param");
      return directory.run(async () => {
        existing(address);
        await commit(store, { kind: "remove-group", address });
        return c.body(null, 204);
      });
    },
  );

  router.openapi(
    createRoute({
      method: "get",
      path: "/groups/{address}/members",
      tags,
      summary: "List the members of a group",
      middleware: [needs("aliases:read")],
      request: { params: addressParam, query: pageQuery },
      responses: {
        200: jsonResponse(pageOf(z.object({ address: z.string() }), "MemberPage"), "A page, by address"),
        default: PROBLEM_RESPONSE,
      },
    }),
    (c) => {
      const { address } = existing(c.req.valid("param").address);
      const { cursor, limit } = c.req.valid("query");
      const rows = store.directory.members(address, { after: afterOf(cursor), limit: limit + 1 });
      const page = toPage(rows, {
        limit,
        keyOf: (member) => member,
        toItem: (member) => ({ address: member }),
      });
      return c.json(page, 200);
    },
  );

  router.openapi(
    createRoute({
      method: "post",
      path: "/groups/{address}/members",
      tags,
      summary: "Add and remove members",
      description: `Up to ${MAX_CHANGED} each; members may be anywhere.`,
      middleware: [needs("aliases:write")],
      request: { params: addressParam, ...jsonBody(memberChange) },
      responses: { 200: jsonResponse(groupSchema, "The changed group"), default: PROBLEM_RESPONSE },
    }),
    (c) => {
      const { address } = c.req.valid("param");
      const { add, remove } = c.req.valid("json");
      return directory.run(async () => {
        existing(address);
        await commit(store, {
          kind: "change-members",
          group: address,
          add: add.map((text, at) => addressOf(text, `add.${at}`)),
          remove: remove.map((text, at) => addressOf(text, `remove.${at}`)),
        });
        return c.json(shown(existing(address)), 200);
      });
    },
  );

  function existing(address: string): GroupRow {
    const group = store.directory.group(address);
    if (group === null) throw notFound("no-such-group", `there is no group ${address}`);
    return group;
  }

  /** Local addresses in their normal form; the local part of others is not ours to fold. */
  function addressOf(text: string, field: string): string {
    const localPart = normalizeLocalPart(text.slice(0, Math.max(0, text.lastIndexOf("@"))));
    const domain = normalizeDomain(domainOf(text));
    if (localPart === null || domain === null || !text.includes("@")) {
      throw invalid(field, `"${text}" is not an address, as in ann@example.org`);
    }
    const local = store.directory.domain(domain)?.kind === "local";
    return `${local ? localPart : text.slice(0, text.lastIndexOf("@"))}@${domain}`;
  }

  return router;
}

function shown({ address, displayName, posting, owners, members, createdAt }: GroupRow) {
  return { address, displayName, posting, owners: [...owners], members, createdAt: timeText(createdAt) };
}

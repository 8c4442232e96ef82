/** The quarantine: one row a recipient. Lists, looks at messages as text, lets them go, removes them. */
import { createRoute, z } from "@hono/zod-openapi";
import { release, remove } from "../../../delivery/quarantine/control.ts";
import { lookAt } from "../../../delivery/quarantine/look.ts";
import type { QuarantineFilter, QuarantineRow } from "../../../storage/quarantine.ts";
import { needs } from "../access.ts";
import { afterNumberOf, pageOf, pageQuery, toPage } from "../page.ts";
import { invalid, notFound, type Problem, PROBLEM_RESPONSE, refused } from "../problem.ts";
import {
  jsonBody,
  jsonResponse,
  newRouter,
  type RouteContext,
  type Router,
  time,
  timeText,
} from "../router.ts";

const MAX_IDS = 500;

const rowSchema = z.object({
  id: z.int(),
  messageId: z.int().openapi({ description: "all recipients of a message share it" }),
  traceId: z.string(),
  sender: z.string().openapi({ description: "empty: the null reverse-path" }),
  recipient: z.string(),
  from: z.string(),
  subject: z.string(),
  reason: z.string().openapi({ description: "the check, and what it said" }),
  dangerous: z.boolean().openapi({ description: "its recipient cannot let it go" }),
  createdAt: time,
  expiresAt: time,
  sizeOctets: z.int(),
}).openapi("QuarantineRecipient");
const viewSchema = rowSchema.extend({
  submittedBy: z.string().nullable(),
  header: z.array(z.object({ name: z.string(), value: z.string() })),
  text: z.string().openapi({ description: "what people would read of it, without marks, up to 64 kB" }),
  attachments: z.array(z.object({ name: z.string(), type: z.string() })),
}).openapi("QuarantineMessage");
const ids = z.array(z.int().positive()).min(1).max(MAX_IDS);
const control = z.strictObject({
  action: z.enum(["release", "remove"]).openapi({
    description: "release delivers to the recipient; remove says nothing to anybody",
  }),
  recipients: ids.optional(),
  messages: ids.optional(),
  train: z.boolean().default(false).openapi({ description: "release: the filter learns that it was wanted" }),
}).openapi("QuarantineControl");
const affectedSchema = z.object({ recipients: z.int() }).openapi("QuarantineAffected");
const tags = ["Quarantine"];

export function quarantineRoutes({ services }: RouteContext): Router {
  const { store, clock } = services;
  const router = newRouter();

  router.openapi(
    createRoute({
      method: "get",
      path: "/quarantine",
      tags,
      summary: "List what checks have set aside",
      middleware: [needs("quarantine:read")],
      request: {
        query: pageQuery.extend({
          recipient: z.string().max(1_024).optional(),
          sender: z.string().max(1_024).optional(),
        }),
      },
      responses: {
        200: jsonResponse(pageOf(rowSchema, "QuarantinePage"), "A page, by id"),
        default: PROBLEM_RESPONSE,
      },
    }),
    (c) => {
      const { cursor, limit, recipient, sender } = c.req.valid("query");
      const after = afterNumberOf(cursor);
      const filter: QuarantineFilter = {
        ...(recipient !== undefined && { recipient }),
        ...(sender !== undefined && { sender }),
      };
      const rows = store.quarantine.list(filter, { after, limit: limit + 1 });
      return c.json(
        toPage(rows, { limit, keyOf: ({ recipientId }) => String(recipientId), toItem: shown }),
        200,
      );
    },
  );

  router.openapi(
    createRoute({
      method: "get",
      path: "/quarantine/{id}",
      tags,
      summary: "Look at a message, as text",
      middleware: [needs("quarantine:read")],
      request: { params: z.object({ id: z.coerce.number().int().positive() }) },
      responses: { 200: jsonResponse(viewSchema, "The message"), default: PROBLEM_RESPONSE },
    }),
    async (c) => {
      const row = known(c.req.valid("param").id);
      const account = row.accountId === null ? null : store.directory.accountById(row.accountId);
      const view = await lookAt(store, row);
      return c.json({ ...shown(row), submittedBy: account?.address ?? null, ...copyOf(view) }, 200);
    },
  );

  router.openapi(
    createRoute({
      method: "post",
      path: "/quarantine/control",
      tags,
      summary: "Release or remove recipients",
      middleware: [needs("quarantine:write")],
      request: jsonBody(control),
      responses: { 200: jsonResponse(affectedSchema, "How many there were"), default: PROBLEM_RESPONSE },
    }),
    async (c) => {
      const { action, recipients, messages, train } = c.req.valid("json");
      if ((recipients === undefined) === (messages === undefined)) {
        throw invalid("recipients", "give one of recipients and messages");
      }
      const rows = recipients?.map(known) ?? messages!.flatMap((messageId) => {
        const all = store.quarantine.list({ messageId }, { after: 0, limit: 1_000 });
        if (all.length === 0) throw gone(messageId);
        return all;
      });
      const parts = { store, clock };
      const by = c.get("principal").name;
      const result = action === "release"
        ? await release(parts, rows, { train, by })
        : await remove(parts, rows);
      if (!result.ok) throw refused(result);
      return c.json({ recipients: rows.length }, 200);
    },
  );

  function known(id: number): QuarantineRow {
    const row = store.quarantine.one(id);
    if (row === null) throw gone(id);
    return row;
  }

  return router;
}

function gone(id: number): Problem {
  return notFound("no-such-message", `there is no ${id} in the quarantine; it may be done`);
}

function copyOf({ header, text, attachments }: Awaited<ReturnType<typeof lookAt>>) {
  return { header: [...header], text, attachments: [...attachments] };
}

function shown(row: QuarantineRow) {
  const { messageId, traceId, sender, recipient, from, subject, reason, dangerous } = row;
  return {
    id: row.recipientId,
    ...{ messageId, traceId, sender, recipient, from, subject, reason, dangerous },
    createdAt: timeText(row.createdAt),
    expiresAt: timeText(row.expiresAt),
    sizeOctets: row.blob.length,
  };
}

/**
 * The outbound queue: one row a recipient. Control takes recipients by id, by message, or by a filter.
 *
 * A change by filter goes through the queue in steps of {@linkcode STEP} recipients, so that a queue of any length
 * stays within the limits of a write.
 */
import { createRoute, z } from "@hono/zod-openapi";
import type { QueueFilter, QueueListRow } from "../../../storage/queue.ts";
import { needs } from "../access.ts";
import { afterNumberOf, pageOf, pageQuery, toPage } from "../page.ts";
import { commit, invalid, notFound, Problem, PROBLEM_RESPONSE } from "../problem.ts";
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

const STEP = 500;
const MAX_IDS = 1_000;
const MAX_REASON = 500;

const recipientSchema = z.object({
  id: z.int(),
  messageId: z.int().openapi({ description: "of the queue; all recipients of a message share it" }),
  traceId: z.string().openapi({ description: "as in the 250, in Received and in the log" }),
  sender: z.string().openapi({ description: "empty: the null reverse-path" }),
  recipient: z.string(),
  destination: z.string(),
  state: z.enum(["queued", "held"]),
  attempts: z.int(),
  nextAttemptAt: time,
  lastReply: z.string(),
  createdAt: time,
  expiresAt: time,
  sizeOctets: z.int(),
}).openapi("QueueRecipient");
const messageSchema = z.object({
  messageId: z.int(),
  traceId: z.string(),
  sender: z.string(),
  createdAt: time,
  expiresAt: time,
  sizeOctets: z.int(),
  submittedBy: z.string().nullable().openapi({ description: "the login that submitted it" }),
  recipients: z.array(recipientSchema).openapi({ description: `the first ${MAX_IDS}` }),
}).openapi("QueueMessage");
const filterFields = {
  sender: z.string().max(1_024).optional(),
  recipient: z.string().max(1_024).optional(),
  destination: z.string().max(1_024).optional(),
  state: z.enum(["queued", "held"]).optional(),
};
const ids = z.array(z.int().positive()).min(1).max(MAX_IDS);
const control = z.strictObject({
  action: z.enum(["retry", "hold", "release", "fail", "remove"]).openapi({
    description: "fail returns the message to its sender (DSN); remove says nothing to anybody",
  }),
  recipients: ids.optional(),
  messages: ids.optional(),
  filter: z.strictObject(filterFields).optional().openapi({ description: "{}: the whole queue" }),
  reason: plainText(MAX_REASON).min(1)
    .default("given up by the operator").openapi({ description: "for fail: stands in the DSN" }),
}).openapi("QueueControl");
const affectedSchema = z.object({ recipients: z.int() }).openapi("QueueAffected");
const messageParam = z.object({ messageId: z.coerce.number().int().positive() });
const tags = ["Queue"];

type Control = z.infer<typeof control>;

export function queueRoutes({ services }: RouteContext): Router {
  const { store } = services;
  const router = newRouter();

  router.openapi(
    createRoute({
      method: "get",
      path: "/queue",
      tags,
      summary: "List what waits to be sent",
      middleware: [needs("queue:read")],
      request: { query: pageQuery.extend(filterFields) },
      responses: {
        200: jsonResponse(pageOf(recipientSchema, "QueuePage"), "A page, by id"),
        default: PROBLEM_RESPONSE,
      },
    }),
    (c) => {
      const { cursor, limit, ...filter } = c.req.valid("query");
      const after = afterNumberOf(cursor);
      const rows = store.queue.list(given(filter), { afterRecipientId: after, limit: limit + 1 });
      return c.json(
        toPage(rows, { limit, keyOf: ({ recipientId }) => String(recipientId), toItem: shown }),
        200,
      );
    },
  );

  router.openapi(
    createRoute({
      method: "get",
      path: "/queue/{messageId}",
      tags,
      summary: "Show a message of the queue",
      middleware: [needs("queue:read")],
      request: { params: messageParam },
      responses: { 200: jsonResponse(messageSchema, "The message"), default: PROBLEM_RESPONSE },
    }),
    (c) => {
      const { messageId } = c.req.valid("param");
      const message = store.queue.message(messageId);
      if (message === null) throw gone(messageId);
      const rows = store.queue.list({ queueId: messageId }, { afterRecipientId: 0, limit: MAX_IDS });
      const account = message.accountId === null ? null : store.directory.accountById(message.accountId);
      return c.json({
        messageId,
        traceId: message.traceId,
        sender: message.sender,
        createdAt: timeText(message.createdAt),
        expiresAt: timeText(message.expiresAt),
        sizeOctets: message.blob.length,
        submittedBy: account?.address ?? null,
        recipients: rows.map(shown),
      }, 200);
    },
  );

  router.openapi(
    createRoute({
      method: "post",
      path: "/queue/control",
      tags,
      summary: "Retry, hold, release, fail or remove recipients",
      middleware: [needs("queue:write")],
      request: jsonBody(control),
      responses: { 200: jsonResponse(affectedSchema, "How many there were"), default: PROBLEM_RESPONSE },
    }),
    async (c) => {
      const wanted = c.req.valid("json");
      const named = [wanted.recipients, wanted.messages, wanted.filter].filter((way) => way !== undefined);
      if (named.length !== 1) throw invalid("recipients", "give one of recipients, messages and filter");
      let recipients = 0;
      for (const step of selected(wanted)) recipients += await apply(wanted, step);
      return c.json({ recipients }, 200);
    },
  );

  /** The recipients that are meant, in steps. Those named must be there. */
  function* selected(wanted: Control): Generator<number[]> {
    if (wanted.recipients !== undefined) {
      const known = wanted.recipients.map((id) => {
        const [row] = store.queue.list({}, { afterRecipientId: id - 1, limit: 1 });
        if (row?.recipientId !== id) {
          throw notFound("no-such-recipient", `there is no recipient ${id} in the queue; it may be done`);
        }
        return id;
      });
      yield known;
      return;
    }
    for (const id of wanted.messages ?? []) if (store.queue.message(id) === null) throw gone(id);
    const filters = wanted.messages?.map((queueId): QueueFilter => ({ queueId })) ??
      [given(wanted.filter ?? {})];
    for (const filter of filters) {
      for (let after = 0;;) {
        const rows = store.queue.list(filter, { afterRecipientId: after, limit: STEP });
        if (rows.length > 0) yield rows.map(({ recipientId }) => recipientId);
        if (rows.length < STEP) break;
        after = rows.at(-1)!.recipientId;
      }
    }
  }

  async function apply(wanted: Control, recipientIds: number[]): Promise<number> {
    const { action, reason } = wanted;
    if (action === "fail") {
      if (services.failRecipients === null) {
        throw new Problem(501, {
          fault: "no-server",
          detail: "only a running server can write to the sender; start it, or remove without a word",
        });
      }
      return await services.failRecipients(recipientIds, reason);
    }
    await commit(store, { kind: "queue-control", action, recipientIds, at: services.clock() });
    return recipientIds.length;
  }

  return router;
}

function gone(messageId: number): Problem {
  return notFound("no-such-message", `there is no message ${messageId} in the queue; it may be done`);
}

/** Without the fields that were left out. */
function given(filter: { [K in keyof QueueFilter]?: QueueFilter[K] | undefined }): QueueFilter {
  return Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined));
}

function shown(row: QueueListRow) {
  return {
    id: row.recipientId,
    messageId: row.queueId,
    traceId: row.traceId,
    sender: row.sender,
    recipient: row.recipient,
    destination: row.destination,
    state: row.state,
    attempts: row.attempts,
    nextAttemptAt: timeText(row.nextAttemptAt),
    lastReply: row.lastReply,
    createdAt: timeText(row.createdAt),
    expiresAt: timeText(row.expiresAt),
    sizeOctets: row.sizeOctets,
  };
}

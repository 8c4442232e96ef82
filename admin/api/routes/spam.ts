/** The spam filter: its signals, what an account has taught it, rules of an account, and a message judged on request. */
import { createRoute, z } from "@hono/zod-openapi";
import { formatRules, parseRules, SPAM_ENTRY, userRules } from "../../../delivery/spam/rules.ts";
import { encode } from "../../../bytes/decode.ts";
import type { Account } from "../../../storage/directory_view.ts";
import type { SpamControl } from "../../services.ts";
import { needs } from "../access.ts";
import { invalid, Problem, PROBLEM_RESPONSE } from "../problem.ts";
import {
  existingAccount,
  jsonBody,
  jsonResponse,
  localAddress,
  newRouter,
  type RouteContext,
  type Router,
} from "../router.ts";

/** Base64 of what the filter looks at of a message. */
const MAX_MESSAGE = 1_000_000;

const signalSchema = z.object({
  name: z.string(),
  points: z.number().openapi({ description: "at full strength; below 0 it speaks for a message" }),
  explain: z.string(),
}).openapi("SpamSignal");
const statsSchema = z.object({
  spam: z.int().openapi({ description: "messages taught as unwanted" }),
  ham: z.int().openapi({ description: "messages taught as wanted" }),
  waiting: z.int().openapi({ description: "what users said and is not learnt yet" }),
  rules: z.string().openapi({ description: "the account's own; empty: those of its domain and the server" }),
}).openapi("SpamStats");
const message = z.base64().max(MAX_MESSAGE).openapi({
  description: "the message from its start, up to 700 kB, in base64",
});
const verdictSchema = z.object({
  points: z.number(),
  hits: z.array(z.object({ name: z.string(), points: z.number(), explain: z.string() })),
  marks: z.array(z.string()).openapi({ description: "what was not looked at" }),
}).openapi("SpamVerdict");
const lessonSchema = z.object({ as: z.enum(["spam", "ham", "nothing"]), message }).openapi("SpamLesson");
const rulesSchema = z.object({
  rules: z.string().max(200).openapi({ example: "mark 3 junk 5 quarantine off refuse 12" }),
}).openapi("SpamRules");
const params = z.object({ address: localAddress });
const tags = ["Spam"];

export function spamRoutes({ services }: RouteContext): Router {
  const router = newRouter();
  const { store } = services;

  router.openapi(
    createRoute({
      ...{ method: "get", path: "/spam/signals", tags, summary: "List the signals of the spam filter" },
      middleware: [needs("accounts:read")],
      responses: {
        200: jsonResponse(z.object({ items: z.array(signalSchema) }).openapi("SpamSignals"), "All of them"),
        default: PROBLEM_RESPONSE,
      },
    }),
    async (c) => c.json({ items: [...await control().signals()] }, 200),
  );

  router.openapi(
    createRoute({
      ...{ method: "post", path: "/spam/test", tags, summary: "Judge a message" },
      description:
        "By its octets alone, with what the account (or all, without one) has taught. Nothing is kept.",
      middleware: [needs("accounts:read")],
      request: jsonBody(z.object({ message, account: localAddress.optional() }).openapi("SpamTest")),
      responses: { 200: jsonResponse(verdictSchema, "The score and why"), default: PROBLEM_RESPONSE },
    }),
    async (c) => {
      const { message: text, account } = c.req.valid("json");
      const accountId = account === undefined ? null : existingAccount(store, account).id;
      const { points, hits, marks } = await control().judge(octetsOf(text), accountId);
      return c.json({ points, hits: [...hits], marks: [...marks] }, 200);
    },
  );

  router.openapi(
    createRoute({
      ...{
        method: "get",
        path: "/accounts/{address}/spam",
        tags,
        summary: "Show what an account has taught",
      },
      middleware: [needs("accounts:read")],
      request: { params },
      responses: { 200: jsonResponse(statsSchema, "Counts and rules"), default: PROBLEM_RESPONSE },
    }),
    (c) => c.json(statsOf(existingAccount(store, c.req.valid("param").address)), 200),
  );

  router.openapi(
    createRoute({
      ...{
        method: "put",
        path: "/accounts/{address}/spam/rules",
        tags,
        summary: "Set the rules of an account",
      },
      description: "Empty takes those of its domain and the server.",
      middleware: [needs("accounts:write")],
      request: { params, ...jsonBody(rulesSchema) },
      responses: { 200: jsonResponse(statsSchema, "As it is now"), default: PROBLEM_RESPONSE },
    }),
    async (c) => {
      const account = existingAccount(store, c.req.valid("param").address);
      const rules = parseRules(c.req.valid("json").rules);
      if (rules === null) {
        throw invalid("rules", 'must be words and points, as in "mark 3 junk 5 refuse off"');
      }
      const value = Object.keys(rules).length === 0 ? null : encode(formatRules(rules));
      await store.write({
        ...{ kind: "put-annotations", accountId: account.id, mailboxId: 0 },
        annotations: [{ entry: SPAM_ENTRY, value }],
      });
      return c.json(statsOf(account), 200);
    },
  );

  router.openapi(
    createRoute({
      ...{ method: "post", path: "/accounts/{address}/spam/lessons", tags, summary: "Teach a message" },
      description:
        "As a user does by moving it. Each message counts once; `nothing` takes back what it was taught as.",
      middleware: [needs("accounts:write")],
      request: { params, ...jsonBody(lessonSchema) },
      responses: { 200: jsonResponse(statsSchema, "As it is now"), default: PROBLEM_RESPONSE },
    }),
    async (c) => {
      const account = existingAccount(store, c.req.valid("param").address);
      const { as, message: text } = c.req.valid("json");
      const { key, tokens } = await control().lesson(octetsOf(text));
      const kind = as === "nothing" ? null : as;
      const result = await store.write({
        kind: "teach",
        accountId: account.id,
        key,
        as: kind,
        tokens,
        wish: 0,
      });
      if (!result.ok) throw new Problem(503, { fault: result.fault, detail: result.detail });
      return c.json(statsOf(account), 200);
    },
  );

  router.openapi(
    createRoute({
      ...{
        method: "delete",
        path: "/accounts/{address}/spam/lessons",
        tags,
        summary: "Forget what an account has taught",
      },
      middleware: [needs("accounts:write")],
      request: { params },
      responses: { 204: { description: "It is forgotten" }, default: PROBLEM_RESPONSE },
    }),
    async (c) => {
      const { id: accountId } = existingAccount(store, c.req.valid("param").address);
      await store.write({ kind: "forget-lessons", accountId });
      return c.body(null, 204);
    },
  );

  function control(): SpamControl {
    if (services.spam !== null) return services.spam;
    throw new Problem(501, { fault: "no-server", detail: "only a running server judges; start it" });
  }

  function statsOf({ id }: Account) {
    return { ...store.spam.counts(id), rules: formatRules(userRules(store, id)) };
  }
  return router;
}

function octetsOf(base64: string): Uint8Array {
  return Uint8Array.fromBase64(base64);
}

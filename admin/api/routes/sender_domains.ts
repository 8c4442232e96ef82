/** What our domains need to be believed: DKIM keys, DNS records, and the reports of others about them. */
import { createRoute, z } from "@hono/zod-openapi";
import { keyName, keyRecord, newKeyPair, startSigning } from "../../../delivery/dkim_keys.ts";
import { askedType, checkRecord, RECORD_KINDS, wantedRecords } from "../../../delivery/domain_records.ts";
import { TYPE_CODES } from "../../../dns/rdata.ts";
import type { DkimKeyRow } from "../../../storage/directory_view.ts";
import { needs } from "../access.ts";
import { afterOf, pageOf, pageQuery, toPage } from "../page.ts";
import { commit, notFound, Problem, PROBLEM_RESPONSE } from "../problem.ts";
import {
  domainName,
  jsonBody,
  jsonResponse,
  newRouter,
  type RouteContext,
  type Router,
  time,
  timeText,
} from "../router.ts";

const selector = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/);
const keySchema = z.object({
  domain: z.string(),
  selector: z.string(),
  kind: z.enum(["rsa", "ed25519"]),
  state: z.enum(["waiting", "signing", "retired", "revoked"]),
  changedAt: time,
  recordName: z.string(),
  record: z.string().openapi({ description: "text of the TXT record to publish" }),
}).openapi("DkimKey");
const recordSchema = z.object({
  kind: z.enum(RECORD_KINDS),
  ...{ name: z.string(), type: z.string(), value: z.string(), purpose: z.string() },
}).openapi("WantedRecord");
const checkSchema = recordSchema.extend({
  state: z.enum(["ok", "missing", "different", "unknown"]),
  text: z.string(),
}).openapi("RecordCheck");
const lineSchema = z.object({
  kind: z.enum(["dmarc", "tls"]),
  ...{ domain: z.string(), organization: z.string(), sender: z.string(), reportId: z.string() },
  ...{ begin: time, end: time, policy: z.string() },
  ...{ source: z.string(), count: z.int(), result: z.string(), detail: z.string() },
}).openapi("ReportLine");
const domainParam = z.object({ domain: domainName });

export function senderDomainRoutes({ services, directory }: RouteContext): Router {
  const { store, clock } = services;
  const router = newRouter();

  router.openapi(
    createRoute({
      method: "get",
      path: "/dkim/{domain}",
      tags: ["DKIM"],
      summary: "List the keys of a domain",
      middleware: [needs("domains:read")],
      request: { params: domainParam },
      responses: {
        200: jsonResponse(z.object({ items: z.array(keySchema) }), "All keys"),
        default: PROBLEM_RESPONSE,
      },
    }),
    (c) => {
      const { domain } = c.req.valid("param");
      existing(domain);
      return c.json({ items: store.directory.dkimKeys(domain).map(shown) }, 200);
    },
  );

  router.openapi(
    createRoute({
      method: "post",
      path: "/dkim/{domain}",
      tags: ["DKIM"],
      summary: "Make new keys",
      description:
        "An RSA and an Ed25519 key. They sign once DNS shows their records, or at once; older ones then retire.",
      middleware: [needs("domains:write")],
      request: { params: domainParam, ...jsonBody(z.strictObject({ now: z.boolean().default(false) })) },
      responses: {
        201: jsonResponse(z.object({ items: z.array(keySchema) }), "The new keys"),
        default: PROBLEM_RESPONSE,
      },
    }),
    (c) => {
      const { domain } = c.req.valid("param");
      const { now } = c.req.valid("json");
      return directory.run(async () => {
        existing(domain);
        const known = store.directory.dkimKeys(domain);
        if (known.length > MAX_KEYS) {
          throw new Problem(409, {
            fault: "limit",
            detail: `${domain} has ${known.length} keys; remove revoked ones`,
          });
        }
        const made = await newKeyPair(domain, { known, now: clock(), state: "waiting" });
        for (const key of made) await commit(store, { kind: "put-dkim-key", key });
        const selectors = made.map((key) => key.selector);
        const rows = () => store.directory.dkimKeys(domain).filter((key) => selectors.includes(key.selector));
        if (now) { for (const key of rows()) await startSigning(store, key); }
        return c.json({ items: rows().map(shown) }, 201);
      });
    },
  );

  router.openapi(
    createRoute({
      method: "delete",
      path: "/dkim/{domain}/{selector}",
      tags: ["DKIM"],
      summary: "Remove a key",
      middleware: [needs("domains:write")],
      request: { params: domainParam.extend({ selector }) },
      responses: { 204: { description: "Removed" }, default: PROBLEM_RESPONSE },
    }),
    (c) => {
      const { domain, selector } = c.req.valid("param");
      return directory.run(async () => {
        await commit(store, { kind: "remove-dkim-key", domain, selector });
        return c.body(null, 204);
      });
    },
  );

  router.openapi(
    createRoute({
      method: "get",
      path: "/dns/records/{domain}",
      tags: ["DNS"],
      summary: "Records that a domain should have",
      middleware: [needs("dns:read")],
      request: { params: domainParam },
      responses: {
        200: jsonResponse(z.object({ items: z.array(recordSchema) }), "Records"),
        default: PROBLEM_RESPONSE,
      },
    }),
    (c) => {
      const { domain } = c.req.valid("param");
      existing(domain);
      return c.json({ items: wanted(domain) }, 200);
    },
  );

  router.openapi(
    createRoute({
      method: "get",
      path: "/dns/check/{domain}",
      tags: ["DNS"],
      summary: "Whether DNS has those records",
      middleware: [needs("dns:read")],
      request: { params: domainParam },
      responses: {
        200: jsonResponse(z.object({ items: z.array(checkSchema) }), "Records"),
        default: PROBLEM_RESPONSE,
      },
    }),
    async (c) => {
      const { domain } = c.req.valid("param");
      existing(domain);
      const { queryDns } = services;
      if (queryDns === null) {
        throw new Problem(501, { fault: "no-server", detail: "only a running server has a resolver" });
      }
      const items = await Promise.all(
        wanted(domain).map(async (record) => {
          const type = askedType(record);
          const report = await queryDns({ name: record.name, type: TYPE_CODES[type], trace: false });
          const known = ["found", "no-data", "no-such-domain"].includes(report.result);
          const found = type === "TXT" ? report.records.map(textOfRecord) : report.records;
          return checkRecord(record, known ? found : null);
        }),
      );
      return c.json({ items }, 200);
    },
  );

  router.openapi(
    createRoute({
      method: "get",
      path: "/reports",
      tags: ["Reports"],
      summary: "Aggregate reports of others about our domains, line by line, newest first",
      middleware: [needs("domains:read")],
      request: {
        query: pageQuery.extend({
          kind: z.enum(["dmarc", "tls"]).optional(),
          domain: domainName.optional(),
          source: z.string().max(100).optional(),
          result: z.string().max(100).optional(),
        }),
      },
      responses: {
        200: jsonResponse(pageOf(lineSchema, "ReportLinePage"), "A page"),
        default: PROBLEM_RESPONSE,
      },
    }),
    (c) => {
      const { cursor, limit, kind, domain, source, result } = c.req.valid("query");
      const [id = "", position = "0"] = afterOf(cursor).split("/");
      const rows = store.reports.lines({
        ...(kind !== undefined && { kind }),
        ...(domain !== undefined && { domain }),
        ...(source !== undefined && { source }),
        ...(result !== undefined && { result }),
      }, {
        before: { id: id === "" ? Number.MAX_SAFE_INTEGER : Number(id), position: Number(position) },
        limit: limit + 1,
      });
      return c.json(
        toPage(rows, {
          limit,
          keyOf: (row) => `${row.id}/${row.position}`,
          toItem: ({ id: _id, position: _position, beginAt, endAt, ...line }) => ({
            ...line,
            begin: timeText(beginAt),
            end: timeText(endAt),
          }),
        }),
        200,
      );
    },
  );

  function wanted(domain: string) {
    const own = services.own === null ? null : services.own();
    return wantedRecords(domain, { keys: store.directory.dkimKeys(domain), own });
  }

  function existing(domain: string): void {
    if (store.directory.domain(domain) === null) {
      throw notFound("no-such-domain", `there is no domain ${domain}; \`veredus domain list\` shows them`);
    }
  }

  return router;
}

const MAX_KEYS = 50;

function shown(key: DkimKeyRow) {
  const { domain, selector, kind, state, changedAt } = key;
  return {
    ...{ domain, selector, kind, state, changedAt: timeText(changedAt) },
    ...{ recordName: keyName(key), record: keyRecord(key) },
  };
}

/** `NAME TTL TXT "a" "b"` or the strings alone, as a zone file has them, to the text. */
function textOfRecord(line: string): string {
  return [...line.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, text]) => text!.replace(/\\(.)/g, "$1")).join("");
}

/** Client certificates of an account: what SASL EXTERNAL logs in with (RFC 4422 A). */
import { createRoute, z } from "@hono/zod-openapi";
import { X509Certificate } from "node:crypto";
import type { CertificateRow } from "../../../storage/directory_view.ts";
import { needs } from "../access.ts";
import { commit, invalid, notFound, PROBLEM_RESPONSE } from "../problem.ts";
import {
  existingAccount,
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

const note = plainText(200);
const fingerprintText = z.string().regex(/^(?:[0-9A-Fa-f]{64}|(?:[0-9A-Fa-f]{2}:){31}[0-9A-Fa-f]{2})$/)
  .openapi({
    description: "SHA-256 of the certificate in DER form, hex, with or without colons",
  });
const certificateSchema = z.object({ fingerprint: z.string(), note: z.string(), createdAt: time }).openapi(
  "Certificate",
);
const newCertificate = z.strictObject({
  fingerprint: fingerprintText.optional(),
  certificate: z.string().max(20_000).optional().openapi({ description: "PEM, in place of the fingerprint" }),
  note: note.default(""),
}).openapi("NewCertificate");
const ownerParam = z.object({ address: localAddress });
const bothParams = z.object({ address: localAddress, fingerprint: fingerprintText });
const tags = ["Certificates"];

export function certificateRoutes({ services, directory }: RouteContext): Router {
  const { store } = services;
  const router = newRouter();

  router.openapi(
    createRoute({
      method: "get",
      path: "/accounts/{address}/certificates",
      tags,
      summary: "List client certificates of an account",
      middleware: [needs("accounts:read")],
      request: { params: ownerParam },
      responses: {
        200: jsonResponse(z.object({ items: z.array(certificateSchema) }), "All of them (at most 100)"),
        default: PROBLEM_RESPONSE,
      },
    }),
    (c) =>
      c.json(
        {
          items: store.directory.certificatesOf(existingAccount(store, c.req.valid("param").address).id).map(
            shown,
          ),
        },
        200,
      ),
  );

  router.openapi(
    createRoute({
      method: "post",
      path: "/accounts/{address}/certificates",
      tags,
      summary: "Let a client certificate log in as an account",
      description: "Who issued it does not matter: the fingerprint is what is trusted.",
      middleware: [needs("accounts:write")],
      request: { params: ownerParam, ...jsonBody(newCertificate) },
      responses: { 201: jsonResponse(certificateSchema, "The certificate"), default: PROBLEM_RESPONSE },
    }),
    (c) => {
      const body = c.req.valid("json");
      return directory.run(async () => {
        const { id } = existingAccount(store, c.req.valid("param").address);
        const fingerprint = fingerprintOf(body);
        await commit(store, { kind: "put-certificate", fingerprint, accountId: id, note: body.note });
        return c.json(shown(store.directory.certificate(fingerprint)!), 201);
      });
    },
  );

  router.openapi(
    createRoute({
      method: "delete",
      path: "/accounts/{address}/certificates/{fingerprint}",
      tags,
      summary: "Forget a client certificate",
      middleware: [needs("accounts:write")],
      request: { params: bothParams },
      responses: { 204: { description: "It is gone" }, default: PROBLEM_RESPONSE },
    }),
    (c) => {
      const { address, fingerprint } = c.req.valid("param");
      return directory.run(async () => {
        const { id } = existingAccount(store, address);
        const plain = hex(fingerprint);
        if (store.directory.certificate(plain)?.accountId !== id) {
          throw notFound("no-such-address", `${address} has no certificate ${plain}`);
        }
        await commit(store, { kind: "remove-certificate", fingerprint: plain, accountId: id });
        return c.body(null, 204);
      });
    },
  );

  return router;
}

function fingerprintOf(body: { fingerprint?: string | undefined; certificate?: string | undefined }): string {
  const { fingerprint, certificate } = body;
  if ((fingerprint === undefined) === (certificate === undefined)) {
    throw invalid("fingerprint", "give either a fingerprint or a certificate");
  }
  if (fingerprint !== undefined) return hex(fingerprint);
  try {
    return hex(new X509Certificate(certificate!).fingerprint256);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    throw invalid("certificate", "is no certificate in PEM form");
  }
}

function hex(fingerprint: string): string {
  return fingerprint.replaceAll(":", "").toLowerCase();
}

function shown({ fingerprint, note, createdAt }: CertificateRow) {
  return { fingerprint, note, createdAt: timeText(createdAt) };
}

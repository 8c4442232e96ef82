/**
 * Errors of the API as problem details (RFC 9457): what was wrong, the value, the limit, and the way out.
 *
 * A handler throws {@linkcode Problem}; app.ts turns it into the response. `fault` is a stable word for programs.
 */
import { z } from "@hono/zod-openapi";
import type { WriteFault, WriteOp, WriteResult } from "../../storage/ops.ts";
import type { Store } from "../../storage/store.ts";

export type ProblemStatus = 400 | 401 | 403 | 404 | 405 | 409 | 413 | 415 | 429 | 500 | 501 | 503;

const TITLES: Readonly<Record<ProblemStatus, string>> = {
  400: "The request is not valid",
  401: "A valid token is needed",
  403: "The token does not permit this",
  404: "Not found",
  405: "Not possible here",
  409: "In conflict with what is there",
  413: "The request is too large",
  415: "The request is not JSON",
  429: "Too many failed attempts",
  500: "A fault of the server",
  501: "Not available here",
  503: "Not available at the moment",
};

/** One value that is not as it should be. */
export interface ProblemField {
  /** As in `password` or `targets.0`. */
  readonly field: string;
  readonly message: string;
}

const problemSchema = z.object({
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  fault: z.string().openapi({ description: "A word for programs", example: "no-such-account" }),
  errors: z.array(z.object({ field: z.string(), message: z.string() })).optional(),
}).openapi("Problem");

export class Problem extends Error {
  override readonly name = "Problem";
  readonly status: ProblemStatus;
  readonly fault: string;
  readonly errors: readonly ProblemField[];
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: ProblemStatus, options: {
    fault: string;
    detail: string;
    errors?: readonly ProblemField[];
    headers?: Record<string, string>;
    cause?: unknown;
  }) {
    super(options.detail, { cause: options.cause });
    this.status = status;
    this.fault = options.fault;
    this.errors = options.errors ?? [];
    this.headers = options.headers ?? {};
  }

  toResponse(): Response {
    const body = {
      title: TITLES[this.status],
      status: this.status,
      detail: this.message,
      fault: this.fault,
      ...(this.errors.length > 0 && { errors: this.errors }),
    };
    return new Response(JSON.stringify(body), {
      status: this.status,
      headers: { "content-type": "application/problem+json", ...this.headers },
    });
  }
}

const STATUS_OF: Readonly<Record<WriteFault, ProblemStatus>> = {
  "no-such-mailbox": 404,
  "no-such-message": 404,
  "no-such-account": 404,
  "no-such-domain": 404,
  "no-such-alias": 404,
  "no-such-script": 404,
  "no-such-token": 404,
  "no-such-key": 404,
  "no-such-recipient": 404,
  "no-such-address": 404,
  "no-such-group": 404,
  "already-exists": 409,
  "not-permitted": 403,
  "has-children": 409,
  "domain-in-use": 409,
  "limit": 409,
  "over-quota": 409,
  "disk-full": 503,
  "unavailable": 503,
  "unsynced": 503,
};

/** Commits one operation; a refusal is thrown as its problem. */
export async function commit(store: Store, op: WriteOp): Promise<Extract<WriteResult, { ok: true }>> {
  let result: WriteResult;
  try {
    result = await store.write(op);
  } catch (error) {
    const detail = "the writer is gone; whether this was done shows after the restart";
    throw new Problem(503, { fault: "unavailable", detail, cause: error });
  }
  if (!result.ok) throw refused(result);
  return result;
}

export function refused({ fault, detail }: Extract<WriteResult, { ok: false }>): Problem {
  return new Problem(STATUS_OF[fault], { fault, detail });
}

export function notFound(
  fault:
    | WriteFault
    | "no-such-backup"
    | "no-such-ban"
    | "no-such-memory"
    | "no-such-import"
    | "no-such-session"
    | "no-such-message",
  detail: string,
): Problem {
  return new Problem(404, { fault, detail });
}

export function invalid(field: string, message: string): Problem {
  return new Problem(400, { fault: "invalid", detail: `${field}: ${message}`, errors: [{ field, message }] });
}

/** The responses that every route documents. */
export const PROBLEM_RESPONSE = {
  description: "Something was wrong; `detail` says what and the way out",
  content: { "application/problem+json": { schema: problemSchema } },
} as const;

/** What every group of routes is built on: the checked router, serial changes of the directory, shared pieces. */
import { OpenAPIHono, z } from "@hono/zod-openapi";
import { normalizeAddress, normalizeDomain } from "../../storage/address_form.ts";
import type { Account } from "../../storage/directory_view.ts";
import type { Store } from "../../storage/store.ts";
import type { AdminServices } from "../services.ts";
import type { AdminEnv } from "./access.ts";
import { notFound, Problem } from "./problem.ts";

/** What the groups of routes share. */
export interface RouteContext {
  readonly services: AdminServices;
  readonly directory: Serial;
}

export type Router = OpenAPIHono<AdminEnv>;

/** A router that answers values outside its schemas with a problem that names each of them. */
export function newRouter(): Router {
  return new OpenAPIHono<AdminEnv>({
    defaultHook: (result) => {
      if (result.success) return;
      const errors = result.error.issues.map(({ path, message }) => ({
        field: path.map(String).join("."),
        message,
      }));
      const detail = errors.map(({ field, message }) => field === "" ? message : `${field}: ${message}`)
        .join("; ");
      throw new Problem(400, { fault: "invalid", detail, errors });
    },
  });
}

/**
 * One change of the directory after the other: "exists already" is read before the write, and nobody else writes
 * domains, accounts, aliases or tokens.
 */
export class Serial {
  #last: Promise<unknown> = Promise.resolve();

  run<T>(change: () => Promise<T>): Promise<T> {
    const result = this.#last.then(change);
    this.#last = result.catch(() => {}); // its caller hears of it; the next one does not care
    return result;
  }
}

/** A domain in any spelling, turned into its normal form. */
export const domainName = z.string().max(1_024).transform((text, context) => {
  const name = normalizeDomain(text);
  if (name !== null) return name;
  context.addIssue({ code: "custom", message: `"${text}" is not a domain name, as in example.org` });
  return z.NEVER;
}).openapi({ type: "string", example: "example.org" });

/** An address of this server in any spelling, turned into its normal form. */
export const localAddress = z.string().max(1_024).transform((text, context) => {
  const address = normalizeAddress(text);
  if (address !== null) return address;
  context.addIssue({ code: "custom", message: `"${text}" is not an address, as in ann@example.org` });
  return z.NEVER;
}).openapi({ type: "string", example: "ann@example.org" });

/** Text for people, on one line. */
export function plainText(max: number) {
  return z.string().max(max).refine((text) => !/\p{Cc}/u.test(text), "no control characters");
}

/** Throws a problem that says so where there is none. */
export function existingAccount(store: Store, address: string): Account {
  const account = store.directory.account(address);
  if (account === null) throw notFound("no-such-account", `there is no account ${address}`);
  return account;
}

/** Milliseconds to the time as the API shows it. */
export function timeText(at: number): string {
  return new Date(at).toISOString();
}

export const time = z.string().openapi({ format: "date-time", example: "2026-01-02T03:04:05.678Z" });

/** JSON request body of a route. */
export function jsonBody<T extends z.ZodType>(schema: T) {
  return { body: { required: true, content: { "application/json": { schema } } } } as const;
}

/** A JSON response of a route. */
export function jsonResponse<T extends z.ZodType>(schema: T, description: string) {
  return { description, content: { "application/json": { schema } } } as const;
}

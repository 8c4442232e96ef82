/** Looks inside a zod schema: keys, defaults and docs under the wrappers that transforms and defaults add. */
import { z } from "zod";
import type { KeyDoc } from "./keys.ts";

/** The schema under pipes, defaults and optional marks, and the default met on the way. */
export interface Unwrapped {
  readonly type: z.ZodType;
  /** As the file would write it; undefined without. */
  readonly fallback: unknown;
  readonly required: boolean;
}

export function unwrap(schema: z.ZodType): Unwrapped {
  let type = schema;
  let fallback: unknown;
  let required = true;
  for (;;) {
    if (type instanceof z.ZodPipe) type = type.in as z.ZodType;
    else if (type instanceof z.ZodDefault || type instanceof z.ZodPrefault) {
      fallback ??= type.def.defaultValue;
      required = false;
      type = type.unwrap() as z.ZodType;
    } else if (type instanceof z.ZodOptional) {
      required = false;
      type = type.unwrap() as z.ZodType;
    } else return { type, fallback, required };
  }
}

/** The keys of an object; null for anything else. */
export function shapeOf(schema: z.ZodType): Readonly<Record<string, z.ZodType>> | null {
  const { type } = unwrap(schema);
  return type instanceof z.ZodObject ? type.shape as Record<string, z.ZodType> : null;
}

/** The names allowed as keys; empty for what has none. */
export function keysOf(schema: z.ZodType): string[] {
  const { type } = unwrap(schema);
  if (type instanceof z.ZodRecord && type.keyType instanceof z.ZodEnum) {
    return type.keyType.options.map(String);
  }
  return Object.keys(shapeOf(schema) ?? {});
}

/** What stands at one step of a path: a key's value or a list's element; null when nothing can. */
export function childOf(schema: z.ZodType, step: string | number): z.ZodType | null {
  const { type } = unwrap(schema);
  if (type instanceof z.ZodArray) return type.element as z.ZodType;
  return shapeOf(schema)?.[step] ?? null;
}

export function docOf(schema: z.ZodType): KeyDoc | undefined {
  return schema.meta() as KeyDoc | undefined;
}

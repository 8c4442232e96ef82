/**
 * `config example`: the commented configuration file, printed from the schema so that the two cannot drift.
 *
 * Every key stands there with its meaning. One with a default shows it; one without shows a sample, commented out
 * unless it is required. The output is itself a valid configuration.
 */
import { stringify } from "yaml";
import { z } from "zod";
import { configSchema } from "./schema.ts";
import { docOf, unwrap } from "./walk.ts";

export function exampleConfig(): string {
  const { type } = unwrap(configSchema);
  const lines = [
    "# Configuration of Veredus. Keys left out have the values shown here; `veredus config check FILE` checks it.",
    '# Durations: ms s m h d w, as in "1h 30m". Sizes: kB MB GB (1,000) or KiB MiB GiB (1,024).',
    "",
    ...(type instanceof z.ZodObject ? keys(type, "", true) : []),
  ];
  return lines.join("\n") + "\n";
}

/** The keys of an object at one indentation; `spaced` puts an empty line between them. */
function keys(object: z.ZodObject, indent: string, spaced: boolean): string[] {
  const lines: string[] = [];
  for (const [name, schema] of Object.entries(object.shape as Record<string, z.ZodType>)) {
    lines.push(...entry(name, schema, indent));
    if (spaced) lines.push("");
  }
  while (lines.at(-1) === "") lines.pop();
  return lines;
}

function entry(name: string, schema: z.ZodType, indent: string): string[] {
  const about = docOf(schema);
  const lines = (about?.doc ?? "").split("\n").map((line) => `${indent}# ${line}`);
  const { type, fallback, required } = unwrap(schema);
  if (type instanceof z.ZodObject) {
    return [...lines, `${indent}${name}:`, ...keys(type, `${indent}  `, false)];
  }
  if (type instanceof z.ZodArray) {
    const element = unwrap(type.element as z.ZodType).type;
    if (element instanceof z.ZodObject) return [...lines, ...list(name, element, indent, about?.sample)];
  }
  if (required) return [...lines, `${indent}${name}: ${flow(about?.sample)}`];
  return empty(fallback)
    ? [...lines, `${indent}# ${name}: ${flow(about?.sample ?? fallback ?? "")}`]
    : [...lines, `${indent}${name}: ${flow(about?.sample ?? fallback)}`];
}

/** A list of blocks: what an element may hold, then the default list, or one sample commented out. */
function list(name: string, element: z.ZodObject, indent: string, sample: unknown): string[] {
  const shape = Object.entries(element.shape as Record<string, z.ZodType>);
  if (!Array.isArray(sample)) {
    const body = shape.flatMap(([key, schema]) => entry(key, schema, ""))
      .map((line, at) => `${indent}#   ${at === 0 ? "- " : "  "}${line.replace(/^# (?=\w+: )/, "")}`);
    return [`${indent}# ${name}:`, ...body];
  }
  const about = shape.flatMap(([key, schema]) => {
    const { fallback } = unwrap(schema);
    const doc = (docOf(schema)?.doc ?? "").split("\n");
    const shown = fallback === undefined ? "" : ` [${flow(fallback)}]`;
    return doc.map((line, at) => `${indent}#   ${at === 0 ? `${key}${shown}: ` : "    "}${line}`);
  });
  const known = new Set(shape.map(([key]) => key));
  const items = sample.map((item: Record<string, unknown>) => {
    const pairs = Object.entries(item).filter(([key, value]) => {
      const schema = known.has(key) ? element.shape[key] as z.ZodType : null;
      return schema !== null && value !== unwrap(schema).fallback;
    });
    return `${indent}  - { ${pairs.map(([key, value]) => `${key}: ${flow(value)}`).join(", ")} }`;
  });
  return [...about, `${indent}${name}:`, ...items];
}

function empty(value: unknown): boolean {
  if (value === undefined || value === "") return true;
  return typeof value === "object" && value !== null && Object.keys(value).length === 0;
}

function flow(value: unknown): string {
  return stringify(value, { collectionStyle: "flow", lineWidth: 0 }).trim();
}

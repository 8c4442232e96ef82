/** Schemas of `/openapi.json` (JSON Schema 2020-12, as far as our routes use it) as HTML, for people. Pure. */
import { escaped } from "../html.ts";

export interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
  readonly description?: string;
  readonly default?: unknown;
  readonly example?: unknown;
  readonly format?: string;
  readonly pattern?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly exclusiveMinimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
}

/** One line of a table of fields. */
export interface Field {
  readonly name: string;
  readonly needed: boolean;
  readonly schema: Schema;
  /** Instead of that of the schema. */
  readonly description?: string;
}

/** What it is: its kind in words, behind it the fields of what is named nowhere else. */
export function schemaHtml(schema: Schema): string {
  if (schema.$ref !== undefined) return link(schema.$ref.slice(schema.$ref.lastIndexOf("/") + 1));
  const { allOf, items, properties } = schema;
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices !== undefined) return choices.map(schemaHtml).join(" or ");
  if (allOf !== undefined) return allOf.map(schemaHtml).join(" and ");
  if (schema.enum !== undefined) return schema.enum.map((value) => code(JSON.stringify(value))).join(" or ");
  if (items !== undefined) return `list of ${schemaHtml(items)}`;
  if (properties !== undefined) return fieldsHtml(fieldsOf(schema));
  const { type = "anything" } = schema;
  return escaped(typeof type === "string" ? type : type.join(" or "));
}

export function fieldsHtml(fields: readonly Field[]): string {
  const rows = fields.map(({ name, needed, schema, description = schema.description ?? "" }) => {
    const about = [escaped(description), ...limitsOf(schema)].filter((part) => part !== "").join("; ");
    return `<tr><th>${escaped(name)}${needed ? "" : "?"}</th><td>${
      schemaHtml(schema)
    }</td><td>${about}</td></tr>`;
  });
  return `<table>${rows.join("")}</table>`;
}

/** A link to a schema that has a name. */
function link(name: string): string {
  return `<a href="#${escaped(name)}">${escaped(name)}</a>`;
}

function fieldsOf({ properties = {}, required = [] }: Schema): Field[] {
  return Object.entries(properties).map(([name, schema]) => ({
    name,
    schema,
    needed: required.includes(name),
  }));
}

function limitsOf(schema: Schema): string[] {
  const { minimum, exclusiveMinimum, maximum, minLength, maxLength, minItems, maxItems } = schema;
  const limits = [
    range({ least: minimum, most: maximum, unit: "" }),
    range({ least: minLength, most: maxLength, unit: " characters" }),
    range({ least: minItems, most: maxItems, unit: " items" }),
  ];
  if (exclusiveMinimum !== undefined) limits.push(`more than ${exclusiveMinimum}`);
  if (schema.format !== undefined) return [...limits, escaped(schema.format)]; // which says more than an example
  if (schema.pattern !== undefined) limits.push(code(schema.pattern));
  if (schema.default !== undefined) limits.push(`default ${code(JSON.stringify(schema.default))}`);
  if (schema.example !== undefined) limits.push(`as in ${code(JSON.stringify(schema.example))}`);
  return limits;
}

/** Empty where there is none, or none but that numbers are exact. */
function range(
  { least = -Infinity, most = Infinity, unit }: {
    readonly least: number | undefined;
    readonly most: number | undefined;
    readonly unit: string;
  },
): string {
  const low = Math.abs(least) < Number.MAX_SAFE_INTEGER, high = most < Number.MAX_SAFE_INTEGER;
  if (low && high) return `${least} to ${most}${unit}`;
  if (high) return `up to ${most}${unit}`;
  return low ? `at least ${least}${unit}` : "";
}

function code(text: string): string {
  return `<code>${escaped(text)}</code>`;
}

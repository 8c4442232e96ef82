/**
 * `/docs`: what `/openapi.json` says, as a page to read. All of it is here, and nothing runs in the browser: no script, no
 * address of anybody else, and a policy that allows nothing but the style in the page.
 */
import { createHash } from "node:crypto";
import { escaped } from "../html.ts";
import { fieldsHtml, type Schema, schemaHtml } from "./docs_schema.ts";

interface Content {
  readonly content?: Readonly<Record<string, { readonly schema?: Schema }>>;
}

interface Call {
  readonly tags?: readonly string[];
  readonly summary?: string;
  readonly description?: string;
  readonly parameters?: readonly {
    readonly name: string;
    readonly in: string;
    readonly required?: boolean;
    readonly description?: string;
    readonly schema: Schema;
  }[];
  readonly requestBody?: Content;
  readonly responses: Readonly<Record<string, Content & { readonly description: string }>>;
}

/** The parts of an OpenAPI 3.1 document that the page shows. */
export interface ApiDocument {
  readonly info: { readonly title: string; readonly version: string; readonly description: string };
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
  /** By path and method. */
  readonly paths: Readonly<Record<string, Readonly<Record<string, Call>>>>;
}

const STYLE = "body{font:16px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em}" +
  "nav a{margin-right:1em}h2{margin-top:2em;border-bottom:1px solid #999}h3{margin-bottom:0}" +
  "table{border-collapse:collapse}th,td{border:1px solid #ccc;padding:.1em .5em;text-align:left;" +
  "vertical-align:top;font-weight:normal;overflow-wrap:anywhere}th,code{font-family:monospace}p,dl{margin:.3em 0}" +
  "dd{margin-left:1.5em}";

export const DOCS_POLICY = `default-src 'none'; style-src 'sha256-${
  createHash("sha256").update(STYLE).digest("base64")
}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;

export function docsPage({ info, components, paths }: ApiDocument): string {
  const byTag = new Map<string, string[]>();
  for (const [path, methods] of Object.entries(paths)) {
    for (const [method, call] of Object.entries(methods)) {
      const tag = call.tags?.[0] ?? "Others";
      const calls = byTag.get(tag) ?? [];
      calls.push(callHtml(`${method.toUpperCase()} ${path}`, call));
      byTag.set(tag, calls);
    }
  }
  const title = escaped(info.title);
  const schemas = Object.entries(components.schemas).map(([name, schema]) =>
    `<h3 id="${escaped(name)}">${escaped(name)}</h3>${schemaHtml(schema)}`
  );
  const sections = [...[...byTag].map(([tag, calls]) => ({ tag, parts: calls })), {
    tag: "Types",
    parts: schemas,
  }];
  const idOf = (tag: string) => `section-${tag.toLowerCase().replaceAll(/[^a-z]+/g, "-")}`;
  return `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">` +
    `<title>${title}</title><style>${STYLE}</style><h1>${title} ${escaped(info.version)}</h1>` +
    `<p>${
      escaped(info.description)
    } Tokens go into the header <code>authorization: Bearer vrd_...</code>, bodies and ` +
    `answers are JSON, every answer to what fails is a ${schemaHtml({ $ref: "Problem" })}. ` +
    `A question mark stands behind what may be left out. <a href="/openapi.json">openapi.json</a> is for programs.</p>` +
    `<nav>${sections.map(({ tag }) => `<a href="#${idOf(tag)}">${escaped(tag)}</a>`).join(" ")}</nav>` +
    sections.map(({ tag, parts }) => `<h2 id="${idOf(tag)}">${escaped(tag)}</h2>${parts.join("")}`).join("");
}

function callHtml(
  name: string,
  { summary, description, parameters = [], requestBody, responses }: Call,
): string {
  const facts: string[] = [];
  if (parameters.length > 0) {
    const fields = parameters.map((parameter) => ({
      name: parameter.name,
      needed: parameter.required === true,
      schema: parameter.schema,
      description: parameter.description ?? parameter.schema.description ?? "",
    }));
    facts.push(`<dt>In its address</dt><dd>${fieldsHtml(fields)}</dd>`);
  }
  if (requestBody !== undefined) facts.push(`<dt>Body</dt><dd>${contentHtml(requestBody)}</dd>`);
  for (const [status, response] of Object.entries(responses)) {
    if (status === "default") continue; // a problem, as everywhere
    const content = contentHtml(response);
    facts.push(
      `<dt>${escaped(`${status}: ${response.description}`)}</dt>${content && `<dd>${content}</dd>`}`,
    );
  }
  const words = [summary, description].filter((text) => text !== undefined && text !== "").map((text) =>
    sentence(text!)
  );
  return `<h3><code>${escaped(name)}</code></h3><p>${escaped(words.join(" "))}</p><dl>${facts.join("")}</dl>`;
}

function contentHtml({ content = {} }: Content): string {
  return Object.values(content).map(({ schema = {} }) => schemaHtml(schema)).join(" or ");
}

function sentence(text: string): string {
  return text.endsWith(".") ? text : `${text}.`;
}

/** The page of the API: all that the document says, nothing from elsewhere, nothing that runs. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { docsPage } from "../../admin/api/docs_page.ts";
import { schemaHtml } from "../../admin/api/docs_schema.ts";
import { Harness } from "./harness.ts";

Deno.test("the page of the API shows every call and every type, and needs nobody else", async () => {
  const h = await Harness.open();
  try {
    const { status, body, headers } = await h.get("/docs");
    assert.equal(status, 200);
    assert.match(headers.get("content-type") ?? "", /^text\/html/);
    const page = body as string;
    assert.doesNotMatch(page, /<script|<img|<link|<iframe|\bon\w+=|@import|url\(/i);
    for (const [, address] of page.matchAll(/\b(?:src|href|action)="([^"]*)"/g)) {
      assert.match(address!, /^(#|\/openapi\.json$)/);
    }
    const style = /<style>(.*)<\/style>/s.exec(page)![1]!;
    const sum = createHash("sha256").update(style).digest("base64");
    assert.equal(
      headers.get("content-security-policy"),
      `default-src 'none'; style-src 'sha256-${sum}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
    );
    const { paths, components } = (await h.get("/openapi.json")).body;
    for (const [path, methods] of Object.entries(paths)) {
      for (const method of Object.keys(methods as object)) {
        assert.ok(page.includes(`<code>${method.toUpperCase()} ${path}</code>`), `${method} ${path}`);
      }
    }
    const ids = [...page.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id!);
    assert.equal(new Set(ids).size, ids.length);
    for (const name of Object.keys(components.schemas)) assert.ok(ids.includes(name), name);
    for (const [, id] of page.matchAll(/href="#([^"]+)"/g)) assert.ok(ids.includes(id!), id);
  } finally {
    await h.close();
  }
});

Deno.test("a call is shown with its parameters, its body and its answers; texts are no markup", () => {
  const page = docsPage({
    info: { title: "A <b>", version: "1", description: "About & about." },
    components: {
      schemas: { Thing: { type: "object", properties: { a: { type: "string" } }, required: ["a"] } },
    },
    paths: {
      "/things/{id}": {
        put: {
          tags: ["Things"],
          summary: "Change <one>",
          description: "It is changed.",
          parameters: [{
            name: "id",
            in: "path",
            required: true,
            schema: { type: "integer", minimum: 1, maximum: 9 },
          }],
          requestBody: {
            content: { "application/json": { schema: { $ref: "#/components/schemas/Thing" } } },
          },
          responses: { 204: { description: "Done" }, default: { description: "a problem" } },
        },
      },
    },
  });
  assert.match(page, /<h1>A &#60;b&#62; 1<\/h1>/);
  assert.match(
    page,
    /<code>PUT \/things\/\{id\}<\/code><\/h3><p>Change &#60;one&#62;\. It is changed\.<\/p>/,
  );
  assert.match(page, /<th>id<\/th><td>integer<\/td><td>1 to 9<\/td>/);
  assert.match(page, /<dt>Body<\/dt><dd><a href="#Thing">Thing<\/a><\/dd><dt>204: Done<\/dt><\/dl>/);
  assert.match(page, /<h3 id="Thing">Thing<\/h3><table><tr><th>a<\/th><td>string<\/td>/);
});

Deno.test("types are shown in words", () => {
  const shown = [
    [{ type: ["integer", "null"] }, "integer or null"],
    [{ type: "array", items: { $ref: "#/components/schemas/A" } }, 'list of <a href="#A">A</a>'],
    [{ enum: ["a", null] }, "<code>&#34;a&#34;</code> or <code>null</code>"],
    [{ allOf: [{ $ref: "#/x/A" }, { type: "string" }] }, '<a href="#A">A</a> and string'],
    [{}, "anything"],
    [
      { properties: { a: { type: "string", minLength: 1, default: "<", description: "it" } } },
      "<table><tr><th>a?</th><td>string</td><td>it; at least 1 characters; default <code>&#34;&#60;&#34;</code></td></tr></table>",
    ],
    [
      {
        properties: { a: { type: "integer", minimum: 0, maximum: Number.MAX_SAFE_INTEGER } },
        required: ["a"],
      },
      "<table><tr><th>a</th><td>integer</td><td>at least 0</td></tr></table>",
    ],
  ] as const;
  for (const [schema, html] of shown) assert.equal(schemaHtml(schema), html);
});

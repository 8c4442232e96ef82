/**
 * The page behind a link of a quarantine digest: the message as text, and a button that delivers it.
 *
 * GET changes nothing: programs that look for bad links open all of them. The link is the right to see and let go this
 * one message; what does harm is the operator's alone. Nothing of the message is markup here.
 */
import type { Context } from "hono";
import { release } from "../delivery/quarantine/control.ts";
import { linked } from "../delivery/quarantine/link.ts";
import { lookAt } from "../delivery/quarantine/look.ts";
import type { AdminEnv } from "./api/access.ts";
import type { Router } from "./api/router.ts";
import { escaped } from "./html.ts";
import type { AdminServices } from "./services.ts";

const POLICY =
  "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
const SHOWN_FIELDS: ReadonlySet<string> = new Set(["from", "to", "cc", "subject", "date", "reply-to"]);

export function addQuarantinePage(root: Router, { store, clock }: AdminServices): void {
  root.get("/quarantine/:token", async (c) => {
    const token = c.req.param("token");
    const row = linked(store, token);
    if (row === null || row.dangerous) return page(c, "Not here", GONE, 404);
    const { header, text, attachments } = await lookAt(store, row);
    const lines = header.filter(({ name }) => SHOWN_FIELDS.has(name)).map(({ name, value }) =>
      `<dt>${escaped(name)}</dt><dd>${escaped(value)}</dd>`
    );
    const files = attachments.map(({ name, type }) =>
      `<li>${escaped(name || "without a name")} (${escaped(type)})</li>`
    );
    return page(
      c,
      "A message that was set aside",
      `<p>For ${escaped(row.recipient)}. Why: ${escaped(row.reason)}</p><dl>${lines.join("")}</dl>` +
        `<pre>${escaped(text)}</pre>${
          files.length === 0 ? "" : `<p>Attached:</p><ul>${files.join("")}</ul>`
        }` +
        `<form method="post"><button name="action" value="release">Deliver it to me</button>` +
        ` <button name="action" value="train">Deliver it, and learn that such mail is wanted</button>` +
        "</form>",
      200,
    );
  });

  root.post("/quarantine/:token", async (c) => {
    const row = linked(store, c.req.param("token"));
    if (row === null || row.dangerous) return page(c, "Not here", GONE, 404);
    const form = await c.req.parseBody().catch(() => null);
    const action = form?.["action"];
    if (action !== "release" && action !== "train") {
      return page(c, "Nothing was done", "<p>Use the buttons.</p>", 400);
    }
    const train = action === "train";
    const result = await release({ store, clock }, [row], { train, by: row.recipient });
    return result.ok
      ? page(c, "Delivered", "<p>The message is on its way to your mailbox.</p>", 200)
      : page(c, "Not delivered", "<p>It could not be delivered now. Try again later.</p>", 503);
  });
}

const GONE = "<p>This message is not here any more, or the link is not complete.</p>";

function page(c: Context<AdminEnv>, title: string, body: string, status: 200 | 400 | 404 | 503) {
  c.header("content-security-policy", POLICY);
  c.header("referrer-policy", "no-referrer");
  return c.html(
    `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="robots" content="noindex">` +
      `<meta name="viewport" content="width=device-width"><title>${title}</title>` +
      `<style>body{font:16px/1.5 sans-serif;max-width:45em;margin:2em auto;padding:0 1em}pre{white-space:pre-wrap;` +
      `overflow-wrap:anywhere;border:1px solid #999;padding:1em}dt{font-weight:bold}</style><h1>${title}</h1>${body}`,
    status,
  );
}

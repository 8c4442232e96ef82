/**
 * The calls of webhooks: a POST of JSON, signed.
 *
 * `Veredus-Signature: t=SECONDS,v1=HEX`: HEX is HMAC-SHA256 over `SECONDS.BODY` with the key of the webhook's file, so that a
 * receiver knows who speaks and can refuse what is old. Redirects are not followed; 2xx alone takes it.
 */
import { createHmac } from "node:crypto";
import type { WebhookPost } from "../delivery/queue/webhooks.ts";
import type { WebhookConfig } from "./config/config.ts";

export function webhookPost(hooks: readonly WebhookConfig[], clock: () => number): WebhookPost {
  return async (name, { body }) => {
    const hook = hooks.find((one) => one.name === name)!;
    const key = (await Deno.readTextFile(hook.secretFile)).replace(/\r?\n$/, "");
    const response = await fetch(hook.url, {
      method: "POST",
      redirect: "manual",
      signal: AbortSignal.timeout(hook.timeoutMs),
      headers: {
        "content-type": "application/json",
        "user-agent": "Veredus",
        "veredus-signature": signature(key, body, Math.floor(clock() / 1_000)),
      },
      body,
    });
    await response.body?.cancel();
    return response.ok;
  };
}

export function signature(key: string, body: string, seconds: number): string {
  const hex = createHmac("sha256", key).update(`${seconds}.${body}`).digest("hex");
  return `t=${seconds},v1=${hex}`;
}

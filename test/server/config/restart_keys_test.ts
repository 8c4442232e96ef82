/** A reload takes over what it can, and names every other key that differs. */
import assert from "node:assert/strict";
import type { Config } from "../../../server/config/config.ts";
import { DEFAULT_CONFIG } from "../../../server/config/defaults.ts";
import { exampleConfig } from "../../../server/config/example.ts";
import { parseConfig } from "../../../server/config/load.ts";
import { reloaded, restartKeys } from "../../../server/config/restart_keys.ts";

const read = (more: string) =>
  parseConfig(`hostname: mx.example.org\n${more}\n`, "/etc/veredus/veredus.yaml");
const NOW = read("");
const TAKEN_OVER = ["limits", "bans", "logging", "certificates", "drainMs", "smtp", "copies"];

Deno.test("every key but those that are taken over is named when it differs, as the file spells it", () => {
  const spelled = [...exampleConfig().matchAll(/^(?:# )?([a-z_]+):/gm)].map(([, name]) => name);
  for (
    const key of (Object.keys(DEFAULT_CONFIG) as (keyof Config)[]).filter((one) => !TAKEN_OVER.includes(one))
  ) {
    const named = restartKeys(NOW, { ...NOW, [key]: key === "listeners" ? [] : { other: true } } as Config);
    assert.equal(named.length, 1, key);
    assert.ok(spelled.includes(named[0]!), `${named} is no key of the file`);
  }
});

Deno.test("the parts of keys that are taken over which are not are named", () => {
  const changes: [string, string[]][] = [
    ["limits: { recipients: 200, message_size: 1 MB }\nbans: { enabled: false }\ndrain: 5s", []],
    ["logging: { level: debug, areas: { smtp: info } }", []],
    ["logging: { format: json }", ["logging.format"]],
    ["limits: { min_free_disk: 1 GB }", ["limits.min_free_disk"]],
    ["limits: { login_failures_per_address: 3 }", ["limits.login_failures_per_address"]],
    ["mta_sts: { mode: testing }\nimap: { sharing: off }", ["imap", "mta_sts"]],
    ["smtp: { etrn: false, soft_bounce: true }\ncopies: [{ to: archive@example.org }]", []],
    ["listeners: [{ protocol: smtp }]", ["listeners"]],
  ];
  for (const [text, keys] of changes) {
    const next = read(text);
    assert.deepEqual(restartKeys(NOW, next), keys, text);
    // What is named stays as it was, so it is named again; everything else is in force.
    assert.deepEqual(restartKeys(reloaded(NOW, next), next), keys, text);
  }
  const { limits, drainMs } = reloaded(
    NOW,
    read("limits: { recipients: 200, min_free_disk: 1 GB }\ndrain: 5s"),
  );
  assert.deepEqual([limits.recipients, limits.minFreeOctets, drainMs], [
    200,
    NOW.limits.minFreeOctets,
    5_000,
  ]);
});

Deno.test("a port that was chosen at start is no change", () => {
  const at = (port: number) => read(`listeners: [{ protocol: smtp, port: ${port} }]`);
  const chosen = { ...NOW, listeners: [{ ...at(2525).listeners[0]!, port: 40_123 }] };
  const zero = { ...NOW, listeners: [{ ...at(2525).listeners[0]!, port: 0 }] };
  assert.deepEqual(restartKeys(chosen, zero), []);
  assert.deepEqual(restartKeys(chosen, at(2525)), ["listeners"]);
});

/** The settings in force are what the file says, else the defaults, and after a reload what it took over. */
import assert from "node:assert/strict";
import { parse } from "yaml";
import { exampleConfig } from "../../../server/config/example.ts";
import { SettingsInForce } from "../../../server/config/settings.ts";

function valueOf(settings: SettingsInForce, key: string): unknown {
  return settings.list().find((setting) => setting.key === key)?.value;
}

Deno.test("every key of the example is there, with its default, its meaning, and whether the file says it", () => {
  const settings = new SettingsInForce(parse("hostname: mx.example.org\nlimits: { message_size: 10 MB }"));
  const list = settings.list();
  assert.equal(new Set(list.map(({ key }) => key)).size, list.length);
  for (const top of [...exampleConfig().matchAll(/^(?:# )?([a-z_]+):/gm)].map(([, name]) => name!)) {
    assert.ok(list.some(({ key }) => key === top || key.startsWith(`${top}.`)), top);
  }
  assert.ok(list.every(({ about }) => about !== ""));
  const shown = (key: string) => {
    const { value, set } = list.find((one) => one.key === key)!;
    return [value, set];
  };
  assert.deepEqual(shown("limits.message_size"), ["10 MB", true]);
  assert.deepEqual(shown("limits.recipients"), [1_000, false]);
  assert.deepEqual(shown("filter.spam.junk"), [5, false]);
  assert.deepEqual(shown("smtp.soft_bounce"), [false, false]);
});

Deno.test("a reload changes what needs no restart, when the server has taken it", () => {
  const settings = new SettingsInForce(parse("limits: { recipients: 200, min_free_disk: 1 GB }\nthreads: 2"));
  settings.read(
    parse(
      "limits: { recipients: 300, min_free_disk: 2 GB, commands: 500 }\nthreads: 4\nlogging: { format: json }",
    ),
  );
  assert.equal(valueOf(settings, "limits.recipients"), 200);
  settings.takeOver();
  const keys = ["recipients", "min_free_disk", "commands"].map((key) => valueOf(settings, `limits.${key}`));
  assert.deepEqual(keys, [300, "1 GB", 500]);
  assert.deepEqual([valueOf(settings, "threads"), valueOf(settings, "logging.format")], [2, "auto"]);
});

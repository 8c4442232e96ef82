import assert from "node:assert/strict";
import denoJson from "../../deno.json" with { type: "json" };
import { ENGINE_FLAGS } from "../../server/process/own_command.ts";

Deno.test("the task starts the program with the flags that it starts itself with", () => {
  assert.ok(denoJson.tasks.start.includes(` ${ENGINE_FLAGS} `), denoJson.tasks.start);
});

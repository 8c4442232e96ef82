/** Daily limits of logins, where the rows of the store come late. */
import assert from "node:assert/strict";
import type { CheckFacts } from "../../filter/check.ts";
import { sending } from "../../filter/checks/sending.ts";

Deno.test("the administrator is told once, also while the note of it is being written", () => {
  const told: string[] = [];
  const check = sending({
    state: { get: () => null, list: () => [] },
    write: () => new Promise(() => {}),
    now: () => 0,
    messagesPerDay: 2,
    newRecipientsPerDay: 1,
    notify: (_, reason) => told.push(reason),
  });
  const client = { login: "ann@example.test" };
  const run = (facts: { stage: "mail" } | { stage: "rcpt"; recipient: string }) =>
    check.run({ client, ...facts } as unknown as CheckFacts);
  const answers = ["a@far.test", "a@far.test", "b@far.test", "c@far.test"].map((recipient) =>
    run({ stage: "rcpt", recipient })
  );
  for (let message = 0; message < 3; message++) answers.push(run({ stage: "mail" }));
  assert.deepEqual(
    answers.map((answer) => "action" in answer && answer.action),
    ["continue", "continue", "defer", "defer", "continue", "continue", "defer"],
  );
  assert.deepEqual(told, ["1 recipients today that it never wrote to"]);
});

/** Daily limits of logins. */
import assert from "node:assert/strict";
import type { CheckFacts } from "../../filter/check.ts";
import { sending } from "../../filter/checks/sending.ts";
import { Bed, settled, TAKEN } from "./checks_bed.ts";

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

Deno.test("a login's daily limits: messages, recipients it never wrote to, one notice", async () => {
  await using bed = await Bed.open(
    "    - { check: sending, messages_per_day: 4, new_recipients_per_day: 2 }\n",
  );
  const send = (...to: string[]) =>
    bed.send({
      client: { ...bed.login("bob"), screen: bed.reception.screen() },
      from: "bob@example.test",
      to,
    });
  assert.deepEqual(await send("a@x.example", "b@x.example", "c@x.example"), [
    "250 2.1.5",
    "250 2.1.5",
    "450 4.7.1",
    "250 2.6.0",
  ]);
  await settled(bed);
  assert.deepEqual(await send("a@x.example"), TAKEN, "known");
  assert.deepEqual(await send("c@x.example"), ["450 4.7.1"]);
  assert.deepEqual(bed.notices, ["bob@example.test: 2 recipients today that it never wrote to"]);
  assert.deepEqual(await send("b@x.example"), TAKEN);
  await settled(bed);
  assert.deepEqual(await send("b@x.example"), ["450 4.7.1"], "the fifth message");
  assert.deepEqual(bed.notices.length, 1);
  const day = Math.floor(bed.now / 86_400_000);
  await bed.test.ok({ kind: "remove-state", of: "sent", keys: [`bob@example.test ${day}`] });
  assert.deepEqual(await send("b@x.example"), TAKEN, "the operator had the day forgotten");
  bed.now += 86_400_000;
  assert.deepEqual(await send("d@x.example"), TAKEN, "another day");
});

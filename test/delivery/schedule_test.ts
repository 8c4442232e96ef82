/** When mail is tried again, given up, and when its sender hears of it. */
import assert from "node:assert/strict";
import { delayNoticeDue, nextAttempt } from "../../delivery/schedule.ts";
import { DEFAULT_QUEUE } from "../../server/config/defaults.ts";

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

Deno.test("waits double from 5 to 70 minutes, 20 % more or less", () => {
  const waits = [5, 10, 20, 40, 70, 70, 70];
  for (const [attempts, minutes] of waits.entries()) {
    for (const [random, factor] of [[0, 0.8], [0.5, 1], [0.9999999, 1.2]] as const) {
      const at = nextAttempt(DEFAULT_QUEUE, { attempts, now: 1_000, expiresAt: DAY, random });
      assert.ok(
        at !== null && Math.abs(at - 1_000 - minutes * MINUTE * factor) < 10,
        `${attempts} ${random} ${at}`,
      );
    }
  }
  const late = nextAttempt(DEFAULT_QUEUE, { attempts: 5_000, now: 0, expiresAt: DAY, random: 0.5 });
  assert.equal(late, 70 * MINUTE);
});

Deno.test("the last attempt is made when the message expires, and then it is over", () => {
  const facts = { attempts: 9, random: 0.5 };
  assert.equal(nextAttempt(DEFAULT_QUEUE, { ...facts, now: DAY - MINUTE, expiresAt: DAY }), DAY);
  assert.equal(nextAttempt(DEFAULT_QUEUE, { ...facts, now: DAY, expiresAt: DAY }), null);
  assert.equal(nextAttempt(DEFAULT_QUEUE, { ...facts, now: DAY + 5, expiresAt: DAY }), null);
});

Deno.test("five days are about a hundred attempts", () => {
  let now = 0;
  let attempts = 0;
  for (;; attempts++) {
    const next = nextAttempt(DEFAULT_QUEUE, { attempts, now, expiresAt: 5 * DAY, random: 0.5 });
    if (next === null) break;
    assert.ok(next > now);
    now = next;
  }
  assert.equal(now, 5 * DAY);
  assert.ok(attempts > 95 && attempts < 115, `${attempts}`);
});

Deno.test("a wait of nothing still goes forward", () => {
  const options = { ...DEFAULT_QUEUE, firstRetryMs: 1, jitterPercent: 100 };
  assert.equal(nextAttempt(options, { attempts: 0, now: 7, expiresAt: 100, random: 0 }), 8);
});

Deno.test("the sender hears of a delay after four hours, once", () => {
  const after = (ms: number, delayNotified = false) =>
    delayNoticeDue(DEFAULT_QUEUE, { now: 1_000 + ms, createdAt: 1_000, delayNotified });
  assert.ok(!after(4 * 60 * MINUTE - 1));
  assert.ok(after(4 * 60 * MINUTE));
  assert.ok(!after(4 * 60 * MINUTE, true));
});

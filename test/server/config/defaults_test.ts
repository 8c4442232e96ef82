/** What the server does without a word from the operator: the numbers that the documentation names. */
import assert from "node:assert/strict";
import { LIMITS_BEFORE_LOGIN } from "../../../protocols/imap/framer.ts";
import { DEFAULT_CONFIG } from "../../../server/config/defaults.ts";
import { DEFAULT_IMAP_OPTIONS } from "../../../server/imap/options.ts";
import { DEFAULT_POP3_OPTIONS } from "../../../server/pop3.ts";

const SECOND = 1_000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR;

Deno.test("limits of SMTP", () => {
  const { limits } = DEFAULT_CONFIG;
  assert.deepEqual(
    {
      line: limits.commandLineOctets,
      auth: limits.authLineOctets,
      message: limits.messageOctets,
      recipients: limits.recipients,
      command: limits.commandTimeoutMs,
      wholeMessage: limits.messageTimeoutMs,
    },
    {
      line: 2_048,
      auth: 16_384,
      message: 50_000_000,
      recipients: 1_000,
      command: 5 * MINUTE, // RFC 5321 4.5.3.2.7
      wholeMessage: 60 * MINUTE,
    },
  );
});

Deno.test("retries, lifetimes and the notice of a delay", () => {
  const { queue } = DEFAULT_CONFIG;
  assert.deepEqual(
    [queue.firstRetryMs, queue.maxRetryMs, queue.jitterPercent, queue.lifetimeMs, queue.bounceLifetimeMs],
    [5 * MINUTE, 70 * MINUTE, 20, 5 * DAY, 2 * DAY],
  );
  assert.deepEqual([queue.delayNoticeMs, queue.recipientsPerTransaction, queue.suppressMs], [
    4 * HOUR,
    100,
    0,
  ]);
});

Deno.test("IMAP: 3 minutes and 16 kB before a login, 30 minutes and more behind it, a word every 2", () => {
  const { timeouts } = DEFAULT_IMAP_OPTIONS;
  const { limits } = DEFAULT_CONFIG;
  assert.deepEqual([limits.loginTimeoutMs, timeouts.beforeLoginMs], [3 * MINUTE, 3 * MINUTE]);
  assert.ok(limits.idleTimeoutMs >= 30 * MINUTE && timeouts.idleMs >= 30 * MINUTE); // RFC 3501 5.4
  assert.equal(timeouts.stillHereMs, 2 * MINUTE);
  assert.deepEqual([LIMITS_BEFORE_LOGIN.lineOctets, LIMITS_BEFORE_LOGIN.literalOctets], [16_384, 16_384]);
});

Deno.test("POP3: the second login waits 10 s for the maildrop", () => {
  assert.equal(DEFAULT_POP3_OPTIONS.timeouts.lockMs, 10 * SECOND);
});

Deno.test("TLS towards others: a destination that lost it is warned of, policies are followed", () => {
  const { dane, mtaSts, learned, reports } = DEFAULT_CONFIG.outboundTls;
  assert.deepEqual([dane, mtaSts, learned, reports], [true, true, "warn", true]);
});

/** reject, vacation, notify, redirect with DSN wishes: what they ask for, and what they may not stand beside. */
import assert from "node:assert/strict";
import { actionsOf, faultsOf, outcomeOf } from "./harness.ts";

Deno.test("vacation: defaults, bounds, what makes two answers the same (RFC 5230 4.2, RFC 6131)", async () => {
  const vacation = async (
    text: string,
    requires = '"vacation", "vacation-seconds", "variables", "fcc", "mailbox"',
  ) => {
    const { actions, fault } = await outcomeOf(`require [${requires}];\n${text}`);
    const [action] = actions;
    if (action?.kind !== "vacation") assert.fail(fault?.text);
    return action;
  };
  const plain = await vacation('vacation "gone";');
  assert.equal(plain.againAfterSeconds, 7 * 86_400);
  assert.deepEqual([plain.subject, plain.from, plain.mime, plain.copyTo], [null, null, false, null]);
  assert.equal((await vacation('vacation :days 0 "x";')).againAfterSeconds, 86_400);
  assert.equal((await vacation('vacation :days 999 "x";')).againAfterSeconds, 60 * 86_400);
  assert.equal((await vacation('vacation :seconds 0 "x";')).againAfterSeconds, 0);
  assert.notEqual(plain.handle, (await vacation('vacation "away";')).handle);
  assert.notEqual(plain.handle, (await vacation('vacation :subject "x" "gone";')).handle);
  const one = await vacation('set "s" "1"; vacation :subject "re: ${s}" "gone";');
  const two = await vacation('set "s" "2"; vacation :subject "re: ${s}" "gone";');
  assert.deepEqual([one.subject, two.subject], ["re: 1", "re: 2"]);
  assert.equal(one.handle, two.handle);
  assert.equal(
    (await vacation('vacation :handle "h" "x";')).handle,
    (await vacation('vacation :handle "h" "y";')).handle,
  );
  const copied = await vacation('vacation :fcc "Sent" :create "gone";');
  assert.deepEqual(copied.copyTo, {
    mailbox: "Sent",
    flags: null,
    create: true,
    specialUse: null,
    mailboxId: null,
  });
  assert.deepEqual(
    await faultsOf(
      'require ["vacation", "mailbox"];\nvacation :from "nobody" "x";\nvacation :create "x";\nvacation :seconds 5 "x";',
    ),
    [
      "line 2, column 16: :from is no list of addresses",
      "line 3, column 10: :create needs :fcc",
      'line 4, column 10: :seconds needs require "vacation-seconds"',
    ],
  );
});

Deno.test("a reject or a second vacation beside others is a fault at run time (RFC 5429 2., RFC 5230 4.7)", async () => {
  const need = 'require ["reject", "ereject", "vacation", "fileinto", "enotify"];\n';
  const cases: [string, string][] = [
    ['reject "no";', "reject"],
    ['ereject "no";', "ereject"],
    ['reject "no"; discard;', "reject, discard"],
    ['keep; reject "no";', "fault line 2, column 7: reject after keep"],
    ['reject "no"; fileinto "x";', "fault line 2, column 14: fileinto after a reject"],
    ['reject "no"; vacation "x";', "fault line 2, column 14: vacation after a reject"],
    ['vacation "x"; ereject "no";', "fault line 2, column 15: ereject after vacation"],
    ['vacation "x"; vacation "y";', "fault line 2, column 15: a second vacation"],
    ['reject "no"; reject "no";', "fault line 2, column 14: reject after reject"],
    ['notify "mailto:a@b.example"; reject "no";', 'notify "mailto:a@b.example", reject'],
  ];
  for (const [script, expected] of cases) assert.equal(await actionsOf(need + script), expected, script);
});

Deno.test("notify: methods, importance, tests (RFC 5435, RFC 5436)", async () => {
  const { actions } = await outcomeOf(
    'require ["enotify"];\nnotify :importance "1" :message "boss wrote" :from "me@x.example" "mailto:alm@example.com?subject=x";',
  );
  assert.deepEqual(actions[0], {
    ...{ kind: "notify", method: "mailto:alm@example.com?subject=x", from: "me@x.example" },
    ...{ importance: "1", message: "boss wrote", copyTo: null },
  });
  assert.deepEqual(
    await faultsOf(
      'require "enotify";\nnotify "xmpp:a@b";\nnotify :importance "4" "mailto:a@b.example";\nnotify "mailto:";',
    ),
    [
      "line 2, column 8: only mailto: with addresses is a method here",
      "line 3, column 20: :importance is 1, 2 or 3",
      "line 4, column 8: only mailto: with addresses is a method here",
    ],
  );
  const test = (text: string) => actionsOf(`require "enotify"; if ${text} { discard; }`);
  assert.equal(
    await test('valid_notify_method ["mailto:a@b.example", "mailto:c@d.example?cc=e@f.example"]'),
    "discard",
  );
  assert.equal(
    await test('valid_notify_method ["mailto:", "http://gw.example.net/notify?test"]'),
    "implicit keep",
  );
  assert.equal(await test('notify_method_capability "mailto:a@b.example" "Online" "maybe"'), "discard");
  assert.equal(await test('notify_method_capability "mailto:a@b.example" "online" "yes"'), "implicit keep");
});

Deno.test("redirect takes one address, and wishes for reports (RFC 6009)", async () => {
  const need = 'require ["redirect-dsn", "variables"];\n';
  const { actions } = await outcomeOf(
    `${need}redirect :notify "success,FAILURE" :ret "hdrs" "Me <me@example.org>";`,
  );
  assert.deepEqual(actions[0], {
    ...{ kind: "redirect", address: "me@example.org", notify: "SUCCESS,FAILURE", ret: "HDRS", header: null },
  });
  assert.deepEqual(
    await faultsOf(`${need}redirect :notify "always" "a@b.example";\nredirect "a@b.example, c@d.example";`),
    [
      "line 2, column 18: :notify is NEVER, or some of SUCCESS,FAILURE,DELAY",
      "line 3, column 10: this is not one address",
    ],
  );
  assert.match(await actionsOf(`${need}set "a" "x"; redirect "\${a}";`), /^fault .*one address$/);
});

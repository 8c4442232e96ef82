/** Filter scripts through the API: of every scope, by hand and by form, and over mail that is there. */
import { strict as assert } from "node:assert";
import { withHarness } from "./harness.ts";

const ALICE = "/scripts/user/alice@example.test";

Deno.test("scripts are stored when they are valid, listed, activated and removed", () =>
  withHarness(async (h) => {
    const bad = await h.send("PUT", `${ALICE}/main`, { body: { content: "keep;\nblub;" } });
    assert.equal(bad.status, 400);
    assert.equal(bad.body.errors[0].message, "line 2, column 1: there is no command blub");
    for (const path of [ALICE, "/scripts/domain/example.test", "/scripts/server/-", "/scripts/after/-"]) {
      assert.equal((await h.send("PUT", `${path}/main`, { body: { content: "keep;" } })).status, 200);
      assert.equal((await h.send("PUT", path, { body: { name: "main" } })).status, 204);
      const { body } = await h.get(path);
      assert.deepEqual(body.items.map((one: { name: string; active: boolean }) => [one.name, one.active]), [[
        "main",
        true,
      ]]);
      assert.equal((await h.send("DELETE", `${path}/main`)).status, 403);
      assert.equal((await h.send("PUT", path, { body: { name: null } })).status, 204);
      assert.equal((await h.send("DELETE", `${path}/main`)).status, 204);
    }
    assert.equal((await h.get("/scripts/user/none@example.test")).status, 404);
    assert.equal((await h.get("/scripts/server/x")).status, 400);
    assert.equal((await h.get(`${ALICE}/none`)).status, 404);
    const { body } = await h.send("POST", "/scripts/check", { body: { content: "if {}" } });
    assert.deepEqual([body.ok, body.faults[0].line, body.faults[0].column], [false, 1, 1]);
  }));

const RULES = {
  rules: [
    {
      ...{ name: "Listen – é", enabled: true, match: "any", stop: true },
      conditions: [
        { field: "list-id", is: "contains", value: "sieve" },
        { field: "recipient", is: "is", not: true, value: 'a "quoted" \\ one' },
        { field: "subject", is: "begins", value: "[a*b]" },
        { field: "size", is: "over", octets: 1000 },
      ],
      actions: [{ do: "file", mailbox: "Lists/Sieve" }, { do: "flag", flag: "$Work" }],
    },
    {
      ...{ name: "off", enabled: false, match: "all", stop: false },
      conditions: [],
      actions: [{ do: "discard" }],
    },
  ],
  vacation: { from: "2026-12-24", until: null, days: 7, subject: "Weg", text: "bin weg\n.\nbis bald" },
};

Deno.test("rules become a script and come back; what was changed by hand is no form's any more", () =>
  withHarness(async (h) => {
    const path = `${ALICE}/form`;
    const made = await h.send("PUT", `${path}/rules`, { body: RULES });
    assert.equal(made.status, 200, JSON.stringify(made.body));
    assert.equal(made.body.byForm, true);
    assert.match(made.body.content, /addflag "\$Work";\r\n {2}fileinto :create "Lists\/Sieve";\r\n {2}stop;/);
    assert.deepEqual((await h.get(`${path}/rules`)).body, RULES);
    await h.send("PUT", path, { body: { content: `${made.body.content}keep;` } });
    assert.equal((await h.get(`${path}/rules`)).status, 409);
    assert.equal((await h.send("PUT", `${path}/rules`, { body: RULES })).status, 409);
    assert.match((await h.get(path)).body.content, /keep;$/);
    await h.send("PUT", `${ALICE}/hand`, { body: { content: '# rules:{"rules":5}\r\nkeep;' } });
    assert.equal((await h.get(`${ALICE}/hand/rules`)).status, 409);
    const nobody = {
      ...RULES,
      rules: [{ ...RULES.rules[0], actions: [{ do: "redirect", address: "nobody" }] }],
    };
    assert.equal((await h.send("PUT", `${ALICE}/bad/rules`, { body: nobody })).status, 400);
  }));

Deno.test("a script runs over mail that is there, first dry", () =>
  withHarness(async (h) => {
    const { test } = h;
    const inbox = test.mailboxId("alice", "INBOX");
    const letter = (subject: string) => `Subject: ${subject}\r\n\r\nx\r\n`;
    await test.deliver(letter("list one"), [inbox]);
    await test.deliver(letter("other"), [inbox]);
    await test.deliver(letter("away"), [inbox]);
    const content = 'require ["fileinto", "mailbox", "imap4flags"]; if header :contains "subject" "list" ' +
      '{ fileinto :create :flags "\\\\Seen" "Lists"; } elsif header "subject" "away" { redirect "a@far.example"; }';
    await h.send("PUT", `${ALICE}/main`, { body: { content } });
    const run = (dryRun: boolean) =>
      h.send("POST", `${ALICE}/main/run`, { body: { mailbox: "INBOX", dryRun } });
    const dry = await run(true);
    assert.deepEqual([dry.body.looked, dry.body.changed, dry.body.next], [3, 1, null]);
    assert.deepEqual(dry.body.results.map(({ actions }: { actions: string[] }) => actions), [
      ['fileinto "Lists"'],
      ["implicit keep"],
      ['redirect "a@far.example"'],
    ]);
    const { mailboxes } = test.store;
    const id = test.accountId("alice");
    assert.deepEqual([mailboxes.byName(id, "INBOX")?.messages, mailboxes.byName(id, "Lists")], [3, null]);
    assert.equal((await run(false)).body.changed, 1);
    const lists = mailboxes.byName(id, "Lists");
    assert.deepEqual([mailboxes.byName(id, "INBOX")?.messages, lists?.messages, lists?.unseen], [2, 1, 0]);
    assert.equal(test.store.queue.counts().queued, 0);
    assert.equal((await h.send("POST", `${ALICE}/main/run`, { body: { mailbox: "None" } })).status, 404);
  }));

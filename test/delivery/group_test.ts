/** Groups from the queue to their members, over the real store. */
import { deepStrictEqual as equal, ok } from "node:assert";
import type { AgentJob } from "../../delivery/agents.ts";
import { listFields, PAGE_MEMBERS } from "../../delivery/group.ts";
import { srsReverse } from "../../delivery/srs.ts";
import type { GroupInput } from "../../storage/ops.ts";
import { until } from "../lib/program.ts";
import { ALICE, QueueHarness } from "./queue_harness.ts";

const TEAM = "team@example.test";

async function withGroup(
  setup: { readonly members: readonly string[]; readonly group?: Partial<GroupInput> },
  body: (h: QueueHarness) => Promise<void>,
): Promise<void> {
  await using h = await QueueHarness.open({});
  const group = { address: TEAM, displayName: "", posting: "anyone", owners: [], ...setup.group } as const;
  await h.t.ok({ kind: "put-group", group });
  await h.t.ok({ kind: "change-members", group: TEAM, add: setup.members, remove: [] });
  await body(h);
}

async function post(h: QueueHarness, text = "Subject: hello\r\n\r\nbody\r\n", sender = ALICE): Promise<void> {
  const content = await h.t.content(text);
  const now = Date.now();
  await h.t.ok({
    kind: "deliver",
    content,
    targets: [],
    queue: {
      sender,
      accountId: null,
      envelopeId: "",
      ret: "",
      eightBit: false,
      smtputf8: false,
      createdAt: now,
      expiresAt: now + 3_600_000,
      recipients: [{ recipient: TEAM, destination: `group:${TEAM}`, notify: "", originalRecipient: "" }],
    },
  });
}

function stored(h: QueueHarness, account: string): string[] {
  const { store } = h.t;
  return store.messages.rows(h.t.mailboxId(account, "INBOX"), [[1, 2 ** 31]], { limit: 100, withImap: false })
    .map(({ prefix, blob }) =>
      new TextDecoder().decode(prefix) + new TextDecoder().decode(store.blobs.readSync(blob, 0, blob.length))
    );
}

function queued(h: QueueHarness) {
  return h.t.store.queue.list({}, { afterRecipientId: 0, limit: 1_000 });
}

Deno.test("every member has the message with the marks of a list; the author's octets are unchanged", () =>
  withGroup({
    members: ["alice@example.test", "bob@example.test", "fred@else.example"],
    group: { owners: ["boss@else.example"], displayName: "The team" },
  }, async (h) => {
    h.start();
    await post(h);
    await until("both members", () => stored(h, "alice").length === 1 && stored(h, "bob").length === 1);
    const [text] = stored(h, "bob");
    const boss = /^Return-Path: <(SRS0=[^=]+=[^=]+=else\.example=boss@example\.test)>\r\nDelivered-To: bob@/
      .exec(text!)?.[1];
    ok(boss !== undefined, text);
    for (
      const field of [
        `Delivered-To: ${TEAM}`,
        "List-Id: The team <team.example.test>",
        `List-Post: <mailto:${TEAM}>`,
        "List-Owner: <mailto:boss@else.example>",
        "List-Unsubscribe: <mailto:boss@else.example?subject=unsubscribe>",
        "Precedence: list",
      ]
    ) ok(text!.includes(`\r\n${field}\r\n`), field);
    ok(text!.endsWith("Precedence: list\r\nSubject: hello\r\n\r\nbody\r\n"));
    const [row] = queued(h).filter(({ destination }) => destination === "else.example");
    equal([row!.recipient, row!.sender], ["fred@else.example", boss]);
    // What bounces to it goes to the owner.
    const keys = h.t.store.directory.secrets("srs").map(({ value }) => Uint8Array.fromBase64(value));
    equal(srsReverse(boss.slice(0, boss.lastIndexOf("@")), { keys, now: Date.now() }), {
      kind: "address",
      address: "boss@else.example",
    });
    await until(
      "the group's row to go",
      () => queued(h).every(({ destination }) => destination !== `group:${TEAM}`),
    );
  }));

Deno.test("a message that has been in the group comes back to its author, and goes round no more", () =>
  withGroup({ members: ["bob@example.test"] }, async (h) => {
    h.start();
    await post(h, `Delivered-To: ${TEAM}\r\nSubject: round\r\n\r\nbody\r\n`);
    await until("a bounce", () => stored(h, "alice").length === 1);
    ok(stored(h, "alice")[0]!.includes("5.4.6"));
    equal(stored(h, "bob").length, 0);
  }));

Deno.test("two groups that are members of each other end by themselves", () =>
  withGroup({ members: ["other@example.test", "bob@example.test"] }, async (h) => {
    const other = { address: "other@example.test", displayName: "", posting: "members", owners: [] } as const;
    await h.t.ok({ kind: "put-group", group: other });
    await h.t.ok({
      kind: "change-members",
      group: "other@example.test",
      add: [TEAM, "alice@example.test"],
      remove: [],
    });
    h.start();
    await post(h, undefined, "");
    await until("the queue to be empty", () => queued(h).length === 0 && stored(h, "alice").length > 0);
    equal([stored(h, "alice").length, stored(h, "bob").length], [1, 1]);
    ok(stored(h, "alice")[0]!.startsWith("Return-Path: <>\r\n"));
  }));

Deno.test("a group that is gone or empty is a bounce", () =>
  withGroup({ members: [] }, async (h) => {
    h.start();
    await post(h);
    await until("a bounce", () => stored(h, "alice").length === 1);
    await h.t.ok({ kind: "remove-group", address: TEAM });
    await post(h);
    await until("another", () => stored(h, "alice").length === 2);
  }));

Deno.test("members are filed page by page, each once", () =>
  withGroup({ members: ["bob@example.test"] }, async (h) => {
    const many = 2 * PAGE_MEMBERS + 500;
    const add = Array.from({ length: many }, (_, at) => `m${at}@else${at % 7}.example`);
    await h.t.ok({ kind: "change-members", group: TEAM, add, remove: [] });
    h.start();
    const before = Deno.memoryUsage().heapUsed;
    await post(h);
    await until("all pages", () => h.t.store.queue.counts().queued >= many, 30_000);
    await until(
      "the group's row to go",
      () =>
        h.t.store.queue.list({ destination: `group:${TEAM}` }, { afterRecipientId: 0, limit: 10 }).length ===
          0,
    );
    equal(h.t.store.queue.counts().queued, many);
    equal(stored(h, "bob").length, 1);
    ok(Deno.memoryUsage().heapUsed - before < 100_000_000);
  }));

Deno.test("a group that is asked again, as when its outcome was lost, files for nobody twice", () =>
  withGroup({ members: ["bob@example.test", "fred@else.example"] }, async (h) => {
    let job: AgentJob | null = null;
    h.start({ agents: { group: (address, asked) => h.groups.deliver(address, job = asked) } });
    await post(h);
    await until("it is filed", () => stored(h, "bob").length === 1);
    const verdict = await h.groups.deliver(TEAM, job!);
    equal([verdict.outcome, verdict.text], ["delivered", `filed for 2 members of ${TEAM}`]);
    equal(stored(h, "bob").length, 1);
    equal(queued(h).filter(({ recipient }) => recipient === "fred@else.example").length, 1);
  }));

Deno.test("the fields of a group whose name has something to hide", () => {
  const group = { posting: "owners", owners: [], members: 0, createdAt: 0 } as const;
  const text = listFields({ ...group, address: "tëam@example.test", displayName: 'a" <b>' });
  ok(text.includes("List-Id: <t_am.example.test>\r\n"), text);
  ok(text.includes("List-Post: NO\r\n"));
  ok(text.includes("List-Owner: <mailto:postmaster@example.test>\r\n"));
});

Deno.test("a member's scripts file what a group sends; one that refuses gets nothing", () =>
  withGroup({ members: ["alice@example.test", "bob@example.test"] }, async (h) => {
    const script = (name: string, content: string) => {
      const owner = String(h.t.accountId(name));
      return h.t.ok({
        kind: "batch",
        ops: [
          { kind: "put-script", scope: "user", owner, name: "main", content },
          { kind: "activate-script", scope: "user", owner, name: "main" },
        ],
      });
    };
    await script(
      "alice",
      'require ["fileinto", "mailbox"]; if exists "list-id" { fileinto :create "Team"; }',
    );
    await script("bob", 'require "reject"; reject "no lists";');
    h.start();
    await post(h);
    await until("the queue to be empty", () => queued(h).length === 0);
    const { mailboxes } = h.t.store;
    const count = (account: string, name: string) =>
      mailboxes.byName(h.t.accountId(account), name)?.messages ?? 0;
    equal([count("alice", "Team"), count("alice", "INBOX"), count("bob", "INBOX"), count("bob", "Junk")], [
      ...[1, 0, 0, 1],
    ]);
  }));

Deno.test("scripts run over mail that was held back, when its time has come", async () => {
  await using h = await QueueHarness.open({});
  const owner = String(h.t.accountId("alice"));
  await h.t.ok({
    ...{ kind: "put-script", scope: "user", owner, name: "main" },
    content: 'require ["fileinto", "mailbox"]; fileinto :create "Late";',
  });
  await h.t.ok({ kind: "activate-script", scope: "user", owner, name: "main" });
  const now = Date.now();
  await h.t.ok({
    kind: "deliver",
    content: await h.t.content("Subject: held\r\n\r\nbody\r\n"),
    targets: [],
    queue: {
      ...{ sender: "x@else.example", accountId: null, envelopeId: "", ret: "", eightBit: false },
      ...{ smtputf8: false, createdAt: now, expiresAt: now + 3_600_000 },
      recipients: [{ recipient: ALICE, destination: "local:held", notify: "", originalRecipient: "" }],
    },
  });
  h.start();
  await until("the queue to be empty", () => queued(h).length === 0);
  const { mailboxes } = h.t.store;
  equal(mailboxes.byName(h.t.accountId("alice"), "Late")?.messages, 1);
  equal(mailboxes.byName(h.t.accountId("alice"), "INBOX")?.messages, 0);
});

/** What a score does to a message: rules of users and domains, the one reply to DATA, quarantine, time-outs, mail of logins. */
import assert from "node:assert/strict";
import { encode } from "../../bytes/decode.ts";
import type { AuthenticationConfig } from "../../delivery/authentication.ts";
import type { SpamConfig } from "../../delivery/spam/judge.ts";
import type { HeldMail } from "../../delivery/spam/outgoing.ts";
import { actionOf, formatRules, parseRules, percentOf, SPAM_ENTRY } from "../../delivery/spam/rules.ts";
import type { TraceEvent } from "../../delivery/tracer.ts";
import { Blocks } from "../../filter/address_block.ts";
import { Chain } from "../../filter/chain.ts";
import type { Check } from "../../filter/check.ts";
import { SessionScreen } from "../../filter/screen.ts";
import type { Assessment, AssessRequest } from "../../filter/spam/assessor.ts";
import { scoreOf } from "../../filter/spam/score.ts";
import { parseConfig } from "../../server/config/load.ts";
import { MockResolver } from "../lib/mock_resolver.ts";
import { line, ReceptionBed, STRANGER } from "./reception_bed.ts";

const AUTHENTICATION: AuthenticationConfig = {
  ...{ iprev: false, spf: false, dkim: true, arc: false, dmarc: "off", refuse: "never" },
  ...{ trustedSealers: [], knownLists: [], relays: new Blocks([]), skip: new Blocks([]) },
  ...{ onDnsTrouble: "deliver", timeoutMs: 30_000 },
};
const RULES = { mark: 3, junk: 5, quarantine: null, refuse: null };
const SPAM: SpamConfig = {
  ...{ enabled: true, rules: { server: RULES, domains: {} }, weights: {}, onTimeout: "mark" },
  ...{ outgoingHold: 8, deadlineMs: 1_000, linkZones: [], traps: [] },
};
const LETTER = "From: Ann <ann@friends.test>\r\nTo: alice@example.test\r\nSubject: x\r\n\r\nhello\r\n";

interface Given {
  readonly points: number | null;
  readonly spam?: Partial<SpamConfig>;
  readonly relays?: Blocks;
}

async function withBed(
  { points, spam = {}, relays }: Given,
  use: (
    bed: ReceptionBed,
    seen: { readonly asked: AssessRequest[]; readonly held: HeldMail[] },
  ) => Promise<void>,
): Promise<void> {
  const seen = { asked: [] as AssessRequest[], held: [] as HeldMail[] };
  const hits = [{ name: "made-up", points: points ?? 0, explain: "the test says so" }];
  const assess = (request: AssessRequest): Promise<Assessment | null> => {
    seen.asked.push(request);
    const score = scoreOf(hits, []);
    const ids = request.recipients.length === 0 ? [0] : request.recipients.map(({ accountId }) => accountId);
    return Promise.resolve(
      points === null ? null : { scores: ids.map((accountId) => ({ accountId, score })), linkDomains: [] },
    );
  };
  const authentication = { ...AUTHENTICATION, ...(relays !== undefined && { relays }) };
  const bed = await ReceptionBed.open({ authentication, spam: { ...SPAM, ...spam } }, {}, {
    resolver: new MockResolver({}),
    spam: { filter: { assess }, linkHits: () => Promise.resolve([]), notify: (held) => seen.held.push(held) },
  });
  try {
    await use(bed, seen);
  } finally {
    await bed.close();
  }
}

async function rule(bed: ReceptionBed, name: string, text: string): Promise<void> {
  await bed.ok(
    {
      kind: "put-annotations",
      accountId: bed.account(name).id,
      mailboxId: 0,
      annotations: [{ entry: SPAM_ENTRY, value: encode(text) }],
    } as Parameters<ReceptionBed["ok"]>[0],
  );
}

const BOTH = ["alice@example.test", "bob@example.test"];

Deno.test("points decide: delivered, marked, Junk; the header says why in any case", async () => {
  for (
    const [points, mailbox, flag] of [[0.5, "INBOX", "NO"], [3.5, "INBOX", "NO"], [7, "Junk", "YES"]] as const
  ) {
    await withBed({ points }, async (bed) => {
      assert.equal(line((await bed.send({ to: BOTH, message: LETTER })).data!), "250 2.6.0");
      const [stored = ""] = bed.stored("alice", mailbox);
      assert.match(stored, new RegExp(`^X-Spam-Flag: ${flag}\r$`, "m"));
      assert.match(stored, /the test says so \(\+\d\.\d\)\r$/m);
      assert.match(
        stored,
        points === 3.5 ? /^X-Spam-Reason: marked, from 3 points on;/m : /^X-Spam-Reason: /m,
      );
    });
  }
});

Deno.test("out of the box mail is marked and filed in Junk, and no score refuses or holds it", async () => {
  const { rules } = parseConfig("hostname: mx.test\n", "/veredus.yaml").filter.spam;
  assert.deepEqual(rules, { server: { mark: 3, junk: 5, quarantine: null, refuse: null }, domains: {} });
  await withBed({ points: 1_000, spam: { rules } }, async (bed) => {
    assert.equal(line((await bed.send({ to: BOTH, message: LETTER })).data!), "250 2.6.0");
    assert.deepEqual(BOTH.map((to) => bed.stored(to.split("@")[0]!, "Junk").length), [1, 1]);
  });
});

Deno.test("what was not looked at is said in the message and in the trace", async () => {
  const mark = "only the first 256 kB of the header were looked at";
  const traced: TraceEvent[] = [];
  const assess = ({ recipients }: AssessRequest): Promise<Assessment> =>
    Promise.resolve({
      scores: recipients.map(({ accountId }) => ({ accountId, score: scoreOf([], [mark]) })),
      linkDomains: [],
    });
  await using bed = await ReceptionBed.open({ authentication: AUTHENTICATION, spam: SPAM }, {}, {
    resolver: new MockResolver({}),
    tracer: { note: (event) => void traced.push(event) },
    spam: { filter: { assess }, linkHits: () => Promise.resolve([]), notify: () => {} },
  });
  await bed.send({ to: ["alice@example.test"], message: LETTER });
  assert.match(
    bed.stored("alice")[0]!.replace(/\r\n\t/g, " "),
    new RegExp(`^X-Spam-Reason: .*${mark}\r$`, "m"),
  );
  assert.deepEqual(
    traced.find(({ event }) => event === "checked")?.reply,
    `spam: alice@example.test: 0.0 deliver, ${mark}`,
  );
});

Deno.test("each recipient has rules of its own, of the user, the domain, the server", async () => {
  await withBed({ points: 6 }, async (bed) => {
    await rule(bed, "bob", "junk off");
    await bed.send({ to: BOTH, message: LETTER });
    assert.deepEqual([bed.stored("alice", "Junk").length, bed.stored("bob").length], [1, 1]);
  });
  const domains = { "example.test": { junk: 9 } };
  await withBed({ points: 6, spam: { rules: { server: RULES, domains } } }, async (bed) => {
    await bed.send({ to: BOTH, message: LETTER });
    assert.deepEqual([bed.stored("alice").length, bed.stored("bob").length], [1, 1]);
  });
});

Deno.test("it is refused only if every recipient's rules refuse it; else those get it in Junk", async () => {
  await withBed({ points: 20 }, async (bed) => {
    await rule(bed, "alice", "refuse 15");
    assert.equal(line((await bed.send({ to: BOTH, message: LETTER })).data!), "250 2.6.0");
    assert.match(
      bed.stored("alice", "Junk")[0]!,
      /^X-Spam-Reason: Junk in place of a refusal, from 15 points on;/m,
    );
    assert.equal(bed.stored("bob", "Junk").length, 1);
    await rule(bed, "bob", "refuse 15");
    assert.equal(line((await bed.send({ to: BOTH, message: LETTER })).data!), "550 5.7.1");
    assert.equal(bed.stored("bob", "Junk").length, 1);
  });
});

Deno.test("what a relay of ours hands over is never refused for its content", async () => {
  const relays = new Blocks(["192.0.2.1/32"]);
  const spam = { rules: { server: { ...RULES, refuse: 10 }, domains: {} } };
  await withBed({ points: 20, spam, relays }, async (bed) => {
    assert.equal(line((await bed.send({ to: BOTH, message: LETTER })).data!), "250 2.6.0");
    assert.equal(bed.stored("alice", "Junk").length, 1);
  });
});

Deno.test("whom a relay of ours had a message from is judged, not the relay", async () => {
  const relays = new Blocks(["192.0.2.1/32"]);
  const received =
    "Received: from far.test (far.test [203.0.113.7]) by relay.test with ESMTP; Mon, 23 Nov 2026 20:00:00 +0000\r\n";
  for (
    const [given, address] of [[{ points: 0, relays }, "203.0.113.7"], [{ points: 0 }, "192.0.2.1"]] as const
  ) {
    await withBed(given, async (bed, { asked }) => {
      await bed.send({ to: BOTH, message: received + LETTER });
      assert.equal(asked[0]!.around?.client.address, address);
    });
  }
});

Deno.test("it is held if every recipient's rules hold it", async () => {
  await withBed(
    { points: 20, spam: { rules: { server: { ...RULES, quarantine: 10 }, domains: {} } } },
    async (bed) => {
      assert.equal(line((await bed.send({ to: BOTH, message: LETTER })).data!), "250 2.6.0");
      assert.deepEqual([bed.stored("alice", "Junk"), bed.stored("alice")], [[], []]);
      await rule(bed, "bob", "quarantine off");
      await bed.send({ to: BOTH, message: LETTER });
      assert.deepEqual([bed.stored("alice", "Junk").length, bed.stored("bob", "Junk").length], [1, 1]);
    },
  );
});

Deno.test("the filter sees the message as the client sent it, whatever the checks put in front", async () => {
  await withBed({ points: 0 }, async (bed, { asked }) => {
    await bed.ok({
      kind: "put-alias",
      ...{ address: "away@example.test", targets: ["away@elsewhere.test"] },
    });
    const tags: Check = {
      ...{ name: "tags", stages: ["message"] },
      run: () => ({ action: "tag", reason: "the test says so" }),
    };
    for (const to of [["alice@example.test"], ["alice@example.test", "away@example.test"]]) {
      const screen = new SessionScreen({ strangers: new Chain([tags]), logins: new Chain([]) });
      const client = { ...STRANGER, screen };
      assert.equal(line((await bed.send({ client, to, message: LETTER })).data!), "250 2.6.0");
      assert.equal(new TextDecoder().decode(asked.pop()!.octets), LETTER);
    }
    for (const stored of bed.stored("alice")) {
      assert.equal(
        stored.match(/^X-Veredus-Verdict: deliver;\r\n\ttags=tag \(the test says so\)\r$/mg)?.length,
        1,
      );
    }
  });
});

Deno.test("without a verdict in time a message is delivered with a mark, or put off by setting", async () => {
  await withBed({ points: null }, async (bed) => {
    assert.equal(line((await bed.send({ to: BOTH, message: LETTER })).data!), "250 2.6.0");
    assert.match(bed.stored("alice")[0]!, /^X-Spam-Status: No, not judged\r$/m);
  });
  await withBed({ points: null, spam: { onTimeout: "defer" } }, async (bed) => {
    assert.equal(line((await bed.send({ to: BOTH, message: LETTER })).data!), "451 4.7.1");
    assert.deepEqual(bed.stored("alice"), []);
  });
});

Deno.test("lists of links that are late: the rest of the verdict counts, with a mark, or the message is put off", async () => {
  const mark = "lists of links did not answer in time";
  const assess = ({ recipients }: AssessRequest): Promise<Assessment> =>
    Promise.resolve({
      scores: recipients.map(({ accountId }) => ({ accountId, score: scoreOf([], []) })),
      linkDomains: ["bad.example"],
    });
  for (const onTimeout of ["mark", "defer"] as const) {
    const traced: TraceEvent[] = [];
    await using bed = await ReceptionBed.open(
      { authentication: AUTHENTICATION, spam: { ...SPAM, deadlineMs: 100, onTimeout } },
      {},
      {
        resolver: new MockResolver({}),
        tracer: { note: (event) => void traced.push(event) },
        spam: { filter: { assess }, linkHits: () => new Promise<never>(() => {}), notify: () => {} },
      },
    );
    const { data } = await bed.send({ to: ["alice@example.test"], message: LETTER });
    const told = traced.filter(({ event }) => event === "checked").map(({ reply }) => reply);
    if (onTimeout === "defer") {
      assert.deepEqual([line(data!), bed.stored("alice"), told], ["451 4.7.1", [], [`spam: ${mark}`]]);
      continue;
    }
    assert.equal(line(data!), "250 2.6.0");
    assert.match(
      bed.stored("alice")[0]!.replace(/\r\n\t/g, " "),
      new RegExp(`^X-Spam-Reason: .*${mark}\r$`, "m"),
    );
    assert.deepEqual(told, [`spam: alice@example.test: 0.0 deliver, ${mark}`]);
  }
});

Deno.test("mail of a login without a verdict in time goes with a mark in its trace, or is put off", async () => {
  const own = LETTER.replace("ann@friends.test", "alice@example.test");
  for (const onTimeout of ["mark", "defer"] as const) {
    const traced: TraceEvent[] = [];
    await using bed = await ReceptionBed.open({ spam: { ...SPAM, onTimeout } }, {}, {
      tracer: { note: (event) => void traced.push(event) },
      spam: { filter: { assess: () => Promise.resolve(null) }, linkHits: () => [], notify: () => {} },
    });
    const { data } = await bed.send({
      client: bed.login("alice"),
      ...{ from: "alice@example.test", to: ["x@remote.example"], message: own },
    });
    assert.equal(line(data!), onTimeout === "mark" ? "250 2.6.0" : "451 4.7.1");
    assert.equal(bed.queued().length, onTimeout === "mark" ? 1 : 0);
    assert.deepEqual(traced.filter(({ event }) => event === "checked").map(({ reply }) => reply), [
      "spam: it was not judged: the filter did not answer in time",
    ]);
  }
});

Deno.test("who sent it, the checks and the filter have one time together; who sent it has half of it at most", async () => {
  const silent = { resolve: () => new Promise<never>(() => {}) };
  const never: Check = {
    ...{ name: "never", stages: ["message"], run: () => new Promise<never>(() => {}) },
  };
  const scanner: Check = {
    ...{ name: "scanner", stages: ["message"], run: () => Promise.reject(new Error("it is asked")) },
    late: () => ({ action: "tag", reason: "not scanned: no time" }),
  };
  const asked: number[] = [];
  const assess = (_: AssessRequest, withinMs: number): Promise<null> => {
    asked.push(withinMs);
    return Promise.resolve(null);
  };
  const authentication = { ...AUTHENTICATION, spf: true };
  for (const onTimeout of ["mark", "defer"] as const) {
    const traced: TraceEvent[] = [];
    await using bed = await ReceptionBed.open(
      {
        ...{ authentication, spam: { ...SPAM, deadlineMs: 200, onTimeout } },
      },
      {},
      {
        resolver: silent,
        tracer: { note: (event) => void traced.push(event) },
        spam: { filter: { assess }, linkHits: () => Promise.resolve([]), notify: () => {} },
      },
    );
    const chain = new Chain([never, scanner]);
    const client = { ...STRANGER, screen: new SessionScreen({ strangers: chain, logins: chain }) };
    const began = performance.now();
    const answer = await bed.send({ client, to: ["alice@example.test"], message: LETTER });
    // Each of the times alone is 30 s and more.
    assert.ok(performance.now() - began < 15_000);
    if (onTimeout === "defer") {
      assert.equal(line(answer.data!), "451 4.7.1");
      assert.deepEqual(bed.stored("alice"), []);
      continue;
    }
    assert.equal(line(answer.data!), "250 2.6.0");
    const [stored = ""] = bed.stored("alice");
    assert.match(stored, /spf=temperror/);
    assert.match(stored, /never=tag \(not asked to the end: the time for a verdict was over\)/);
    assert.match(stored, /scanner=tag \(not scanned: no time\)/);
    assert.match(stored, /^X-Spam-Status: No, not judged\r$/m);
    assert.deepEqual(asked, [0]);
    const reasons = traced.flatMap(({ event, reply }) => event === "checked" ? [reply] : []);
    assert.ok(reasons.some((reply) => reply?.includes("not known in time or for DNS: spf")), `${reasons}`);
  }
});

Deno.test("an author is seen once; those the recipient has written to are known", async () => {
  await withBed({ points: 0 }, async (bed, { asked }) => {
    await bed.send({ to: ["alice@example.test"], message: LETTER });
    await bed.send({ to: ["alice@example.test"], message: LETTER });
    assert.deepEqual(asked.map(({ recipients: [one] }) => one!.firstContact), [true, false]);
    const row = { firstAt: 0, lastAt: 0, count: 1, expiresAt: 2 ** 45, note: "" };
    await bed.ok({
      kind: "put-state",
      add: false,
      rows: [{ kind: "known", key: "alice@example.test ann@friends.test", ...row }],
    });
    await bed.send({ to: ["alice@example.test"], message: LETTER });
    assert.deepEqual(asked.map(({ recipients: [one] }) => one!.known), [false, false, true]);
    const allowed = {
      entry: "/private/vendor/veredus/allow",
      value: encode("carol@else.test\n@friends.test\n"),
    };
    await bed.ok({
      ...{ kind: "put-annotations", accountId: bed.account("bob").id, mailboxId: 0, annotations: [allowed] },
    });
    await bed.send({ to: ["bob@example.test"], message: LETTER });
    await bed.send({ to: ["bob@example.test"], message: LETTER.replace("ann@friends", "ann@enemies") });
    assert.deepEqual(asked.slice(3).map(({ recipients: [one] }) => one!.known), [true, false]);
    // It says nothing where nobody proves that the author sent it (signals_test.ts).
    assert.deepEqual(asked.map(({ around }) => around?.aligned), Array(5).fill(false));
  });
});

Deno.test("mail of a login that looks like spam waits, and the administrator is told; other mail goes", async () => {
  const own = LETTER.replace("ann@friends.test", "alice@example.test");
  await withBed({ points: 9 }, async (bed, { held }) => {
    const answer = await bed.send({
      client: bed.login("alice"),
      from: "alice@example.test",
      to: ["x@remote.example"],
      message: own,
    });
    assert.equal(line(answer.data!), "250 2.6.0");
    assert.deepEqual(bed.queued(), []); // it lies in the quarantine
    assert.equal(held[0]?.login, "alice@example.test");
    assert.match(held[0]!.reason, /^spam: 9\.0 quarantine, made-up \+9\.0/);
  });
  await withBed({ points: 7 }, async (bed, { held }) => {
    await bed.send({
      client: bed.login("alice"),
      from: "alice@example.test",
      to: ["x@remote.example"],
      message: own,
    });
    assert.deepEqual([bed.queued().length, held.length], [1, 0]);
  });
});

Deno.test("rules are words and numbers; anything else is no rule", () => {
  assert.deepEqual(parseRules("mark 3 junk 5.5, quarantine off refuse -1"), {
    mark: 3,
    junk: 5.5,
    quarantine: null,
    refuse: -1,
  });
  for (const text of ["junk", "junk five", "delete 3", "junk 1000000"]) {
    assert.equal(parseRules(text), null, text);
  }
  assert.equal(formatRules({ junk: 5, refuse: null }), "junk 5 refuse off");
  assert.equal(actionOf(5, RULES), "junk");
  assert.equal(actionOf(4.99, RULES), "mark");
  assert.equal(actionOf(-3, RULES), "deliver");
});

Deno.test("spamtest: 0 for no points, half where Junk begins, all at twice that", () => {
  assert.deepEqual([-2, 0, 2.5, 5, 10, 30].map((points) => percentOf(points, RULES)), [
    0,
    0,
    25,
    50,
    100,
    100,
  ]);
  assert.equal(percentOf(5, { ...RULES, junk: null }), 50);
});

/** Scripts and the verdict of the real spam filter: what scored Junk is neither answered nor sent outside, and spamtest has its points. */
import assert from "node:assert/strict";
import type { AuthenticationConfig } from "../../delivery/authentication.ts";
import type { SpamConfig } from "../../delivery/spam/judge.ts";
import { Blocks } from "../../filter/address_block.ts";
import { SpamFilter } from "../../server/spam_filter.ts";
import { MockResolver } from "../lib/mock_resolver.ts";
import { line, ReceptionBed } from "./reception_bed.ts";

const AUTHENTICATION: AuthenticationConfig = {
  ...{ iprev: false, spf: false, dkim: true, arc: false, dmarc: "off", refuse: "never" },
  ...{ trustedSealers: [], knownLists: [], relays: new Blocks([]), skip: new Blocks([]) },
  ...{ onDnsTrouble: "deliver", timeoutMs: 30_000 },
};
const SPAM: SpamConfig = {
  enabled: true,
  rules: { server: { mark: 3, junk: 5, quarantine: null, refuse: null }, domains: {} },
  ...{ weights: {}, onTimeout: "mark", outgoingHold: 8, deadlineMs: 60_000, linkZones: [], traps: [] },
};
const WANTED = (n: number) =>
  `From: Carol <carol@friends.test>\r\nTo: alice@example.test\r\nSubject: Minutes ${n}\r\n` +
  `Date: Mon, 23 Nov 2026 20:09:29 +0000\r\nMessage-ID: <minutes${n}@friends.test>\r\n\r\nDear Alice, here are the minutes.\r\n`;
const UNWANTED = (n: number) =>
  `From: Carol <carol@friends.test>\r\nTo: alice@example.test\r\nSubject: MAKE MONEY FAST!!! $500        8472\r\n` +
  `Date: Mon, 23 Nov 2026 20:09:29 +0000\r\nMessage-ID: <money${n}@friends.test>\r\nContent-Type: text/html\r\n\r\n` +
  `<html><body>Dear friend, click here: <a href="http://198.51.100.7/">www.bank.test</a> absolutely free, act now, ` +
  `no obligation. To be removed from our list click below.</body></html>\r\n`;

async function withBed(script: string, use: (bed: ReceptionBed) => Promise<void>): Promise<void> {
  let filter: SpamFilter | undefined;
  const bed: ReceptionBed = await ReceptionBed.open({ authentication: AUTHENTICATION, spam: SPAM }, {}, {
    resolver: new MockResolver({}),
    spam: {
      filter: {
        assess: (request, withinMs) => {
          filter ??= new SpamFilter({
            ...{ store: bed.test.store, thread: null, deadlineMs: 60_000 },
          });
          return filter.assess(request, withinMs);
        },
      },
      ...{ linkHits: () => Promise.resolve([]), notify: () => {} },
    },
  });
  try {
    const owner = String(bed.account("alice").id);
    await bed.ok(
      { kind: "put-script", scope: "user", owner, name: "main", content: script },
      { kind: "activate-script", scope: "user", owner, name: "main" },
    );
    await use(bed);
  } finally {
    await filter?.close();
    await bed.close();
  }
}

async function send(bed: ReceptionBed, message: string, to = "alice@example.test"): Promise<void> {
  const { data } = await bed.send({ from: "carol@friends.test", to: [to], message });
  assert.equal(line(data!), "250 2.6.0");
}

const counts = (
  bed: ReceptionBed,
) => [bed.stored("alice").length, bed.stored("alice", "Junk").length, bed.queued().length];

Deno.test("vacation answers wanted mail, and never what scored Junk", () =>
  withBed('require "vacation"; vacation "gone";', async (bed) => {
    await send(bed, UNWANTED(1));
    assert.deepEqual(counts(bed), [0, 1, 0]);
    await send(bed, WANTED(1));
    assert.deepEqual(counts(bed), [1, 1, 1]);
    assert.equal(bed.queued()[0]!.recipient, "carol@friends.test");
  }));

Deno.test("a Junk verdict takes the place of the implicit keep only", async () => {
  const cases: [script: string, where: string][] = [
    ["", "Junk"],
    ['if header :contains "subject" "nothing of the kind" { discard; }', "Junk"],
    ["keep;", "INBOX"],
    ['require ["fileinto", "mailbox"]; fileinto :create "Own";', "Own"],
    ["discard;", "nowhere"],
  ];
  for (const [script, where] of cases) {
    await withBed(script, async (bed) => {
      await bed.ok({
        ...{ kind: "create-mailbox", accountId: bed.account("alice").id, name: "Own", specialUse: null },
      });
      await send(bed, UNWANTED(1));
      const found = ["INBOX", "Own", "Junk"].filter((name) => bed.stored("alice", name).length > 0);
      assert.deepEqual(found, where === "nowhere" ? [] : [where], script);
    });
  }
});

Deno.test("a redirect to outside leaves what scored Junk here, in Junk; to a mailbox here it goes", async () => {
  await withBed('redirect "me@far.example";', async (bed) => {
    await send(bed, UNWANTED(1));
    assert.deepEqual(counts(bed), [0, 1, 0]);
    await send(bed, WANTED(1));
    assert.deepEqual(counts(bed), [0, 1, 1]);
    assert.equal(bed.queued()[0]!.recipient, "me@far.example");
  });
  await withBed('redirect "bob@example.test";', async (bed) => {
    await send(bed, UNWANTED(1));
    assert.deepEqual(counts(bed), [0, 0, 0]);
    assert.equal(bed.stored("bob").length + bed.stored("bob", "Junk").length, 1);
  });
});

Deno.test("spamtest and spamtestplus have the points of the filter; mail of logins is not tested", () =>
  withBed(
    'require ["spamtestplus", "relational", "comparator-i;ascii-numeric", "fileinto", "mailbox"];\n' +
      'if spamtest :value "eq" :comparator "i;ascii-numeric" "0" { fileinto :create "untested"; }\n' +
      'elsif spamtest :percent :value "ge" :comparator "i;ascii-numeric" "50" { fileinto :create "half"; }\n' +
      'elsif spamtest :percent :value "lt" :comparator "i;ascii-numeric" "50" { fileinto :create "less"; }',
    async (bed) => {
      await send(bed, UNWANTED(1));
      await send(bed, WANTED(1));
      const own = WANTED(2).replace("Carol <carol@friends.test>", "bob@example.test");
      const { data } = await bed.send({
        ...{ client: bed.login("bob"), from: "bob@example.test", to: ["alice@example.test"], message: own },
      });
      assert.equal(line(data!), "250 2.6.0");
      const [half, less, untested] = ["half", "less", "untested"].map((name) => bed.stored("alice", name));
      assert.match(half!.join(), /^Subject: MAKE MONEY/m);
      assert.match(less!.join(), /^Subject: Minutes 1/m);
      assert.match(untested!.join(), /^Subject: Minutes 2/m);
    },
  ));

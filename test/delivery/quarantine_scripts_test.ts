/** Filter scripts and what is set aside: nothing runs while a message waits, and what is let go is filed by scripts, once. */
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import type { AuthenticationConfig } from "../../delivery/authentication.ts";
import type { InboundConfig } from "../../delivery/inbound/setting.ts";
import { ArcVerifier } from "../../mailauth/arc.ts";
import { sealHeader } from "../../mailauth/arc_seal.ts";
import { BodyHash } from "../../mailauth/dkim_canonical.ts";
import { DkimVerifier } from "../../mailauth/dkim_verify.ts";
import { release } from "../../delivery/quarantine/control.ts";
import { fileHeld } from "../../delivery/held.ts";
import { RecipientResolver } from "../../delivery/recipients.ts";
import type { Verdict } from "../../delivery/settle.ts";
import type { SpamConfig } from "../../delivery/spam/judge.ts";
import { Blocks } from "../../filter/address_block.ts";
import { Chain } from "../../filter/chain.ts";
import { SessionScreen } from "../../filter/screen.ts";
import { scoreOf } from "../../filter/spam/score.ts";
import { type MockEntry, MockResolver, txt } from "../lib/mock_resolver.ts";
import { DAY_MS, NOW, octetsOf, ReceptionBed, STRANGER } from "./reception_bed.ts";

const LETTER = "From: Eve <eve@remote.example>\r\nTo: alice@example.test\r\nSubject: hello\r\n" +
  "Message-ID: <q1@remote.example>\r\n\r\nbody\r\n";
const odd = new Chain([{
  name: "odd",
  stages: ["message"],
  run: () => ({ action: "quarantine", reason: "odd" }),
}]);

async function script(bed: ReceptionBed, content: string): Promise<void> {
  const of = { scope: "user", owner: String(bed.account("alice").id), name: "main" } as const;
  await bed.ok({ kind: "put-script", ...of, content }, { kind: "activate-script", ...of });
}

async function setAside(bed: ReceptionBed, message = LETTER): Promise<void> {
  const client = { ...STRANGER, screen: new SessionScreen({ strangers: odd, logins: odd }) };
  const { data } = await bed.send({
    client,
    from: "eve@remote.example",
    to: ["alice@example.test"],
    message,
  });
  assert.equal(data?.code, 250);
}

/** Lets everything go that is set aside, and does what the queue does with it. */
async function letGo(bed: ReceptionBed): Promise<void> {
  const { store } = bed.test;
  const rows = store.quarantine.list({}, { after: 0, limit: 10 });
  await release({ store, clock: () => NOW }, rows, { train: false, by: "test" });
}

/** What the queue is told of the mail for mailboxes here. */
async function filed(bed: ReceptionBed): Promise<Verdict[]> {
  const { store } = bed.test;
  const resolver = new RecipientResolver({
    ...{ directory: store.directory, mailboxes: store.mailboxes, access: store.access },
    ...{ hostname: "mx.example.test", ownAddresses: [], captureOutbound: "", clock: () => NOW },
  });
  const post = {
    ...{ store, clock: () => NOW, newId: () => "own1", resolver },
    ...{ queueLifetimeMs: DAY_MS, bounceLifetimeMs: DAY_MS },
  };
  const verdicts: Verdict[] = [];
  for (const row of bed.queued().filter(({ destination }) => destination === "local:held")) {
    const message = store.queue.message(row.queueId)!;
    const octets = store.blobs.readSync(message.blob, 0, message.blob.length);
    const recipient = { ...row, notify: "", originalRecipient: "", attempts: 0, delayNotified: false };
    verdicts.push(
      await fileHeld({ post, hostname: "mx.example.test" }, {
        message,
        recipient,
        source: { octets: octets.length, read: (start, end) => octets.subarray(start, end) },
      }),
    );
  }
  return verdicts;
}

const away = (bed: ReceptionBed): string[] =>
  bed.queued().filter(({ destination }) => destination !== "local:held").map(({ recipient }) => recipient);

Deno.test("no script runs while a message is set aside; let go, it is filed, sent on and answered, once", async () => {
  await using bed = await ReceptionBed.open();
  const { id: accountId } = bed.account("alice");
  await bed.ok({ kind: "create-mailbox", accountId, name: "Odd", specialUse: null });
  await script(
    bed,
    'require ["fileinto", "copy", "vacation"]; fileinto "Odd"; redirect :copy "far@away.example"; vacation "away";',
  );
  await setAside(bed);
  assert.deepEqual([bed.queued(), bed.stored("alice"), bed.stored("alice", "Odd")], [[], [], []]);
  await letGo(bed);
  assert.deepEqual([bed.stored("alice", "Odd"), away(bed)], [[], []]);
  const [first] = await filed(bed);
  assert.equal(first?.enhanced, "2.0.0");
  await filed(bed); // as after a crash between the filing and what the queue writes of it
  assert.equal(bed.stored("alice", "Odd").length, 1);
  assert.match(
    bed.stored("alice", "Odd")[0]!,
    /^X-Veredus-Verdict: quarantine;\r\n\todd=quarantine \(odd\)/m,
  );
  assert.deepEqual(away(bed).sort(), ["eve@remote.example", "far@away.example"]);
});

const RSA = generateKeyPairSync("rsa", { modulusLength: 2048 });
const PUBLIC = RSA.publicKey.export({ format: "der", type: "spki" }).toString("base64");
const DNS: Record<string, MockEntry> = {
  "s._domainkey.example.test TXT": [txt(`v=DKIM1; p=${PUBLIC}`)],
  "s._domainkey.list.test TXT": [txt(`v=DKIM1; p=${PUBLIC}`)],
  "remote.example TXT": [txt("v=spf1 ip4:192.0.2.1 -all")],
};
const CHECKS: AuthenticationConfig = {
  ...{ iprev: false, spf: true, dkim: true, arc: true, dmarc: "off", refuse: "never" },
  ...{ trustedSealers: [], knownLists: [], relays: new Blocks([]), skip: new Blocks([]) },
  ...{ onDnsTrouble: "deliver", timeoutMs: 30_000 },
};

async function withKey(config: Partial<InboundConfig>): Promise<ReceptionBed> {
  const bed = await ReceptionBed.open(config, {}, { resolver: new MockResolver(DNS) });
  await bed.ok({
    kind: "put-dkim-key",
    key: {
      ...{ domain: "example.test", selector: "s", kind: "rsa", publicKey: PUBLIC, state: "signing" },
      privateKey: RSA.privateKey.export({ format: "pem", type: "pkcs8" }).toString(),
    },
  });
  return bed;
}

/** The letter as a list hands it on: with a seal of its own. */
async function sealed(letter: string): Promise<string> {
  const octets = octetsOf(letter);
  const at = letter.indexOf("\r\n\r\n") + 2;
  const body = new BodyHash("relaxed", { algorithm: "sha256", limit: null });
  body.write(octets, at + 2, octets.length);
  const seal = await sealHeader({
    ...{ header: octets.subarray(0, at), bodyHash: body.digest(), results: "list.test; spf=pass", now: NOW },
    chain: { result: "none", text: "", sets: [] },
    key: { domain: "list.test", selector: "s", kind: "rsa", key: RSA.privateKey },
  });
  return seal + letter;
}

for (
  const [letter, seals] of [[LETTER, ["example.test"]], [await sealed(LETTER), [
    "list.test",
    "example.test",
  ]]] as const
) {
  Deno.test(`what a script redirects of mail that was let go is sealed by what was found when it came: ${seals}`, async () => {
    await using bed = await withKey({ authentication: CHECKS });
    await script(
      bed,
      'require ["copy", "editheader"]; redirect :copy "far@away.example"; addheader "X-Mine" "1"; redirect "off@away.example";',
    );
    await setAside(bed, letter);
    await letGo(bed);
    await filed(bed);
    const rows = bed.queued().filter(({ destination }) => destination !== "local:held");
    assert.deepEqual(rows.map(({ recipient }) => recipient), ["far@away.example", "off@away.example"]);
    for (const [at, row] of rows.entries()) {
      assert.match(row.sender, /^SRS0=.*=remote\.example=eve@example\.test$/);
      const sent = bed.queuedOctets(row);
      assert.equal(/^X-Mine: 1\r$/m.test(sent), at === 1);
      const octets = octetsOf(sent);
      const bodyAt = sent.indexOf("\r\n\r\n") + 4;
      const chain = new ArcVerifier(octets.subarray(0, bodyAt - 2));
      chain.write(octets, bodyAt, octets.length);
      const { result, text: why, sets } = await chain.finish(new MockResolver(DNS));
      assert.deepEqual([result, sets.map(({ seal }) => seal.domain)], ["pass", seals], why);
      const instance = `ARC-Authentication-Results: i=${seals.length}; mx.example.test;`;
      assert.match(sent.slice(sent.indexOf(instance)).replace(/\r\n[\t ]+/g, " "), /^[^\r]*; spf=pass /);
    }
  });
}

Deno.test("results that a stranger wrote are not sealed where nobody looked", async () => {
  await using bed = await withKey({});
  await script(bed, 'redirect "far@away.example";');
  await setAside(bed, `Authentication-Results: mx.example.test; spf=pass; dmarc=pass\r\n${LETTER}`);
  await letGo(bed);
  await filed(bed);
  const [row] = bed.queued().filter(({ destination }) => destination !== "local:held");
  assert.equal(row?.recipient, "far@away.example");
  assert.doesNotMatch(bed.queuedOctets(row!), /^ARC-/m);
});

Deno.test("what a login held back, and a script redirects with another header, is signed anew", async () => {
  await using bed = await withKey({});
  await script(
    bed,
    'require "editheader"; deleteheader "Subject"; addheader "Subject" "another"; redirect "far@away.example";',
  );
  await bed.send({
    ...{ client: bed.login("bob"), from: "bob@example.test", to: ["alice@example.test"] },
    message: LETTER.replace("eve@remote.example", "bob@example.test"),
    parameters: { hold: { forSeconds: 60 } },
  });
  await filed(bed);
  const [row] = bed.queued().filter(({ destination }) => destination !== "local:held");
  const octets = octetsOf(bed.queuedOctets(row!));
  const bodyAt = bed.queuedOctets(row!).indexOf("\r\n\r\n") + 4;
  const verifier = new DkimVerifier(octets.subarray(0, bodyAt - 2));
  verifier.write(octets, bodyAt, octets.length);
  assert.equal((await verifier.finish(new MockResolver(DNS), NOW))[0]?.result, "pass");
});

Deno.test("a script that refuses what was let go: to Junk, and no word to a sender that nobody vouches for", async () => {
  await using bed = await ReceptionBed.open();
  await script(bed, 'require "reject"; reject "no";');
  await setAside(bed);
  await letGo(bed);
  assert.deepEqual((await filed(bed)).map(({ enhanced }) => enhanced), ["2.0.0"]);
  assert.equal(bed.stored("alice", "Junk").length, 1);
  assert.deepEqual(away(bed), []);
});

Deno.test("a login that held its mail back itself is told of the refusal", async () => {
  await using bed = await ReceptionBed.open();
  await script(bed, 'require "reject"; reject "no";');
  await bed.send({
    ...{ client: bed.login("bob"), from: "bob@example.test", to: ["alice@example.test"] },
    message: LETTER.replace("eve@remote.example", "bob@example.test"),
    parameters: { hold: { forSeconds: 60 } },
  });
  const [verdict] = await filed(bed);
  assert.deepEqual([verdict?.outcome, verdict?.enhanced, verdict?.text], ["permanent", "5.7.1", "no"]);
  assert.deepEqual(bed.stored("alice", "Junk"), []);
});

Deno.test("what the spam filter set aside says why when it has been let go", async () => {
  const rules = { server: { mark: 3, junk: 5, quarantine: 8, refuse: null }, domains: {} };
  const spam: SpamConfig = {
    ...{ enabled: true, rules, weights: {}, onTimeout: "mark", outgoingHold: null },
    ...{ deadlineMs: 1_000, linkZones: [], traps: [] },
  };
  const score = scoreOf([{ name: "made-up", points: 9, explain: "the test says so" }], []);
  await using bed = await ReceptionBed.open(
    {
      spam,
      authentication: {
        ...{ iprev: false, spf: false, dkim: true, arc: false, dmarc: "off", refuse: "never" },
        ...{ trustedSealers: [], knownLists: [], relays: new Blocks([]), skip: new Blocks([]) },
        ...{ onDnsTrouble: "deliver", timeoutMs: 30_000 },
      },
    },
    {},
    {
      resolver: new MockResolver({}),
      spam: {
        filter: {
          assess: ({ recipients }) =>
            Promise.resolve({
              scores: recipients.map(({ accountId }) => ({ accountId, score })),
              linkDomains: [],
            }),
        },
        ...{ linkHits: () => Promise.resolve([]), notify: () => {} },
      },
    },
  );
  await bed.send({ from: "eve@remote.example", to: ["alice@example.test"], message: LETTER });
  assert.deepEqual([bed.stored("alice"), bed.stored("alice", "Junk")], [[], []]);
  await letGo(bed);
  await filed(bed);
  const [stored = ""] = bed.stored("alice");
  assert.match(stored, /^X-Spam-Reason: quarantine, from 8 points on;\r\n\tthe test says so \(\+9\.0\)\r$/m);
  assert.equal(stored.match(/^X-Spam-Flag:/gm)?.length, 1);
});

/** Mail of our own: filed at home, queued for others, by the same rules as mail that comes in. */
import { deepStrictEqual as equal, rejects } from "node:assert";
import { type OwnMail, prepareOwnMail } from "../../delivery/post.ts";
import { RecipientResolver } from "../../delivery/recipients.ts";
import { DAY_MS, NOW, octetsOf, ReceptionBed } from "./reception_bed.ts";

const OCTETS = octetsOf("From: postmaster@mx.example.test\r\nSubject: failure\r\n\r\nSorry.\r\n");

/** Null when it was committed, else why nobody can receive it. */
async function post(bed: ReceptionBed, mail: Partial<OwnMail>): Promise<string | null> {
  const { store } = bed.test;
  const prepared = await prepareOwnMail({
    store,
    clock: () => NOW,
    newId: () => "own1",
    resolver: new RecipientResolver({
      directory: store.directory,
      mailboxes: store.mailboxes,
      access: store.access,
      hostname: "mx.example.test",
      ownAddresses: [],
      captureOutbound: "",
      clock: Date.now,
    }),
    queueLifetimeMs: 5 * DAY_MS,
    bounceLifetimeMs: 2 * DAY_MS,
  }, { octets: OCTETS, sender: "", recipients: ["alice@example.test"], ...mail });
  if ("refused" in prepared) return prepared.refused;
  await bed.ok(prepared.operation);
  return null;
}

Deno.test("a DSN for a local sender is filed with nothing but its prefix", async () => {
  await using bed = await ReceptionBed.open();
  equal(await post(bed, { recipients: ["Alice+x@example.test"] }), null);
  equal(bed.stored("alice"), [
    `Return-Path: <>\r\nDelivered-To: alice+x@example.test\r\n${new TextDecoder().decode(OCTETS)}`,
  ]);
});

Deno.test("a DSN for somebody else waits in the queue for two days", async () => {
  await using bed = await ReceptionBed.open();
  equal(await post(bed, { recipients: ["X@Far.example", "y@[192.0.2.9]"] }), null);
  equal(bed.queued().map((row) => [row.recipient, row.destination, row.sender, row.expiresAt]), [
    ["X@Far.example", "far.example", "", NOW + 2 * DAY_MS],
    ["y@[192.0.2.9]", "[192.0.2.9]", "", NOW + 2 * DAY_MS],
  ]);
  equal(bed.queuedOctets(bed.queued()[0]!), new TextDecoder().decode(OCTETS));
});

Deno.test("a quoted local part keeps its quotes on the way out and loses none at home", async () => {
  await using bed = await ReceptionBed.open();
  await bed.ok({ kind: "put-account", account: { address: '"a b"@example.test' } });
  equal(await post(bed, { recipients: ['"A b"@example.test', '"c d"@far.example'] }), null);
  equal(bed.queued().map(({ recipient }) => recipient), ['"c d"@far.example']);
});

Deno.test("nobody to post to is a reason, somebody is enough", async () => {
  await using bed = await ReceptionBed.open();
  equal(await post(bed, { recipients: ["nobody@example.test"] }), "nobody@example.test: unknown");
  equal(await post(bed, { recipients: [] }), "no recipients");
  equal(await post(bed, { recipients: ["nonsense"] }), "nonsense: bad-domain");
  equal(await post(bed, { recipients: ["nobody@example.test", "bob@example.test"] }), null);
  equal(bed.stored("bob").length, 1);
});

Deno.test("nothing is filed before the operation is committed", async () => {
  await using bed = await ReceptionBed.open();
  bed.test.store.write = () => Promise.reject(new Error("the writer is gone"));
  await rejects(post(bed, {}), /the writer is gone/);
  equal(bed.stored("alice"), []);
});

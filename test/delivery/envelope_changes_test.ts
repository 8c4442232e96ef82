/** Milters that change the envelope: what is read of it, and what becomes of the message. */
import assert from "node:assert/strict";
import { changedEnvelope } from "../../delivery/envelope_changes.ts";
import type { TraceEvent } from "../../delivery/tracer.ts";
import { Chain } from "../../filter/chain.ts";
import type { EnvelopeChange } from "../../filter/message_source.ts";
import { CONTINUE } from "../../filter/verdict.ts";
import { NO_RCPT_PARAMETERS } from "../../protocols/smtp/parameters.ts";
import { formatPath } from "../../protocols/smtp/path.ts";
import { latin1 } from "../../bytes/decode.ts";
import { encode } from "../../bytes/decode.ts";
import { line, pathOf, ReceptionBed, STRANGER } from "./reception_bed.ts";

const from = (address: string, parameters = ""): EnvelopeChange => ({ kind: "sender", address, parameters });
const add = (address: string, parameters = ""): EnvelopeChange => ({
  kind: "add-recipient",
  address,
  parameters,
});
const remove = (address: string): EnvelopeChange => ({ kind: "remove-recipient", address });

function changed(...changes: EnvelopeChange[]) {
  const recipients = ["a@x.example", "b@x.example"].map((address) => ({
    path: pathOf(address),
    parameters: NO_RCPT_PARAMETERS,
  }));
  const { sender, wishes, kept, added, faults } = changedEnvelope(
    { sender: "s@x.example", recipients },
    changes,
  );
  const texts = (list: typeof added) => list.map(({ path }) => formatPath(path));
  return { sender, wishes, kept: texts(kept), added: texts(added), faults };
}

Deno.test("changes in their order, addresses in any spelling", () => {
  const both = ["a@x.example", "b@x.example"];
  const nothing = { sender: "s@x.example", wishes: null, kept: both, added: [], faults: [] };
  assert.deepEqual(changed(), nothing);
  assert.deepEqual(changed(from("<>")), { ...nothing, sender: "", wishes: { ret: "", envelopeId: "" } });
  assert.deepEqual(changed(from("t@x.example", "RET=FULL ENVID=q1 SIZE=9")), {
    ...nothing,
    sender: "t@x.example",
    wishes: { ret: "FULL", envelopeId: "q1" },
  });
  assert.deepEqual(changed(add("<A@X.example>"), add("c@x.example"), add("<C@x.example>")), {
    ...nothing,
    added: ["c@x.example"],
  });
  assert.deepEqual(changed(remove("A@x.EXAMPLE"), add("c@x.example"), remove("<c@x.example>")), {
    ...nothing,
    kept: ["b@x.example"],
  });
  const umlaut = latin1(encode("\u00e4@x.example"));
  assert.deepEqual(changed(add(umlaut)), { ...nothing, added: ["\u00e4@x.example"] });
});

Deno.test("what cannot be read changes nothing and is told", () => {
  const { sender, kept, added, faults } = changed(
    from("no address"),
    add("<a@x.example> or so"),
    add("x@x.example\r\nRCPT TO:<y@x.example>"),
    remove("\xff"),
    add("z@x.example", "NOTIFY=PERHAPS"),
  );
  assert.deepEqual([sender, kept.length, added], ["s@x.example", 2, ["z@x.example"]]);
  assert.equal(faults.length, 5);
  for (const fault of faults) assert.match(fault, /^[ -~]+$/);
});

async function sent(
  changes: readonly EnvelopeChange[],
  look: (bed: ReceptionBed, answer: string, traced: readonly TraceEvent[]) => void | Promise<void>,
  to: readonly string[] = ["alice@example.test"],
): Promise<void> {
  const check = {
    name: "played",
    stages: ["message"] as const,
    run: ({ changes: into }: Parameters<Chain["run"]>[0]) => {
      for (const change of changes) assert.ok(into!.addToEnvelope(change));
      return CONTINUE;
    },
  };
  const chain = new Chain([check]);
  const traced: TraceEvent[] = [];
  await using bed = await ReceptionBed.open({}, {}, {
    chains: { strangers: chain, logins: chain },
    tracer: { note: (event) => void traced.push(event) },
  });
  const client = { ...STRANGER, screen: bed.reception.screen() };
  const { data } = await bed.send({ client, to, message: "Subject: x\r\n\r\n\xe4\r\n" });
  await look(bed, line(data!), traced);
}

Deno.test("the message goes where the milter wants it, also to others", async () => {
  const changes = [
    from("other@remote.example"),
    add("bob@example.test"),
    add("far@remote.example", "NOTIFY=NEVER"),
    add("nobody@example.test"),
    remove("alice@example.test"),
  ];
  await sent(changes, (bed, answer, traced) => {
    assert.equal(answer, "250 2.6.0");
    assert.equal(bed.stored("alice").length, 0);
    const [copy = ""] = bed.stored("bob");
    assert.match(copy, /^Return-Path: <other@remote\.example>\r\nDelivered-To: bob@example\.test\r\n/);
    const [row, ...more] = bed.queued();
    assert.deepEqual([row!.recipient, row!.sender, more.length], [
      "far@remote.example",
      "other@remote.example",
      0,
    ]);
    assert.equal(
      bed.test.store.queue.message(row!.queueId)!.eightBit,
      true,
      "octets beyond ASCII are seen late",
    );
    const told = traced.find(({ event }) => event === "checked")!;
    assert.equal(
      told.reply,
      "envelope: sender <other@remote.example>; and <bob@example.test>; and <far@remote.example>; " +
        "and <nobody@example.test>; not <alice@example.test>; " +
        "left out: add-recipient: nobody@example.test: 550 5.1.1 No such recipient here",
    );
  });
});

Deno.test("a message whose recipients are all removed is taken and forgotten", async () => {
  await sent([remove("alice@example.test")], (bed, answer, traced) => {
    assert.equal(answer, "250 2.6.0");
    assert.deepEqual([bed.stored("alice").length, bed.queued().length], [0, 0]);
    assert.equal(
      traced.find(({ event }) => event === "checked")!.reply,
      "envelope: not <alice@example.test>",
    );
  });
});

Deno.test("other recipients keep theirs", async () => {
  await sent([remove("bob@example.test")], (bed) => {
    assert.deepEqual([bed.stored("alice").length, bed.stored("bob").length], [1, 0]);
  }, ["alice@example.test", "bob@example.test"]);
});

/** From forward-paths to mailboxes and remote addresses, over the real directory. */
import { deepStrictEqual as equal } from "node:assert";
import { type RcptFacts, RecipientResolver, type Resolution } from "../../delivery/recipients.ts";
import type { DomainInput, WriteOp } from "../../storage/ops.ts";
import { TestStore } from "../lib/test_store.ts";
import { pathOf } from "./reception_bed.ts";

const FACTS: RcptFacts = { mayRelay: false, sender: "sender@remote.example", senderKnown: false, octets: 1 };
const local: DomainInput = {
  name: "example.test",
  kind: "local",
  nextHop: "",
  catchAll: "",
  subaddressSeparators: "+",
};

interface Setup {
  readonly ops?: readonly WriteOp[];
  readonly hostname?: string;
  readonly captureOutbound?: string;
}

async function resolving(setup: Setup, body: (resolve: (to: string) => string) => void | Promise<void>) {
  const test = await TestStore.open();
  try {
    for (const op of setup.ops ?? []) await test.ok(op);
    const resolver = new RecipientResolver({
      directory: test.store.directory,
      mailboxes: test.store.mailboxes,
      access: test.store.access,
      hostname: setup.hostname ?? "mx.example.test",
      ownAddresses: ["192.0.2.25", "2001:db8::25"],
      captureOutbound: setup.captureOutbound ?? "",
      clock: Date.now,
    });
    await body((to) =>
      shown(resolver.resolve(pathOf(to), { ...FACTS, mayRelay: to.endsWith(".relayed.example") }))
    );
  } finally {
    await test.close();
  }
}

function shown(resolution: Resolution): string {
  if (resolution.kind === "refused") return resolution.reason;
  return resolution.targets.map((target) =>
    target.kind !== "mailbox"
      ? `${target.address} by ${target.destination}`
      : target.deliveredTo === target.account
      ? target.account
      : `${target.deliveredTo} in ${target.account}`
  ).join(", ");
}

const alias = (address: string, ...targets: string[]): WriteOp => ({ kind: "put-alias", address, targets });
const domain = (row: Partial<DomainInput>): WriteOp => ({ kind: "put-domain", domain: { ...local, ...row } });

Deno.test("accounts, in any spelling of their address", () =>
  resolving({}, (resolve) => {
    equal(resolve("alice@example.test"), "alice@example.test");
    equal(resolve("ALICE@EXAMPLE.TEST"), "alice@example.test");
    equal(resolve("alice+tag@example.test"), "alice+tag@example.test in alice@example.test");
    equal(resolve("nobody@example.test"), "unknown");
    equal(resolve("nobody+alice@example.test"), "unknown");
    equal(resolve("a b@example.test"), "unknown");
  }));

Deno.test("how a recipient was found is known of each", async () => {
  const test = await TestStore.open();
  try {
    const ops: WriteOp[] = [
      domain({ catchAll: "alice@example.test" }),
      domain({ name: "other.test", aliasOf: "example.test" }),
      domain({ name: "plain.test" }),
      alias("both@example.test", "alice@example.test", "bob@example.test"),
      alias("away@example.test", "x@far.example"),
      { kind: "put-account", account: { address: "ann@plain.test" } },
    ];
    for (const op of ops) await test.ok(op);
    const { directory, mailboxes, access } = test.store;
    const more = { hostname: "mx.example.test", ownAddresses: [], captureOutbound: "", clock: Date.now };
    const resolver = new RecipientResolver({ directory, mailboxes, access, ...more });
    const way = (to: string) => {
      const found = resolver.resolve(pathOf(to), { ...FACTS, mayRelay: true });
      return found.kind === "accepted" ? found.way : found.reason;
    };
    equal(way("Alice@Example.Test"), "account");
    equal(way("alice@other.test"), "domain-alias");
    equal(way("alice+tag@example.test"), "sub-address");
    equal(way("nobody@example.test"), "catch-all");
    equal(way("both@example.test"), "alias");
    equal(way("away@example.test"), "forward");
    equal(way("postmaster@plain.test"), "postmaster");
    equal(way("x@far.example"), "remote");
    equal(way("nobody@plain.test"), "unknown");
  } finally {
    await test.close();
  }
});

Deno.test("domains in U-labels and A-labels are one", () =>
  resolving({
    ops: [domain({ name: "xn--bcher-kva.example" }), {
      kind: "put-account",
      account: { address: "a@xn--bcher-kva.example" },
    }],
  }, (resolve) => {
    equal(resolve("a@bücher.example"), "a@xn--bcher-kva.example");
    equal(resolve("A@XN--BCHER-KVA.example"), "a@xn--bcher-kva.example");
  }));

Deno.test("a separator is only what the domain says", () =>
  resolving({ ops: [domain({ subaddressSeparators: "-_" })] }, (resolve) => {
    equal(resolve("alice-x@example.test"), "alice-x@example.test in alice@example.test");
    equal(resolve("alice_x-y@example.test"), "alice_x-y@example.test in alice@example.test");
    equal(resolve("alice+x@example.test"), "unknown");
  }));

Deno.test("an account with a separator in its name is itself", () =>
  resolving(
    { ops: [{ kind: "put-account", account: { address: "alice+shop@example.test" } }] },
    (resolve) => {
      equal(resolve("alice+shop@example.test"), "alice+shop@example.test");
      equal(resolve("alice+shop+x@example.test"), "alice+shop+x@example.test in alice+shop@example.test");
      equal(resolve("alice+other@example.test"), "alice+other@example.test in alice@example.test");
    },
  ));

Deno.test("aliases: nested, outward, with sub-addresses", () =>
  resolving({
    ops: [
      alias("all@example.test", "team@example.test", "friend@far.example"),
      alias("team@example.test", "alice@example.test", "bob+team@example.test"),
    ],
  }, (resolve) => {
    equal(
      resolve("all@example.test"),
      "alice@example.test, bob+team@example.test in bob@example.test, friend@far.example by far.example",
    );
    equal(
      resolve("team+x@example.test"),
      "alice@example.test, bob+team@example.test in bob@example.test",
    );
  }));

Deno.test("alias loops end, and refuse only when nothing else is left", () =>
  resolving({
    ops: [
      alias("a@example.test", "b@example.test"),
      alias("b@example.test", "a@example.test"),
      alias("c@example.test", "c@example.test", "alice@example.test"),
      alias("d@example.test", "c@example.test", "c@example.test"),
    ],
  }, (resolve) => {
    equal(resolve("a@example.test"), "alias-loop");
    equal(resolve("c@example.test"), "alice@example.test");
    equal(resolve("d@example.test"), "alice@example.test");
  }));

Deno.test("aliases nest ten deep and no deeper", () => {
  const chain = (length: number) =>
    Array.from(
      { length },
      (_, at) =>
        alias(`n${at}@example.test`, at + 1 < length ? `n${at + 1}@example.test` : "alice@example.test"),
    );
  return resolving({ ops: chain(11) }, (resolve) => {
    equal(resolve("n1@example.test"), "alice@example.test");
    equal(resolve("n0@example.test"), "alias-loop");
  });
});

Deno.test("an alias that names too many addresses is refused as a whole", () => {
  const many = (prefix: string, count: number) =>
    Array.from({ length: count }, (_, at) => `${prefix}${at}@far.example`);
  return resolving({
    ops: [
      alias("x@example.test", ...many("x", 600)),
      alias("y@example.test", ...many("y", 400)),
      alias("fits@example.test", "x@example.test", "y@example.test"),
      alias("over@example.test", "x@example.test", "y@example.test", "alice@example.test"),
    ],
  }, (resolve) => {
    equal(resolve("fits@example.test").split(", ").length, 1_000);
    equal(resolve("over@example.test"), "alias-too-wide");
  });
});

Deno.test("disabled accounts refuse, and an alias passes them over", () =>
  resolving({
    ops: [
      alias("team@example.test", "alice@example.test", "bob@example.test"),
      alias("only@example.test", "alice@example.test"),
      { kind: "put-account", account: { address: "alice@example.test", enabled: false } },
    ],
  }, (resolve) => {
    equal(resolve("alice@example.test"), "disabled");
    equal(resolve("alice+x@example.test"), "disabled");
    equal(resolve("only@example.test"), "disabled");
    equal(resolve("team@example.test"), "bob@example.test");
  }));

Deno.test("the catch-all gets what nobody else takes", () =>
  resolving({
    ops: [domain({ catchAll: "bob@example.test" }), alias("sales@example.test", "alice@example.test")],
  }, (resolve) => {
    equal(resolve("anything@example.test"), "anything@example.test in bob@example.test");
    equal(resolve("sales@example.test"), "alice@example.test");
    equal(resolve("alice+x@example.test"), "alice+x@example.test in alice@example.test");
    equal(resolve("postmaster@example.test"), "postmaster@example.test in bob@example.test");
  }));

Deno.test("a catch-all may be an alias or lie elsewhere, and cannot loop", () =>
  resolving({
    ops: [
      domain({ name: "one.test", catchAll: "team@example.test" }),
      domain({ name: "two.test", catchAll: "box@far.example" }),
      domain({ name: "three.test", catchAll: "gone@three.test" }),
      alias("team@example.test", "alice@example.test"),
    ],
  }, (resolve) => {
    equal(resolve("x@one.test"), "alice@example.test");
    equal(resolve("x@two.test"), "box@far.example by far.example");
    equal(resolve("x@three.test"), "alias-loop");
  }));

Deno.test("postmaster always works: oldest enabled account", () =>
  resolving({ ops: [domain({ name: "empty.test" })] }, (resolve) => {
    equal(resolve("postmaster@example.test"), "postmaster@example.test in alice@example.test");
    equal(resolve("PostMaster@example.test"), "postmaster@example.test in alice@example.test");
    equal(resolve("postmaster"), "postmaster@example.test in alice@example.test");
    equal(resolve("Postmaster@empty.test"), "postmaster@empty.test in alice@example.test");
    equal(resolve("webmaster@example.test"), "unknown");
  }));

Deno.test("postmaster: an alias or account of that name comes first, disabled accounts are passed over", async () => {
  await resolving({ ops: [alias("postmaster@example.test", "bob@example.test")] }, (resolve) => {
    equal(resolve("postmaster"), "bob@example.test");
  });
  await resolving({
    ops: [{ kind: "put-account", account: { address: "alice@example.test", enabled: false } }],
  }, (resolve) => {
    equal(resolve("postmaster"), "postmaster@example.test in bob@example.test");
  });
});

Deno.test("our host name has a postmaster and nobody else", () =>
  resolving({}, (resolve) => {
    equal(resolve("postmaster@mx.example.test"), "postmaster@example.test in alice@example.test");
    equal(resolve("alice@mx.example.test"), "unknown");
  }));

Deno.test("address literals of our own are the default domain, others are foreign", () =>
  resolving({}, (resolve) => {
    equal(resolve("alice@[192.0.2.25]"), "alice@example.test");
    equal(resolve("postmaster@[IPv6:2001:DB8::25]"), "postmaster@example.test in alice@example.test");
    equal(resolve("alice@[192.0.2.26]"), "relaying-denied");
  }));

Deno.test("the default domain: host name, its parents, the first local one", async () => {
  const ops = [domain({ name: "a.test" }), domain({ name: "b.test" }), domain({ name: "mx.b.test" })];
  await resolving({ ops, hostname: "mx.b.test" }, (resolve) => {
    equal(resolve("postmaster"), "postmaster@mx.b.test in alice@example.test");
  });
  await resolving({ ops, hostname: "deep.host.b.test" }, (resolve) => {
    equal(resolve("postmaster"), "postmaster@b.test in alice@example.test");
  });
  await resolving({ ops, hostname: "unrelated.example" }, (resolve) => {
    equal(resolve("postmaster"), "postmaster@a.test in alice@example.test");
  });
});

Deno.test("foreign domains are for those who may relay, in the form the queue groups by", () =>
  resolving({}, (resolve) => {
    equal(resolve("x@far.example"), "relaying-denied");
    equal(resolve("X.y@Host.Relayed.example"), "relaying-denied");
    equal(resolve("X.y@Host.relayed.example"), "X.y@Host.relayed.example by host.relayed.example");
    equal(resolve("a b@b.relayed.example"), '"a b"@b.relayed.example by b.relayed.example');
    equal(resolve("x@under_score.relayed.example"), "bad-domain");
  }));

Deno.test("relay domains are for everybody", () =>
  resolving({ ops: [domain({ name: "relay.example", kind: "relay", nextHop: "mx" })] }, (resolve) => {
    equal(resolve("Any.One@Relay.example"), "Any.One@Relay.example by relay.example");
    equal(resolve("postmaster@relay.example"), "postmaster@relay.example by relay.example");
    equal(resolve("x@sub.relay.example"), "relaying-denied");
  }));

Deno.test("captured mail: everything remote goes to one account, by aliases too", () =>
  resolving({
    captureOutbound: "bob@example.test",
    ops: [
      alias("out@example.test", "x@far.example"),
      domain({ name: "relay.example", kind: "relay", nextHop: "mx" }),
    ],
  }, (resolve) => {
    equal(resolve("y@far.relayed.example"), "y@far.relayed.example in bob@example.test");
    equal(resolve("out@example.test"), "x@far.example in bob@example.test");
    equal(resolve("z@relay.example"), "z@relay.example in bob@example.test");
    equal(resolve("y@far.example"), "relaying-denied");
  }));

Deno.test("changes of the directory hold at once", () =>
  resolvingWithStore(async (resolve, test) => {
    equal(resolve("new@example.test"), "unknown");
    await test.ok({ kind: "put-account", account: { address: "new@example.test" } });
    equal(resolve("new@example.test"), "new@example.test");
    await test.ok({ kind: "remove-account", address: "new@example.test" });
    equal(resolve("new@example.test"), "unknown");
  }));

Deno.test("a shared account takes mail from who may post, into the folder where he may", () =>
  resolvingWithStore(async (_resolve, test, resolver) => {
    const sent = (to: string, sender: string, senderKnown: boolean) => {
      const outcome = resolver.resolve(pathOf(to), { ...FACTS, sender, senderKnown });
      if (outcome.kind === "refused") return outcome.reason;
      const [target] = outcome.targets;
      return target?.kind === "mailbox" ? test.store.mailboxes.byId(target.mailboxId)!.name : "elsewhere";
    };
    const stranger = (to: string) => sent(to, "someone@far.example", false);
    const bob = (to: string) => sent(to, "bob@example.test", true);
    await test.ok({ kind: "put-account", account: { address: "desk@example.test", shared: true } });
    const accountId = test.accountId("desk");
    const make = { kind: "create-mailbox", accountId, specialUse: null } as const;
    await test.ok({ ...make, name: "orders" });
    equal(stranger("desk@example.test"), "INBOX");
    equal(stranger("desk+orders@example.test"), "INBOX");
    const post = (mailbox: string, identifier: string, rights: string) =>
      test.ok({
        kind: "set-acl",
        mailboxId: test.mailboxId("desk", mailbox),
        identifier,
        rights,
        mode: "replace",
      });
    await post("orders", "bob@example.test", "p");
    equal(bob("desk+orders@example.test"), "orders");
    equal(stranger("desk+orders@example.test"), "INBOX");
    // A reverse-path that anybody can write is nobody's.
    equal(sent("desk+orders@example.test", "bob@example.test", false), "INBOX");
    await post("INBOX", "anyone", "");
    equal(stranger("desk@example.test"), "posting-denied");
    equal(stranger("desk+orders@example.test"), "posting-denied");
    equal(bob("desk@example.test"), "posting-denied");
    equal(bob("desk+orders@example.test"), "orders");
    await post("orders", "anyone", "p");
    equal(stranger("desk+orders@example.test"), "orders");
    // What the operator's own alias leads to is posted by him.
    await test.ok({ kind: "put-alias", address: "help@example.test", targets: ["desk@example.test"] });
    equal(stranger("help@example.test"), "INBOX");
    equal(resolver.resolveAddress("desk@example.test").kind, "accepted");
  }));

async function resolvingWithStore(
  body: (resolve: (to: string) => string, test: TestStore, resolver: RecipientResolver) => Promise<void>,
) {
  const test = await TestStore.open();
  try {
    const { directory, mailboxes, access } = test.store;
    const resolver = new RecipientResolver({
      directory,
      mailboxes,
      access,
      hostname: "mx.example.test",
      ownAddresses: [],
      captureOutbound: "",
      clock: Date.now,
    });
    await body((to) => shown(resolver.resolve(pathOf(to), FACTS)), test, resolver);
  } finally {
    await test.close();
  }
}

/** The next hop of a recipient: relay domains, relay rules, MX, address literals. */
import assert from "node:assert/strict";
import {
  byWeight,
  domainOfPath,
  type HostRoute,
  PLAIN_MANNER,
  type RelayRule,
  type Route,
  routeKey,
  routeOf,
  statedHop,
} from "../../delivery/routes.ts";

function rule(name: string, parts: Partial<RelayRule>): RelayRule {
  return {
    senders: [],
    recipients: [],
    hops: [{ host: name, port: 587, weight: 1 }],
    mode: "smtp",
    tls: "required",
    username: "",
    passwordFile: "",
    manner: PLAIN_MANNER,
    ...parts,
  };
}

const RULES = [
  rule("both", { senders: ["a.test"], recipients: ["b.test"] }),
  rule("sender", { senders: ["a.test"], username: "u", passwordFile: "/p" }),
  rule("recipient", { recipients: ["b.test", "c.test"] }),
];
const HOPS: Record<string, string> = {
  "direct.test": "mx",
  "inner.test": "10.0.0.5:2525",
  "box.test": "lmtp:[2001:db8::5]:24",
  "wrong.test": "what ever",
};

function route(sender: string, recipient: string, rules: readonly RelayRule[] = RULES): string {
  const found: Route = routeOf({ sender, recipient, rules, nextHopOf: (domain) => HOPS[domain] ?? null });
  switch (found.kind) {
    case "mx":
      return `mx ${found.domain}`;
    case "host":
      return `${found.mode} ${endOf(found)} ${found.tls} ${found.username}`.trimEnd();
    case "none":
      return `none ${found.enhanced}`;
  }
}

function endOf({ hops }: HostRoute): string {
  return hops.map(({ host, port }) => `${host} ${port}`).join(", ");
}

Deno.test("the first rule that fits, else MX", () => {
  assert.equal(route("x@a.test", "y@b.test"), "smtp both 587 required");
  assert.equal(route("x@A.Test", "y@c.test"), "smtp sender 587 required u");
  assert.equal(route("x@z.test", "y@C.test"), "smtp recipient 587 required");
  assert.equal(route("x@z.test", "y@D.test."), "mx d.test");
  assert.equal(route("x@a.test", "y@d.test", [rule("all", {})]), "smtp all 587 required");
});

Deno.test("bounces have no sender domain: rules for senders do not fit them", () => {
  assert.equal(route("", "y@d.test"), "mx d.test");
  assert.equal(route("", "y@b.test"), "smtp recipient 587 required");
  assert.equal(route("", "y@d.test", [rule("all", {})]), "smtp all 587 required");
});

Deno.test("a relay domain's own next hop goes before every rule", () => {
  const all = [rule("all", {})];
  assert.equal(route("x@a.test", "y@direct.test", all), "mx direct.test");
  assert.equal(route("x@a.test", "y@inner.test", all), "smtp 10.0.0.5 2525 opportunistic");
  assert.equal(route("x@a.test", "y@box.test", all), "lmtp 2001:db8::5 24 opportunistic");
  assert.equal(route("x@a.test", "y@wrong.test", all), "none 5.3.5");
});

Deno.test("address literals and addresses without domain", () => {
  assert.equal(route("", "y@[192.0.2.7]"), "smtp 192.0.2.7 0 opportunistic");
  assert.equal(route("", "y@[IPv6:2001:db8::7]"), "smtp 2001:db8::7 0 opportunistic");
  assert.equal(route("", "y@[x-tag:what]"), "none 5.1.3");
  assert.equal(route("", "nobody"), "none 5.1.3");
  assert.equal(domainOfPath('"a@b"@C.test'), "c.test");
});

Deno.test("stated hops in every form", () => {
  const forms: [string, string | null][] = [
    ["mx.test:25", "smtp mx.test 25"],
    ["MX.test", "smtp mx.test 0"],
    ["lmtp:dovecot", "lmtp dovecot 24"],
    ["LMTP:127.0.0.1:2400", "lmtp 127.0.0.1 2400"],
    ["lmtp:unix:/run/lmtp", "lmtp unix:/run/lmtp 0"],
    ["[::1]:26", "smtp ::1 26"],
    ["a:b:c", null],
    ["a:99999", null],
    ["", null],
  ];
  for (const [text, expected] of forms) {
    const hop = statedHop(text);
    assert.equal(hop.kind === "host" ? `${hop.mode} ${endOf(hop)}` : null, expected, text);
  }
});

Deno.test("connections are shared only by routes that end at the same door in the same way", () => {
  const host = statedHop("h.test:25");
  assert.equal(host.kind, "host");
  if (host.kind !== "host") return;
  const variants: Route[] = [
    host,
    { ...host, mode: "lmtp" },
    { ...host, hops: [{ host: "h.test", port: 26, weight: 1 }] },
    { ...host, hops: [...host.hops, ...host.hops] },
    { ...host, manner: { ...PLAIN_MANNER, chunking: true } },
    { ...host, tls: "required" },
    { ...host, username: "u" },
    { ...host, passwordFile: "/p" },
    { kind: "mx", domain: "h.test", manner: PLAIN_MANNER },
    { kind: "mx", domain: "h.test", manner: { ...PLAIN_MANNER, connections: 1 } },
  ];
  assert.equal(new Set(variants.map(routeKey)).size, variants.length);
});

Deno.test("a rule without next hop changes the manner and leaves the way to MX", () => {
  const manner = { ...PLAIN_MANNER, hold: true };
  const found = routeOf({
    sender: "x@a.test",
    recipient: "y@slow.test",
    rules: [rule("", { hops: [], recipients: ["slow.test"], manner }), rule("all", {})],
    nextHopOf: () => null,
  });
  assert.deepEqual(found, { kind: "mx", domain: "slow.test", manner });
});

Deno.test("hops are taken by their weights, and every one is in the order", () => {
  const hops = [{ host: "a", port: 1, weight: 3 }, { host: "b", port: 1, weight: 1 }];
  const firsts = Array.from({ length: 8 }, (_, at) => byWeight(hops, () => at / 8)[0]!.host);
  assert.deepEqual(firsts, ["a", "a", "a", "a", "a", "a", "b", "b"]);
  for (const at of [0, 0.5, 0.99]) assert.equal(new Set(byWeight(hops, () => at)).size, 2);
});

/** Hooks, milters and policy files that fail where the message is to go on: log, trace and header say so, once. */
import assert from "node:assert/strict";
import { encodeLatin1 } from "../../bytes/decode.ts";
import { Chain } from "../../filter/chain.ts";
import type { Check } from "../../filter/check.ts";
import { failureVerdict, OutsideFault } from "../../filter/outside.ts";
import { SessionScreen } from "../../filter/screen.ts";
import { viewOf } from "../../delivery/reception.ts";
import { configureLogs, flushLogs, logSettings } from "../../telemetry/log.ts";
import { STRANGER } from "../delivery/reception_bed.ts";
import { freePort } from "../lib/ports.ts";
import { Bed, TAKEN } from "./checks_bed.ts";

const TO = ["alice@example.test", "bob@example.test"];
const SECRET = "token-in-the-address";

/** What is answered to a hook, or by whom nothing is. */
type Hook = (() => Response | Promise<Response>) | null;

const HOOKS: readonly (readonly [name: string, hook: Hook, mark: string])[] = [
  ["nobody listens", null, "it failed or cannot be reached"],
  ["an error", () => new Response("{}", { status: 503 }), "status 503"],
  ["no verdict", () => Response.json({ action: "perhaps" }), "it is no verdict"],
  ["no JSON", () => new Response("what?"), "it failed or cannot be reached"],
  ["too much", () => new Response("x".repeat(70_000)), "an answer of more than 65536 octets"],
  [
    "silence",
    () => new Promise((resolve) => setTimeout(() => resolve(new Response()), 2_000)),
    "it took too long",
  ],
];

for (const [name, hook, mark] of HOOKS) {
  for (const stages of ["message", "rcpt, message"]) {
    Deno.test(`a hook without an answer (${name}) at ${stages} is told`, async () => {
      const port = freePort();
      const options = { hostname: "127.0.0.1", port, onListen: () => {} };
      const server = hook === null ? null : Deno.serve(options, hook);
      const at = `http://127.0.0.1:${port}/${SECRET}`;
      const timeout = name === "silence" ? "300ms" : "20s";
      await told("http", `check: http, stages: [${stages}], at: "${at}", timeout: ${timeout}`, mark);
      await server?.shutdown();
    });
  }
}

Deno.test("a milter that is not there, is silent, or ends in the middle is told, once a message", async () => {
  await told("milter", `check: milter, at: "127.0.0.1:${freePort()}"`, "it failed or cannot be reached");
  for (
    const [mark, greet] of [
      ["no answer within 300 ms", () => {}],
      ["it closed the connection", (connection: Deno.Conn) => connection.close()],
    ] as const
  ) {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const connections: Deno.Conn[] = [];
    const accepting = (async () => {
      for await (const connection of listener) {
        connections.push(connection);
        greet(connection);
      }
    })();
    const { port } = listener.addr as Deno.NetAddr;
    await told("milter", `check: milter, at: "127.0.0.1:${port}", timeout: 300ms`, mark);
    listener.close();
    await accepting;
    if (mark !== "it closed the connection") { for (const one of connections) one.close(); }
  }
});

Deno.test("a policy file that throws or hangs is told, without what it threw", async () => {
  const file = await Deno.makeTempFile({ suffix: ".ts" });
  for (
    const [code, mark] of [
      [`export default () => { throw new Error("${SECRET}"); };`, "it failed or cannot be reached"],
      ["export default () => new Promise(() => {});", "no verdict within 3000 ms"],
    ] as const
  ) {
    await Deno.writeTextFile(file, code);
    await told("script", `check: script, stages: [message], at: ${file}, timeout: 3s`, mark);
  }
  await Deno.remove(file);
});

/** Answers each connection when it has said something, and closes. */
function answering(answer: string) {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const serving = (async () => {
    for await (const connection of listener) {
      await connection.read(new Uint8Array(65_536));
      await connection.write(encodeLatin1(answer));
      await connection.closeWrite();
      // What it still says is taken, so that the answer is not lost with a reset.
      while (await connection.read(new Uint8Array(65_536)).catch(() => null) !== null);
      connection.close();
    }
  })();
  return {
    at: `127.0.0.1:${(listener.addr as Deno.NetAddr).port}`,
    async [Symbol.asyncDispose]() {
      listener.close();
      await serving;
    },
  };
}

const NOBODY = "it failed or cannot be reached";

/** Recipients read that it was not scanned; where it is and what it said are for the log. */
const SCANNERS: readonly (readonly [name: string, keys: string, answer: string | null, mark: string])[] = [
  ["clamd", `check: clamd, at: "unix:/run/${SECRET}"`, null, NOBODY],
  [
    "clamd",
    `check: clamd, at: "AT"`,
    `1: stream: /var/${SECRET}: No such file ERROR\0`,
    "the scanner could not",
  ],
  ["icap", `check: icap, at: "icap://AT/${SECRET}"`, null, NOBODY],
  ["icap", `check: icap, at: "icap://AT/x"`, `ICAP/1.0 500 ${SECRET}\r\n\r\n`, "ICAP status 500 to OPTIONS"],
  ["rspamd", `check: rspamd, at: "http://AT/${SECRET}"`, null, NOBODY],
  [
    "rspamd",
    `check: rspamd, at: "http://AT"`,
    `HTTP/1.1 500 No\r\ncontent-length: 20\r\n\r\n${SECRET}`,
    "status 500",
  ],
  ["spamd", `check: spamd, at: "AT"`, null, NOBODY],
  ["spamd", `check: spamd, at: "AT"`, `SPAMD/1.1 74 ${SECRET}\r\n`, "spamd status 74"],
];

for (const [name, keys, answer, mark] of SCANNERS) {
  const how = answer === null ? "nobody listens" : "it cannot";
  Deno.test(`a scanner without an answer (${name}, ${how}) is told, without its address and words`, async () => {
    await using there = answering(answer ?? "");
    const at = answer === null ? `127.0.0.1:${freePort()}` : there.at;
    const logged = await told(name, keys.replace("AT", at), mark, "not scanned");
    const [failure] = logged.filter(({ check, what }) => check === name && what !== undefined);
    assert.equal(failure?.trace, "trace1");
    if (answer !== null && name !== "rspamd" && name !== "icap") {
      assert.match(String(failure?.what), new RegExp(SECRET));
    }
    assert.ok(logged.every(({ reason }) => !String(reason).includes(SECRET)));
  });
}

/** The message goes on; its one mark stands in the log, the trace and the header. Returns what was logged. */
async function told(
  check: string,
  keys: string,
  mark: string,
  beginning = "no answer",
): Promise<Record<string, unknown>[]> {
  const lines: string[] = [];
  const before = logSettings();
  configureLogs({ level: "info", areas: {}, format: "json" }, { write: (text) => void lines.push(text) });
  try {
    await using bed = await Bed.open(`    - { ${keys}, on_failure: continue }\n`);
    assert.deepEqual(await bed.send({ to: TO }), ["250 2.1.5", ...TAKEN]);
    flushLogs();
    const reason = `${beginning}: ${mark}`;
    const checks = bed.traced.at(-1)!.checks!;
    assert.deepEqual(checks.map((one) => [one.check, one.action, one.reason]), [[check, "tag", reason]]);
    const all = lines.join("").split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
    const logged = all.filter(({ area, action, trace }) =>
      area === "filter" && action === "tag" && trace === "trace1"
    );
    assert.ok(logged.length > 0, lines.join(""));
    for (const one of logged) assert.deepEqual([one.check, one.reason], [check, reason]);
    const [stored = ""] = bed.stored();
    assert.equal(stored.split(`\t${check}=tag`).length, 2, stored);
    assert.match(
      stored,
      new RegExp(`^X-Veredus-Verdict: deliver;\\r\\n\\t${check}=tag _?\\(${reason}\\)`, "m"),
    );
    assert.ok(!stored.includes(SECRET));
    return all;
  } finally {
    configureLogs(before, { write() {} });
  }
}

Deno.test("what a hook refuses of a message that a relay of ours hands over is set aside", async () => {
  const port = freePort();
  const reply = { code: 554, enhanced: "5.7.1", text: "no" };
  const server = Deno.serve(
    { hostname: "127.0.0.1", port, onListen: () => {} },
    () => Response.json({ action: "reject", reason: "odd", reply }),
  );
  try {
    for (const stages of ["message", "rcpt"]) {
      const check =
        `    - { check: http, stages: [${stages}], at: "http://127.0.0.1:${port}/", timeout: 20s }\n`;
      await using bed = await Bed.open(check, {}, { relays: ["192.0.2.9"] });
      const refused = stages === "message" ? ["250 2.1.5", "554 5.7.1"] : ["554 5.7.1"];
      assert.deepEqual(await bed.send(), refused);
      const relayed = await bed.send({ client: { address: "192.0.2.9" } });
      // At RCPT nothing of the message is known: its relay hears of the address.
      assert.deepEqual(relayed, stages === "message" ? TAKEN : refused);
      assert.deepEqual([bed.stored().length, bed.held().length], stages === "message" ? [0, 1] : [0, 0]);
      const held = bed.test.store.quarantine.list({}, { after: 0, limit: 9 });
      assert.ok(held.every(({ dangerous }) => dangerous));
    }
  } finally {
    await server.shutdown();
  }
});

Deno.test("no answer counts no points where the message goes on; else it is what on_failure says", () => {
  const fault = new OutsideFault("status 500");
  assert.deepEqual(failureVerdict("continue", fault), {
    ...{ action: "tag", reason: "no answer: status 500", points: 0 },
  });
  for (const action of ["defer", "reject"] as const) {
    assert.deepEqual(failureVerdict(action, fault), { action, reason: "no answer: status 500" });
  }
});

Deno.test("a check of ours that throws is passed over with a mark, and the next is asked", async () => {
  const checks: Check[] = [
    {
      name: "now",
      stages: ["mail"],
      run: () => {
        throw new Error(SECRET);
      },
    },
    { name: "later", stages: ["mail"], run: () => Promise.reject(new Error(SECRET)) },
    {
      name: "word",
      stages: ["mail"],
      run: () => Promise.reject(new Error(SECRET)),
      late: () => ({ action: "defer", reason: "its own" }),
    },
  ];
  const chain = new Chain(checks);
  const screen = new SessionScreen({ strangers: chain, logins: chain });
  const facts = { traceId: "t", sender: "s@remote.example", trusted: false };
  const mail = screen.transaction(viewOf(STRANGER), facts)!;
  assert.equal((await mail.rcpt("alice@example.test"))?.code, 451);
  assert.deepEqual(
    mail.decisions.map(({ check, action, reason, points }) => [check, action, reason, points]),
    [
      ["now", "tag", "not asked to the end: it failed", 0],
      ["later", "tag", "not asked to the end: it failed", 0],
      ["word", "defer", "its own", undefined],
    ],
  );
});

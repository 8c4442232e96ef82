/** Checks that have no answer when the time for a verdict is over: a mark says which, or the message is put off. */
import assert from "node:assert/strict";
import { latin1 } from "../../bytes/decode.ts";
import { encodePacket, PacketReader, STEP, uint32 } from "../../filter/milter/packet.ts";
import { freePort } from "../lib/ports.ts";
import { until } from "../lib/program.ts";
import { Bed, TAKEN } from "./checks_bed.ts";

const HOUR_MS = 3_600_000;
const OVER = "the time for a verdict was over";
/** The check's own time-out comes long after that of the message. */
const PATIENT = "timeout: 30s";
const BODY = "look at this body";
const MESSAGE = `From: <s@remote.example>\r\nMessage-ID: <m@remote.example>\r\n\r\n${BODY}\r\n`;

/** Takes everything and never answers; what it has been told is in `heard`. */
class Silent {
  readonly port = freePort();
  heard = "";
  readonly #listener: Deno.Listener;
  readonly #connections: Deno.Conn[] = [];
  readonly #reading: Promise<void>[] = [];
  readonly #accepting: Promise<void>;

  /** `greet` is called with what comes first. */
  constructor(greet: (connection: Deno.Conn, octets: Uint8Array) => Promise<void> = () => Promise.resolve()) {
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: this.port });
    this.#accepting = this.#accept(greet);
  }

  async #accept(greet: (connection: Deno.Conn, octets: Uint8Array) => Promise<void>): Promise<void> {
    for await (const connection of this.#listener) {
      this.#connections.push(connection);
      this.#reading.push(this.#read(connection, greet));
    }
  }

  async #read(
    connection: Deno.Conn,
    greet: (connection: Deno.Conn, octets: Uint8Array) => Promise<void>,
  ): Promise<void> {
    const buffer = new Uint8Array(65_536);
    for (let first = true;; first = false) {
      const count = await connection.read(buffer).catch(() => null); // it was closed from here
      if (count === null) return;
      this.heard += latin1(buffer, 0, count);
      if (first) await greet(connection, buffer.slice(0, count));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const connection of this.#connections) connection.close();
    await this.#accepting;
    await Promise.all(this.#reading);
  }
}

/** A milter that wants nothing but header and body, and says nothing to them. */
async function negotiated(connection: Deno.Conn, octets: Uint8Array): Promise<void> {
  const reader = new PacketReader();
  reader.push(octets);
  assert.equal(reader.next()?.command, "O");
  const unwanted = STEP.NO_CONNECT | STEP.NO_HELO | STEP.NO_MAIL | STEP.NO_RCPT | STEP.NO_DATA |
    STEP.NO_REPLY_HEADER | STEP.NO_REPLY_EOH;
  await connection.write(encodePacket("O", uint32(6, 0, unwanted)));
}

interface Case {
  readonly name: string;
  readonly keys: (port: number) => string;
  /** What stands behind its name in the message and the trace. */
  readonly mark: string;
  readonly greet?: typeof negotiated;
  /** It has come so far that this was said to it. */
  readonly told: string;
}

const CASES: readonly Case[] = [
  {
    name: "clamd",
    keys: (port) => `check: clamd, at: "127.0.0.1:${port}"`,
    mark: `not scanned: ${OVER}`,
    told: BODY,
  },
  {
    name: "icap",
    keys: (port) => `check: icap, at: "icap://127.0.0.1:${port}/scan"`,
    mark: `not scanned: ${OVER}`,
    told: "OPTIONS",
  },
  {
    name: "rspamd",
    keys: (port) => `check: rspamd, at: "http://127.0.0.1:${port}"`,
    mark: `not scanned: ${OVER}`,
    told: BODY,
  },
  {
    name: "spamd",
    keys: (port) => `check: spamd, at: "127.0.0.1:${port}"`,
    mark: `not scanned: ${OVER}`,
    told: BODY,
  },
  {
    name: "milter",
    keys: (port) => `check: milter, at: "127.0.0.1:${port}", on_failure: continue`,
    mark: `no answer: ${OVER}`,
    greet: negotiated,
    told: BODY,
  },
  {
    name: "http",
    keys: (port) => `check: http, stages: [message], at: "http://127.0.0.1:${port}/", on_failure: continue`,
    mark: `no answer: ${OVER}`,
    told: "m@remote.example",
  },
];

for (const { name, keys, mark, greet, told } of CASES) {
  const line = (port: number) => `    - { ${keys(port)}, ${PATIENT} }\n`;

  Deno.test(`${name}, too late: the message is delivered, header and trace say what was skipped`, async () => {
    await using silent = new Silent(greet);
    await using bed = await Bed.open(line(silent.port), {}, { spam: "{ timeout: 1s }" });
    const began = performance.now();
    assert.deepEqual(await bed.send({ message: MESSAGE }), TAKEN);
    assert.ok(performance.now() - began < 15_000, "half of its own time-out");
    assert.ok(silent.heard.includes(told), `it was asked: ${silent.heard}`);
    const [stored = ""] = bed.stored();
    assert.ok(stored.includes(`\t${name}=tag (${mark})`), stored);
    assert.ok(stored.endsWith(MESSAGE));
    assert.deepEqual(bed.traced.at(-1)!.checks, [
      { check: name, stage: "message", action: "tag", reason: mark },
    ]);
  });

  Deno.test(`${name}, too late, by setting: the message is put off, for 4 hours at most`, async () => {
    await using silent = new Silent(greet);
    await using bed = await Bed.open(line(silent.port), {}, {
      spam: "{ timeout: 1s, on_timeout: defer }",
    });
    for (const at of [0, 4 * HOUR_MS - 1]) {
      const start = bed.now;
      bed.now += at;
      assert.deepEqual(await bed.send({ message: MESSAGE }), ["250 2.1.5", "451 4.7.1"]);
      assert.match(bed.traced.at(-1)!.checks![0]!.reason, new RegExp(OVER));
      bed.now = start;
    }
    bed.now += 4 * HOUR_MS;
    assert.deepEqual(await bed.send({ message: MESSAGE }), TAKEN);
    assert.equal(bed.stored().length, 1);
    assert.ok(bed.stored()[0]!.includes(`${name}=tag (`), bed.stored()[0]);
  });
}

for (const whenLate of ["mark", "defer"] as const) {
  Deno.test(`a policy file, too late (${whenLate}): its Worker has begun, the message does not wait for its end`, async () => {
    const file = await Deno.makeTempFile({ suffix: ".ts" });
    await Deno.writeTextFile(
      file,
      `export default ({ sender }: { sender: string }) =>
        sender === "slow@remote.example" ? new Promise(() => {}) : { action: "tag", reason: "it works" };`,
    );
    try {
      await using bed = await Bed.open(
        `    - { check: script, at: ${file}, stages: [message], ${PATIENT}, on_failure: continue }\n`,
        {},
        { spam: `{ timeout: 2s, on_timeout: ${whenLate} }` },
      );
      await until("it answers", async () => {
        await bed.send({ message: MESSAGE });
        return bed.stored().at(-1)?.includes("script=tag (it works)") === true;
      }, 60_000);
      const before = bed.stored().length;
      const answers = await bed.send({ from: "slow@remote.example", message: MESSAGE });
      const [check, ...more] = bed.traced.at(-1)!.checks!;
      assert.deepEqual(more, []);
      if (whenLate === "defer") {
        assert.deepEqual(answers, ["250 2.1.5", "451 4.7.1"]);
        assert.deepEqual([check!.check, check!.action, check!.reason], ["script", "defer", OVER]);
        assert.equal(bed.stored().length, before);
      } else {
        assert.deepEqual(answers, TAKEN);
        assert.deepEqual([check!.check, check!.action, check!.reason], [
          "script",
          "tag",
          `no answer: ${OVER}`,
        ]);
        assert.ok(bed.stored().at(-1)!.includes(`script=tag (no answer: ${OVER})`));
      }
    } finally {
      await Deno.remove(file);
    }
  });
}

Deno.test("a hook or milter with a word of its own for failure says that when it is too late", async () => {
  for (const [onFailure, answer] of [["defer", "451 4.7.1"], ["reject", "550 5.7.1"]] as const) {
    for (const { name, keys, greet } of CASES.filter(({ name }) => name === "http" || name === "milter")) {
      await using silent = new Silent(greet);
      await using bed = await Bed.open(
        `    - { ${keys(silent.port).replace("continue", onFailure)}, ${PATIENT} }\n`,
        {},
        { spam: "{ timeout: 1s }" },
      );
      assert.deepEqual(await bed.send({ message: MESSAGE }), ["250 2.1.5", answer], `${name} ${onFailure}`);
      assert.equal(bed.traced.at(-1)!.checks![0]!.reason, `no answer: ${OVER}`);
      assert.deepEqual(bed.stored(), []);
    }
  }
});

Deno.test("checks that were never asked, because one before them took all the time, are each named", async () => {
  await using silent = new Silent();
  const checks = CASES.filter(({ name }) => name !== "milter").map(({ keys }) =>
    `    - { ${keys(silent.port)}, ${PATIENT} }\n`
  );
  await using bed = await Bed.open(checks.join(""), {}, { spam: "{ timeout: 1s }" });
  assert.deepEqual(await bed.send({ message: MESSAGE }), TAKEN);
  assert.deepEqual(bed.traced.at(-1)!.checks!.map(({ check, reason }) => [check, reason]), [
    ["clamd", `not scanned: ${OVER}`],
    ["icap", `not scanned: ${OVER}`],
    ["rspamd", `not scanned: ${OVER}`],
    ["spamd", `not scanned: ${OVER}`],
    ["http", `no answer: ${OVER}`],
  ]);
});

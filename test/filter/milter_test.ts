/** Milters: conversations with one that is played here, and replies nobody would send. */
import assert from "node:assert/strict";
import type { CheckFacts } from "../../filter/check.ts";
import { milter } from "../../filter/checks/milter.ts";
import { MessageChanges } from "../../filter/message_source.ts";
import type { ByteStream } from "../../filter/stream.ts";
import { encodePacket, PacketReader, parseReply, STEP, strings, uint32 } from "../../filter/milter/packet.ts";
import type { Stage } from "../../filter/verdict.ts";

const MESSAGE = "From: <a@x.example>\r\nSubject: one\r\n two\r\n\r\nbody\r\n";

/** Answers each packet; null closes. */
type Play = (command: string, data: string) => (Uint8Array | null)[];

class Played {
  readonly heard: string[] = [];
  readonly macros: string[] = [];
  /** Behind the twelve octets of the negotiation. */
  options: Uint8Array = new Uint8Array(0);
  #play: Play;
  #steps: number;
  #actions: number;

  constructor(play: Play, steps = 0, actions = 0x33) {
    this.#play = play;
    this.#steps = steps;
    this.#actions = actions;
  }

  connect = (): Promise<ByteStream> => {
    const reader = new PacketReader();
    const out: (Uint8Array | null)[] = [];
    let wake: () => void = () => {};
    return Promise.resolve({
      read: async () => {
        while (out.length === 0) await new Promise<void>((resolve) => wake = resolve);
        return out.shift()!;
      },
      write: (bytes) => {
        reader.push(bytes);
        for (let packet = reader.next(); packet !== null; packet = reader.next()) {
          const { command, data } = packet;
          const text = String.fromCharCode(...data);
          if (command !== "D" && command !== "O") {
            this.heard.push(`${command} ${text.replaceAll("\0", "|")}`.trim());
          }
          if (command === "D") this.macros.push(`${text[0]} ${text.slice(1).replaceAll("\0", "|")}`);
          const offer = uint32(6, this.#actions, this.#steps);
          if (command === "O") out.push(encodePacket("O", join(offer, this.options)));
          else if (command !== "D") out.push(...this.#play(command, text));
        }
        wake();
        return Promise.resolve();
      },
      close: () => {
        out.push(null);
        wake();
      },
    });
  };
}

const say = (command: string, data?: Uint8Array) => encodePacket(command, data);
const join = (...parts: Uint8Array[]) => Uint8Array.from(parts.flatMap((part) => [...part]));

function check(played: Played, onFailure: "continue" | "defer" | "reject" = "continue") {
  return milter({
    ...{ name: "milter", hostname: "mx.example.test", timeoutMs: 200, onFailure, now: () => 0 },
    connect: played.connect,
  });
}

const changes = new MessageChanges();
const octets = new TextEncoder().encode(MESSAGE);

function facts(stage: Stage, into = changes): CheckFacts {
  return {
    stage,
    client: {
      ...{
        sessionId: "s",
        address: "192.0.2.1",
        port: 99,
        heloName: "c.example",
        tls: false,
        service: "mx" as const,
      },
      ...{ login: null, mechanism: null, tlsProtocol: null, tlsCipher: null, spokeEarly: false },
    },
    ...{
      traceId: "t1",
      sender: "a@x.example",
      recipient: stage === "rcpt" ? "b@y.example" : "",
      recipients: [],
    },
    message: stage !== "message" ? null : {
      octets: octets.length,
      headerOctets: MESSAGE.indexOf("\r\n\r\n") + 4,
      read: (at, length) => Promise.resolve(octets.slice(at, at + length)),
      held: () => null,
      onDisk: () => null,
    },
    notes: new Map(),
    changes: into,
    findings: null,
    sent: null,
    staysHere: true,
  };
}

const STAGES: Stage[] = ["connect", "ehlo", "mail", "rcpt", "data", "message"];

Deno.test("stages that begin before the one before has its answer follow one another, on one connection", async () => {
  const answered = (command: string) => command === "A" || command === "Q" ? [] : [say("c")];
  const played = new Played(answered);
  let connections = 0;
  let onConnect = () => {};
  const connect = () => {
    connections++;
    onConnect();
    return played.connect();
  };
  const one = milter({
    ...{ name: "milter", hostname: "mx.example.test", timeoutMs: 10_000, onFailure: "reject", now: () => 0 },
    connect,
  });
  const verdicts = await Promise.all(STAGES.map((stage) => one.run(facts(stage, new MessageChanges()))));
  assert.deepEqual(verdicts.map(({ action }) => action), STAGES.map(() => "continue"));
  assert.equal(connections, 1);
  assert.equal(played.heard.map((line) => line[0]).join(""), "CHMRTLLNBE");
  // A client that goes while the first connection is made leaves none behind.
  onConnect = () => one.ended!("other");
  await one.run({ ...facts("connect"), client: { ...facts("connect").client, sessionId: "other" } });
  assert.deepEqual([connections, played.heard.at(-1)], [2, "Q"]);
});

Deno.test("every stage reaches the milter, changes and quarantine come back", async () => {
  const played = new Played((command) =>
    command === "A" || command === "Q" ? [] : command === "E"
      ? [
        say("p"),
        say("h", strings("X-Added", "yes")),
        say("i", join(uint32(0), strings("X-First", "1"))),
        say("m", join(uint32(1), strings("Subject", "other"))),
        say("b", new TextEncoder().encode("new ")),
        say("b", new TextEncoder().encode("body\r\n")),
        say("q", strings("looks odd")),
        say("c"),
      ]
      : [say("c")]
  );
  const one = check(played), into = new MessageChanges();
  const verdicts = [];
  for (const stage of STAGES) verdicts.push((await one.run(facts(stage, into))).action);
  assert.deepEqual(verdicts, ["continue", "continue", "continue", "continue", "continue", "quarantine"]);
  assert.deepEqual(played.heard, [
    "C [192.0.2.1]|4\0c192.0.2.1|".replace("\0", "|"),
    "H c.example|",
    "M <a@x.example>|",
    "R <b@y.example>|",
    "T",
    "L From|<a@x.example>|",
    "L Subject|one\n two|",
    "N",
    "B body\r\n".trim(),
    "E",
  ]);
  assert.deepEqual(into.header, [
    { kind: "add", name: "X-Added", value: "yes" },
    { kind: "insert", at: 0, name: "X-First", value: "1" },
    { kind: "change", index: 1, name: "Subject", value: "other" },
  ]);
  assert.equal(into.body!.map((piece) => new TextDecoder().decode(piece)).join(""), "new body\r\n");
  one.ended!("s");
});

Deno.test("answers of a milter as verdicts, and steps it does not want", async () => {
  const at = (command: string, ...answer: Uint8Array[]) =>
    new Played((said) => said === command ? answer : [say("c")]);
  const run = async (played: Played, stages: Stage[]) => {
    const one = check(played);
    let last;
    for (const stage of stages) last = await one.run(facts(stage));
    one.close!();
    return [
      last!.action,
      last!.reply === undefined ? "" : `${last!.reply.code} ${last!.reply.enhanced} ${last!.reply.text}`,
    ];
  };
  assert.deepEqual(await run(at("M", say("r")), ["mail"]), ["reject", ""]);
  assert.deepEqual(await run(at("R", say("t")), ["mail", "rcpt"]), ["defer", ""]);
  assert.deepEqual(await run(at("R", say("y", strings("550 5.1.1 no\r\nRCPT"))), ["mail", "rcpt"]), [
    "reject",
    "550 5.1.1 no",
  ]);
  assert.deepEqual(await run(at("E", say("d")), ["mail", "message"]), ["discard", ""]);
  assert.deepEqual(await run(at("L", say("a")), ["mail", "message"]), ["continue", ""]);
  assert.deepEqual(await run(at("E", say("y", strings("421 4.0.0 go"))), ["mail", "message"]), [
    "defer",
    "451 4.0.0 go",
  ]);
  const quiet = new Played(
    () => [say("c")],
    STEP.NO_CONNECT | STEP.NO_HELO | STEP.NO_HEADERS | STEP.NO_BODY | STEP.NO_EOH | STEP.NO_DATA,
  );
  const one = check(quiet);
  for (const stage of STAGES) await one.run(facts(stage));
  assert.deepEqual(quiet.heard, ["M <a@x.example>|", "R <b@y.example>|", "E"]);
});

Deno.test("a milter that is silent, gone or mad is on_failure, and never a fault", async () => {
  const plays: Play[] = [
    () => [],
    () => [null],
    () => [say("?")],
    () => [say("y", strings("250 fine"))],
    () => [Uint8Array.of(0xff, 0xff, 0xff, 0xff, 1)],
    () => [Uint8Array.of(0, 0, 0, 0, 0)],
    () => [say("O", uint32(6, 0, 0))],
  ];
  for (const play of plays) {
    const one = check(new Played(play), "defer");
    assert.equal((await one.run(facts("mail"))).action, "defer");
    one.close!();
  }
});

Deno.test("sender and recipients are changed, and what makes no sense is a failure", async () => {
  const play: Play = (said) =>
    said === "E"
      ? [
        say("e", strings("<new@x.example>", "RET=HDRS")),
        say("+", strings("<c@y.example>")),
        say("2", strings("d@y.example", "NOTIFY=NEVER")),
        say("-", strings("<b@y.example>")),
        say("c"),
      ]
      : [say("c")];
  const one = check(new Played(play, 0, 0x1ff), "defer"), into = new MessageChanges();
  await one.run(facts("mail"));
  assert.equal((await one.run(facts("message", into))).action, "continue");
  assert.deepEqual(into.envelope, [
    { kind: "sender", address: "<new@x.example>", parameters: "RET=HDRS" },
    { kind: "add-recipient", address: "<c@y.example>", parameters: "" },
    { kind: "add-recipient", address: "d@y.example", parameters: "NOTIFY=NEVER" },
    { kind: "remove-recipient", address: "<b@y.example>" },
  ]);
  one.close!();
  for (const letter of ["e", "+", "2", "-"]) {
    assert.equal(parseReply({ command: letter, data: strings("") }), null, letter);
  }
  const greedy = check(
    new Played((said) => said === "E" ? Array(600).fill(say("+", strings("a@y.example"))) : [say("c")]),
    "defer",
  );
  await greedy.run(facts("mail"));
  assert.equal((await greedy.run(facts("message"))).action, "defer");
  greedy.close!();
});

Deno.test("macros: the usual ones, and those that the milter names", async () => {
  const told = async (macros: Uint8Array) => {
    const played = new Played((command) => command === "A" || command === "Q" ? [] : [say("c")], 0, 0x1ff);
    played.options = macros;
    const one = check(played);
    for (const stage of STAGES) await one.run(facts(stage));
    one.close!();
    return played.macros;
  };
  assert.deepEqual(await told(new Uint8Array(0)), [
    "C j|mx.example.test|{daemon_name}|mx|v|Veredus|{client_addr}|192.0.2.1|{client_port}|99|",
    "M i|t1|{mail_addr}|a@x.example|{mail_host}|x.example|",
    "R i|t1|{rcpt_addr}|b@y.example|{rcpt_host}|y.example|",
    "T i|t1|",
    "N i|t1|",
    "E i|t1|",
  ]);
  const list = (step: number, names: string) => join(uint32(step), strings(names));
  assert.deepEqual(
    await told(join(list(0, "_"), list(1, "s {nothing}"), list(2, ""), list(6, "{mail_addr} i"))),
    [
      "C _|[192.0.2.1]|",
      "H s|c.example|",
      "R i|t1|{rcpt_addr}|b@y.example|{rcpt_host}|y.example|",
      "T i|t1|",
      "N {mail_addr}|a@x.example|i|t1|",
      "E i|t1|",
    ],
  );
  // Lists that break off, or of steps there are not, are none.
  for (const broken of [uint32(0), list(9, "j"), join(uint32(0), Uint8Array.of(0x6a))]) {
    assert.match((await told(broken))[0]!, /^C j\|/);
  }
});

Deno.test("random replies: parsed or refused, nothing thrown", () => {
  let seed = 1;
  const random = (below: number) => (seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0) % below;
  for (let round = 0; round < 20_000; round++) {
    const reader = new PacketReader();
    const bytes = Uint8Array.from({ length: random(40) }, () => random(256));
    if (random(2) === 0 && bytes.length > 5) {
      bytes.set([0, 0, 0, random(30) + 1, "crtadpsfyhimbqO+-e2".charCodeAt(random(19))]);
    }
    for (let at = 0; at < bytes.length;) {
      const size = random(9) + 1;
      reader.push(bytes.subarray(at, at + size));
      at += size;
      for (let packet = reader.next(); packet !== null; packet = reader.next()) parseReply(packet);
    }
  }
});

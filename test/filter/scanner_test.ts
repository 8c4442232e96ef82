/** Scanners beside the server: what they say, what becomes of it, and what happens when they hang, die or lie. */
import assert from "node:assert/strict";
import { encodeLatin1, latin1 } from "../../bytes/decode.ts";
import type { CheckFacts } from "../../filter/check.ts";
import { scanner, type ScannerOptions } from "../../filter/checks/scanner.ts";
import { MAX_SCAN_DEFERRAL_MS, mayPutOff } from "../../filter/deferral.ts";
import { MessageFindings } from "../../filter/findings.ts";
import { Clamd } from "../../filter/scan/clamd.ts";
import { parseClamdReply } from "../../filter/scan/clamd_reply.ts";
import { Icap } from "../../filter/scan/icap.ts";
import { encapsulatedHead, icapResult, parseIcapHead } from "../../filter/scan/icap_reply.ts";
import { hit, type ScanResult } from "../../filter/scan/result.ts";
import { parseRspamdReply, rspamdHeaders } from "../../filter/scan/rspamd.ts";
import { parseSpamdReply, scanBySpamd } from "../../filter/scan/spamd.ts";
import type { ByteStream } from "../../filter/stream.ts";
import type { Verdict } from "../../filter/verdict.ts";
import { TestStore } from "../lib/test_store.ts";
import { CLIENT, sourceOf } from "./content_source.ts";

const MARK = ["PUA.", "Heuristics."];
const MESSAGE = sourceOf("Subject: x\r\n\r\nhello\r\n");

function facts(findings = new MessageFindings(), message = MESSAGE): CheckFacts {
  return {
    ...{ stage: "message", client: CLIENT, traceId: "t1", sender: "a@x.example", recipient: "" },
    ...{
      recipients: ["b@y.example", "c@y.example"],
      message,
      notes: new Map(),
      changes: null,
      findings,
      sent: null,
      staysHere: true,
    },
  };
}

/** Plays the other side: gets what was written so far and the stream to answer on; null hangs up. */
function played(answer: (written: string, connection: number) => string | null | undefined) {
  const open = { count: 0, closed: 0, most: 0, writes: [] as string[] };
  const connect = (): Promise<ByteStream> => {
    const number = open.count++;
    open.most = Math.max(open.most, open.count - open.closed);
    let written = "";
    const waiting: string[] = [];
    let wake: (() => void) | null = null;
    let ended = false;
    return Promise.resolve({
      async read() {
        while (waiting.length === 0 && !ended) await new Promise<void>((resolve) => wake = resolve);
        const text = waiting.shift();
        return text === undefined ? null : encodeLatin1(text);
      },
      write(octets) {
        if (ended) return Promise.reject(new Error("broken pipe"));
        written += latin1(octets);
        open.writes[number] = written;
        const said = answer(written, number);
        if (said === null) ended = true;
        else if (said !== undefined) {
          waiting.push(said);
          written = "";
        }
        wake?.();
        return Promise.resolve();
      },
      close() {
        open.closed++;
        ended = true;
        wake?.();
      },
    });
  };
  return { open, connect };
}

const clamdOf = (connect: () => Promise<ByteStream>, timeoutMs = 2_000, now = () => 0) =>
  new Clamd({ connect, connections: 2, timeoutMs, markOnly: MARK, now });
const whole = (written: string) => written.endsWith("\0\0\0\0");

Deno.test("replies of clamd: clean, hits, what only marks, limits, and errors", () => {
  const cases: [string, ScanResult][] = [
    ["stream: OK", { kind: "clean" }],
    ["1: stream: OK", { kind: "clean" }],
    ["7: stream: Eicar-Test FOUND", { kind: "infected", name: "Eicar-Test" }],
    ["stream: Win.Test (x).UNOFFICIAL FOUND", { kind: "infected", name: "Win.Test (x).UNOFFICIAL" }],
    ["stream: PUA.Win.Tool FOUND", { kind: "suspicious", name: "PUA.Win.Tool" }],
    ["stream: Heuristics.OLE2.ContainsMacros FOUND", {
      kind: "suspicious",
      name: "Heuristics.OLE2.ContainsMacros",
    }],
    ["stream: Heuristics.Limits.Exceeded.MaxFileSize FOUND", {
      kind: "not-scanned",
      why: "Heuristics.Limits.Exceeded.MaxFileSize",
    }],
    ["INSTREAM size limit exceeded. ERROR", { kind: "not-scanned", why: "larger than the scanner takes" }],
  ];
  for (const [text, result] of cases) assert.deepEqual(parseClamdReply(text, MARK), result, text);
  for (const text of ["", "UNKNOWN COMMAND", "stream: Can't allocate memory ERROR", "OKAY"]) {
    assert.throws(() => parseClamdReply(text, MARK), { name: "ScanFault" }, text);
  }
  assert.deepEqual(hit("Sanesecurity.Junk.1", ["sanesecurity."]), {
    kind: "suspicious",
    name: "Sanesecurity.Junk.1",
  });
});

Deno.test("clamd: one connection for several messages, the message in chunks with their lengths", async () => {
  let scans = 0;
  const { open, connect } = played((written) => whole(written) ? `${++scans}: stream: OK\0` : undefined);
  const clamd = clamdOf(connect);
  assert.deepEqual(await clamd.scan(MESSAGE), { kind: "clean" });
  assert.equal(open.writes[0], "zIDSESSION\0zINSTREAM\0\0\0\0\x15Subject: x\r\n\r\nhello\r\n\0\0\0\0");
  assert.deepEqual(await clamd.scan(MESSAGE), { kind: "clean" });
  assert.deepEqual([open.count, open.closed], [1, 0]);
  assert.equal(open.writes[0], "zINSTREAM\0\0\0\0\x15Subject: x\r\n\r\nhello\r\n\0\0\0\0");
  clamd.close();
  assert.equal(open.closed, 1);
});

Deno.test("clamd: no more connections than allowed; who waits gets one, or its deadline", async () => {
  const { open, connect } = played(() => undefined);
  const clamd = clamdOf(connect, 60);
  const three = await Promise.allSettled([1, 2, 3].map(() => clamd.scan(MESSAGE)));
  assert.equal(open.most, 2);
  assert.deepEqual(three.map((one) => one.status), ["rejected", "rejected", "rejected"]);
  assert.equal(open.closed, open.count);
  let answers = 0;
  const slow = played((written) => whole(written) ? `${++answers}: stream: OK\0` : undefined);
  const other = clamdOf(slow.connect);
  const all = await Promise.all(Array.from({ length: 6 }, () => other.scan(MESSAGE)));
  assert.deepEqual(all.map(({ kind }) => kind), Array(6).fill("clean"));
  assert.ok(slow.open.most <= 2);
  other.close();
});

Deno.test("clamd: a kept connection that was closed meanwhile is replaced; an early reply ends the stream", async () => {
  const { open, connect } = played((written, number) =>
    number === 0 && written.startsWith("zINSTREAM") ? null : whole(written) ? "1: stream: OK\0" : undefined
  );
  const clamd = clamdOf(connect);
  assert.deepEqual(await clamd.scan(MESSAGE), { kind: "clean" });
  assert.deepEqual(await clamd.scan(MESSAGE), { kind: "clean" });
  assert.equal(open.count, 2);
  clamd.close();
  const early = played((written) =>
    written.includes("INSTREAM") ? "INSTREAM size limit exceeded. ERROR\0" : undefined
  );
  const short = clamdOf(early.connect);
  assert.deepEqual(await short.scan(sourceOf("\r\n\r\n" + "x".repeat(1_000_000))), {
    kind: "not-scanned",
    why: "larger than the scanner takes",
  });
  assert.equal(early.open.closed, 1);
  short.close();
});

Deno.test("ICAP heads, what they encapsulate, and what they mean", () => {
  const head = parseIcapHead(
    "ICAP/1.0 200 OK\r\nX-Infection-Found: Type=0; Resolution=2; Threat=Eicar;\r\nEncapsulated: res-hdr=0, res-body=50",
  );
  assert.deepEqual(encapsulatedHead(head), { start: 0, end: 50 });
  assert.deepEqual(icapResult(head, "", MARK), { kind: "infected", name: "Eicar" });
  const plain = parseIcapHead("ICAP/1.0 200 OK\r\nEncapsulated: req-hdr=0, res-hdr=10, res-body=20");
  assert.deepEqual(encapsulatedHead(plain), { start: 10, end: 20 });
  assert.deepEqual(icapResult(plain, "HTTP/1.0 403 Forbidden", MARK).kind, "infected");
  assert.deepEqual(icapResult(plain, "HTTP/1.1 200 OK", MARK).kind, "clean");
  assert.deepEqual(icapResult(parseIcapHead("ICAP/1.0 204 Unmodified"), "", MARK).kind, "clean");
  assert.deepEqual(
    icapResult(parseIcapHead("ICAP/1.0 200 OK\r\nX-Virus-ID: PUA.Tool"), "", MARK).kind,
    "suspicious",
  );
  for (const status of [400, 404, 500, 503]) {
    assert.throws(() => icapResult(parseIcapHead(`ICAP/1.0 ${status} no`), "", MARK), { name: "ScanFault" });
  }
  assert.throws(() => parseIcapHead("HTTP/1.1 200 OK"), { name: "ScanFault" });
});

Deno.test("ICAP: options once, a preview, the rest when it is asked for, connections kept after 204", async () => {
  const OPTIONS =
    "ICAP/1.0 200 OK\r\nMethods: RESPMOD\r\nPreview: 16\r\nOptions-TTL: 60\r\nEncapsulated: null-body=0\r\n\r\n";
  const { open, connect } = played((written) => {
    if (written.startsWith("OPTIONS")) return written.endsWith("\r\n\r\n") ? OPTIONS : undefined;
    if (written.endsWith("0; ieof\r\n\r\n")) return "ICAP/1.0 204 No\r\n\r\n";
    if (written.includes("RESPMOD") && written.endsWith("\r\n0\r\n\r\n")) {
      return written.includes("clean pre") ? "ICAP/1.0 204 No\r\n\r\n" : "ICAP/1.0 100 Continue\r\n\r\n";
    }
    if (!written.includes("RESPMOD") && written.endsWith("\r\n0\r\n\r\n")) {
      const http = "HTTP/1.1 403 No\r\n\r\n";
      return `ICAP/1.0 200 OK\r\nX-Virus-ID: Eicar\r\nEncapsulated: res-hdr=0, res-body=${http.length}\r\n\r\n${http}5\r\nhello\r\n0\r\n\r\n`;
    }
    return undefined;
  });
  const url = "icap://127.0.0.1:1344/virus_scan";
  const icap = new Icap({ connect, url, connections: 1, timeoutMs: 2_000, markOnly: MARK, now: () => 0 });
  assert.deepEqual(await icap.scan(sourceOf("\r\n\r\nshort")), { kind: "clean" });
  assert.match(
    open.writes[0]!,
    /^RESPMOD icap:\/\/127\.0\.0\.1:1344\/virus_scan ICAP\/1\.0\r\nHost: 127\.0\.0\.1:1344\r\n/,
  );
  assert.match(open.writes[0]!, /\r\nPreview: 9\r\n/);
  assert.deepEqual(await icap.scan(sourceOf("\r\n\r\nclean preview of more")), { kind: "clean" });
  assert.equal(open.count, 1);
  assert.deepEqual(await icap.scan(sourceOf("\r\n\r\nsomething bad in it")), {
    kind: "infected",
    name: "Eicar",
  });
  assert.deepEqual([open.count, open.closed], [1, 1]);
  icap.close();
});

Deno.test("ICAP: what comes back without a name is the message, or it was cut off", async () => {
  const said = "\r\n\r\nabcdefghij";
  const head = "HTTP/1.1 200 OK\r\n\r\n";
  const back = `ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, res-body=${head.length}\r\n\r\n${head}`;
  const answer = async (body: string): Promise<string> => {
    const { connect } = played((written) => {
      if (written.startsWith("OPTIONS")) {
        return written.endsWith("\r\n\r\n") ? "ICAP/1.0 200 OK\r\n\r\n" : undefined;
      }
      return written.endsWith("\r\n0\r\n\r\n") ? back + body : undefined;
    });
    // What has been said is all that comes.
    const ending = async (): Promise<ByteStream> => {
      const stream = await connect();
      let reads = 0;
      return {
        read: () => ++reads > 2 ? Promise.resolve(null) : stream.read(),
        write: (octets) => stream.write(octets),
        close: () => stream.close(),
      };
    };
    const url = "icap://127.0.0.1/x";
    const icap = new Icap({
      ...{ connect: ending, url, connections: 1, timeoutMs: 2_000, markOnly: MARK, now: () => 0 },
    });
    const result = await icap.scan(sourceOf(said));
    icap.close();
    return result.kind;
  };
  assert.equal(await answer(`6\r\n\r\n\r\nab\r\n8; x=y\r\ncdefghij\r\n0\r\n\r\n`), "clean");
  assert.equal(await answer(`6\r\n\r\n\r\nab\r\n8\r\ncde`), "infected");
  assert.equal(await answer(`6\r\n\r\n\r\nab\r\n0\r\n\r\n`), "infected");
  assert.equal(await answer(`e\r\n\r\n\r\nabXdefghij\r\n0\r\n\r\n`), "infected");
  await assert.rejects(answer("nonsense\r\n"), { name: "ScanFault" });
});

Deno.test("spamd and rspamd: the score is the reason, what they cannot do is a failure", async () => {
  const spam = "SPAMD/1.1 0 EX_OK\r\nContent-length: 6\r\nSpam: True ; 15.3 / 5.0\r\n\r\nGTUBE\r\n";
  assert.deepEqual(parseSpamdReply(spam), { kind: "spam", why: "score 15.3 of 5.0: GTUBE" });
  assert.deepEqual(parseSpamdReply("SPAMD/1.1 0 EX_OK\r\nSpam: False ; -0.1 / 5.0\r\n\r\n"), {
    kind: "wanted",
  });
  for (const text of ["", "SPAMD/1.0 76 Bad header line\r\n", "SPAMD/1.1 0 EX_OK\r\n\r\n"]) {
    assert.throws(() => parseSpamdReply(text), { name: "ScanFault" });
  }
  const { open, connect } = played((written) => written.endsWith("hello\r\n") ? spam : undefined);
  const ended = async () => {
    const stream = await connect();
    let said = false;
    return { ...stream, read: () => said ? Promise.resolve(null) : (said = true, stream.read()) };
  };
  assert.equal((await scanBySpamd(MESSAGE, { connect: ended, timeoutMs: 2_000 })).kind, "spam");
  assert.equal(open.writes[0], "SYMBOLS SPAMC/1.5\r\nContent-length: 21\r\n\r\nSubject: x\r\n\r\nhello\r\n");
  assert.deepEqual(
    parseRspamdReply(
      '{"action":"add header","score":7.5,"required_score":15,"symbols":{"A":{"score":5},"B":{"score":-1}}}',
    ),
    { kind: "spam", why: "add header, score 7.5 of 15.0: A" },
  );
  for (const action of ["no action", "greylist", "soft reject"]) {
    assert.deepEqual(parseRspamdReply(JSON.stringify({ action, score: 1 })), { kind: "wanted" });
  }
  for (const text of ["", "[]", "null", "{", '{"action":1}']) {
    assert.throws(() => parseRspamdReply(text), { name: "ScanFault" });
  }
  const bad = { ...facts(), sender: "x@y\r\nUser: root" };
  assert.deepEqual(rspamdHeaders(bad), [
    ["IP", "192.0.2.1"],
    ["Helo", "client.example"],
    ["Rcpt", "b@y.example"],
    ["Rcpt", "c@y.example"],
    ["Queue-Id", "t1"],
  ]);
});

const OPTIONS: ScannerOptions = {
  ...{ name: "clamd", action: "reject", onFailure: "continue", maxOctets: 1_000 },
  scan: () => Promise.resolve({ kind: "clean" }),
  ...{ mayDefer: () => true, isRelay: () => false, now: () => 0 },
};

async function verdict(result: ScanResult | Error, more: Partial<ScannerOptions> = {}) {
  const findings = new MessageFindings();
  const scan = () => result instanceof Error ? Promise.reject(result) : Promise.resolve(result);
  const said: Verdict = await scanner({ ...OPTIONS, scan, ...more }).run(facts(findings));
  return { ...said, level: findings.virusLevel };
}

Deno.test("a hit is 550 5.7.1, what proves nothing and what was not scanned is marked and delivered", async () => {
  const infected = await verdict({ kind: "infected", name: "Eicar\r\n" });
  assert.deepEqual([infected.action, infected.reply, infected.level, infected.dangerous], [
    "reject",
    { code: 550, enhanced: "5.7.1", text: "The message is infected: Eicar?" },
    5,
    true,
  ]);
  const relayed = await verdict({ kind: "infected", name: "Eicar" }, { isRelay: () => true });
  assert.equal(relayed.action, "quarantine");
  const pua = await verdict({ kind: "suspicious", name: "PUA.x" });
  assert.deepEqual([pua.action, pua.reason, pua.level], ["tag", "suspicious: PUA.x", 3]);
  const limit = await verdict({ kind: "not-scanned", why: "too large" });
  assert.deepEqual([limit.action, limit.reason, limit.level, limit.points], [
    "tag",
    "not scanned: too large",
    null,
    0,
  ]);
  assert.equal(pua.points, undefined, "it counts as other tags do");
  assert.deepEqual([(await verdict({ kind: "clean" })).level, (await verdict({ kind: "wanted" })).level], [
    1,
    null,
  ]);
  const large = await scanner({ ...OPTIONS, maxOctets: 10 }).run(facts());
  assert.deepEqual([large.action, large.reason], ["tag", "not scanned: more than 10 octets"]);
});

Deno.test("a dead scanner marks; where deferral is chosen it ends after 4 hours; after some faults it is left alone", async () => {
  const dead = new Error("connection refused");
  assert.deepEqual((await verdict(dead)).reason, "not scanned: it failed or cannot be reached");
  const deferred = await verdict(dead, { onFailure: "defer" });
  assert.deepEqual([deferred.action, deferred.reply?.code], ["defer", 451]);
  assert.equal((await verdict(dead, { onFailure: "defer", mayDefer: () => false })).action, "tag");
  let asked = 0, now = 0;
  const check = scanner({
    ...OPTIONS,
    now: () => now,
    scan: () => (asked++, now > 100_000 ? Promise.resolve({ kind: "clean" }) : Promise.reject(dead)),
  });
  for (let at = 0; at < 10; at++) await check.run(facts());
  assert.equal(asked, 3);
  now = 200_000;
  assert.equal((await check.run(facts())).action, "continue");

  const store = await TestStore.open();
  try {
    const pending: Promise<unknown>[] = [];
    const ask = async (at: number, key = "clamd 192.0.2.0/24 a@x.example") => {
      const may = mayPutOff({
        state: store.store.policy,
        write: (op) => void pending.push(store.store.write(op)),
        ...{ kind: "scan-trouble", key, forMs: MAX_SCAN_DEFERRAL_MS, now: at },
      });
      await Promise.all(pending);
      return may;
    };
    const hour = 3_600_000;
    assert.deepEqual(
      [await ask(0), await ask(hour), await ask(4 * hour - 1), await ask(4 * hour), await ask(9 * hour)],
      [true, true, true, false, false],
    );
    assert.equal(await ask(9 * hour, "clamd 192.0.2.0/24 b@x.example"), true);
  } finally {
    await store.close();
  }
});

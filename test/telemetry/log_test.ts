import assert from "node:assert/strict";
import { getLogger } from "@logtape/logtape";
import {
  configureLogs,
  flushLogs,
  infoLines,
  LineBuffer,
  type LogSettings,
  LogWriter,
  setLogLevel,
} from "../../telemetry/log.ts";

function capture(settings: Partial<LogSettings> = {}): { lines(): string[] } {
  const written: string[] = [];
  configureLogs({ level: "info", areas: {}, format: "json", ...settings }, {
    write: (lines) => written.push(lines),
  });
  return {
    lines() {
      flushLogs();
      return written.splice(0).join("").split("\n").filter((line) => line !== "");
    },
  };
}

Deno.test("a JSON line keeps the properties, with errors as text", () => {
  const log = capture();
  getLogger(["veredus", "smtp"]).with({ session: "s1" }).info("message {id} accepted", {
    id: "m1",
    octets: 42,
    none: undefined,
    level: "mine",
    error: new Error("disk"),
    list: [1, "a"],
  });
  const [line] = log.lines();
  const record = JSON.parse(line!);
  assert.match(record.time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  assert.equal(Math.abs(Date.parse(record.time) - Date.now()) < 5_000, true);
  assert.match(record.error, /^Error: disk\n/);
  delete record.time;
  delete record.error;
  assert.deepEqual(record, {
    level: "info",
    area: "smtp",
    message: "message m1 accepted",
    session: "s1",
    id: "m1",
    octets: 42,
    _level: "mine",
    list: [1, "a"],
  });
});

Deno.test("a text line shows what the message does not, and no peer can forge a line", () => {
  const log = capture({ format: "text" });
  getLogger(["veredus", "imap", "fetch"]).warn("odd {what}", { what: "a\r\nb", session: "s 1", n: 3 });
  const lines = log.lines();
  assert.equal(lines.length, 1);
  assert.match(lines[0]!, /^\S+Z warning imap\.fetch odd "a\\r\\nb" session="s 1" n=3$/);
});

Deno.test("levels per area, changed at run time", () => {
  const log = capture({ areas: { imap: "debug" } });
  const smtp = getLogger(["veredus", "smtp"]), imap = getLogger(["veredus", "imap", "x"]);
  const other = getLogger(["veredus", "other"]);
  const say = () => {
    for (const logger of [smtp, imap, other]) {
      logger.debug("d");
      logger.info("i");
    }
    return log.lines().map((line) => JSON.parse(line)).map(({ area, message }) => `${area} ${message}`);
  };
  assert.deepEqual(say(), ["smtp i", "imap.x d", "imap.x i", "other i"]);
  setLogLevel("smtp", "debug");
  setLogLevel("imap", "error");
  assert.deepEqual(say(), ["smtp d", "smtp i", "other i"]);
  setLogLevel(null, "warning");
  assert.deepEqual(say(), ["smtp d", "smtp i"]);
});

Deno.test("lines wait for company, except errors", async () => {
  const written: string[] = [];
  const buffer = new LineBuffer({ write: (lines) => written.push(lines) });
  buffer.add("a\n", false);
  buffer.add("b\n", false);
  assert.deepEqual(written, []);
  await new Promise((resolve) => setTimeout(resolve, 120));
  assert.deepEqual(written, ["a\nb\n"]);
  buffer.add("c\n", false);
  buffer.add("d\n", true);
  assert.deepEqual(written, ["a\nb\n", "c\nd\n"]);
});

Deno.test("a stream that does not take lines costs bounded memory, and the order is kept", async () => {
  let text = "";
  let open = () => {};
  const gate = new Promise<void>((resolve) => open = resolve);
  const decoder = new TextDecoder();
  const writer = new LogWriter({
    async write(bytes) {
      await gate;
      text += decoder.decode(bytes.subarray(0, 5));
      return Math.min(5, bytes.length);
    },
    writeSync(bytes) {
      text += decoder.decode(bytes);
      return bytes.length;
    },
  }, { maxBacklogOctets: 20 });
  writer.write("first\n");
  writer.write("second\n");
  writer.write("third, too long to fit in\n");
  writer.write("fourth\n");
  assert.equal(writer.dropped, 1);
  open();
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(text, "first\nsecond\nfourth\n");
  writer.write("last\n");
  await new Promise((resolve) => setTimeout(resolve, 0));
  writer.flushSync();
  assert.equal(text, "first\nsecond\nfourth\nlast\n");
});

Deno.test("lines of a hot path are those of the logger, at the level of their area", () => {
  const log = capture();
  const facts = { message: "mine", session: "s1", none: undefined, list: [1], what: 'a"b' };
  const tell = infoLines("smtp");
  getLogger(["veredus", "smtp"]).info("{what} came", facts);
  tell("{what} came", facts);
  const [logged, told] = log.lines().map((line) => ({ ...JSON.parse(line), time: "" }));
  assert.deepEqual(told, logged);
  assert.equal(told.message, 'a"b came');
  assert.equal(told._message, "mine");
  setLogLevel("smtp", "warning");
  tell("{what} came", facts);
  setLogLevel("smtp", "debug");
  tell("again", {});
  assert.deepEqual(log.lines().map((line) => JSON.parse(line).message), ["again"]);
});

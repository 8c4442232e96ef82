/**
 * Logs of this thread: LogTape records to lines, collected and written in batches.
 *
 * Text on a terminal, JSON otherwise; one line per record. Every logger is `["veredus", area, ...]`, and each area
 * has a level that {@linkcode setLogLevel} changes at run time. Lines wait at most {@linkcode FLUSH_MS} or
 * {@linkcode FLUSH_OCTETS}, and go out at once from level error up. A thread other than main hands its batches to
 * main, which alone writes to the stream: lines of threads never mix. A stream that does not take them may fall
 * {@linkcode MAX_BACKLOG_OCTETS} behind; after that lines are dropped and counted, because a mail server must not
 * stop for its log. Hot path: `bench/micro/log_bench.ts`.
 */
import { compareLogLevel, configureSync, type LogLevel, type LogRecord } from "@logtape/logtape";

export type { LogLevel } from "@logtape/logtape";

/** Milliseconds a line may wait for company. */
export const FLUSH_MS = 50;
/** UTF-16 units collected before they are handed on regardless of time. */
const FLUSH_OCTETS = 65_536;
/** What a slow stream may owe before lines are dropped. */
const MAX_BACKLOG_OCTETS = 8 * 1024 * 1024;

/** Areas whose level can be set; a logger of another area follows the common level. */
export const LOG_AREAS = [
  "admin",
  "auth",
  "delivery",
  "dns",
  "filter",
  "imap",
  "managesieve",
  "pop3",
  "queue",
  "search",
  "server",
  "sieve",
  "smtp",
  "storage",
] as const;
export type LogArea = (typeof LOG_AREAS)[number];

export const LOG_LEVELS: readonly LogLevel[] = ["trace", "debug", "info", "warning", "error", "fatal"];

export interface LogSettings {
  readonly level: LogLevel;
  readonly areas: Readonly<Partial<Record<LogArea, LogLevel>>>;
  readonly format: "text" | "json";
}

/** Where a thread's batches go: the stream in main, main in the others. */
export interface LogOutput {
  write(lines: string): void;
}

let settings: LogSettings = { level: "info", areas: {}, format: "json" };
let buffer: LineBuffer | null = null;

/** Starts logging in this thread; again with other settings to change them. */
export function configureLogs(next: LogSettings, output: LogOutput): void {
  settings = next;
  buffer?.flush();
  buffer = new LineBuffer(output);
  apply();
}

/** Changes one area's level, or the common one (null) that areas without their own follow. */
export function setLogLevel(area: LogArea | null, level: LogLevel): void {
  settings = area === null
    ? { ...settings, level }
    : { ...settings, areas: { ...settings.areas, [area]: level } };
  apply();
}

export function logSettings(): LogSettings {
  return settings;
}

/** Hands on what waits. Call before the thread ends. */
export function flushLogs(): void {
  buffer?.flush();
}

/**
 * Info lines of an area that every message costs: what `getLogger(["veredus", area]).info` would write, for a quarter of
 * the price.
 */
export function infoLines(
  area: LogArea,
): (rawMessage: string, properties: Record<string, unknown>) => void {
  const category = ["veredus", area];
  return (rawMessage, properties) => {
    if (buffer === null || compareLogLevel(levelOf(area), "info") > 0) return;
    sink({ category, level: "info", rawMessage, message: [], timestamp: Date.now(), properties });
  };
}

function levelOf(area: LogArea): LogLevel {
  return settings.areas[area] ?? settings.level;
}

function sink(record: LogRecord): void {
  const line = settings.format === "json" ? jsonLine(record) : textLine(record);
  buffer?.add(line, record.level === "error" || record.level === "fatal");
}

function apply(): void {
  if (buffer === null) return;
  configureSync({
    reset: true,
    sinks: { lines: sink },
    loggers: [
      { category: ["logtape", "meta"], sinks: [], parentSinks: "override" },
      { category: ["veredus"], sinks: ["lines"], lowestLevel: settings.level },
      ...LOG_AREAS.map((area) => ({
        category: ["veredus", area],
        sinks: ["lines"],
        parentSinks: "override" as const,
        lowestLevel: levelOf(area),
      })),
    ],
  });
}

/** Collects lines and hands them on in one piece. */
export class LineBuffer {
  readonly #output: LogOutput;
  #lines: string;
  #timer: ReturnType<typeof setTimeout> | null;

  constructor(output: LogOutput) {
    this.#output = output;
    this.#lines = "";
    this.#timer = null;
  }

  add(line: string, urgent: boolean): void {
    this.#lines += line;
    if (urgent || this.#lines.length >= FLUSH_OCTETS) return this.flush();
    this.#timer ??= setTimeout(() => this.flush(), FLUSH_MS);
  }

  flush(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#lines === "") return;
    const lines = this.#lines;
    this.#lines = "";
    this.#output.write(lines);
  }
}

/** A stream as main writes to it: `Deno.stderr`, or a test's. */
export interface LogStream {
  write(bytes: Uint8Array): Promise<number>;
  writeSync(bytes: Uint8Array): number;
}

/** Main's end: one write under way at a time, off the event loop. */
export class LogWriter implements LogOutput {
  readonly #stream: LogStream;
  readonly #maxBacklog: number;
  #waiting: string[];
  #octets: number;
  #dropped: number;
  #writing: Uint8Array | null;

  constructor(stream: LogStream, options: { maxBacklogOctets?: number } = {}) {
    this.#stream = stream;
    this.#maxBacklog = options.maxBacklogOctets ?? MAX_BACKLOG_OCTETS;
    this.#waiting = [];
    this.#octets = 0;
    this.#dropped = 0;
    this.#writing = null;
  }

  /** Batches dropped because the stream was too slow. */
  get dropped(): number {
    return this.#dropped;
  }

  write(lines: string): void {
    if (this.#octets + lines.length > this.#maxBacklog) {
      this.#dropped++;
      return;
    }
    this.#waiting.push(lines);
    this.#octets += lines.length;
    if (this.#writing === null) this.#pump();
  }

  /** Writes everything that waits, blocking; for the end of the process. */
  flushSync(): void {
    const bytes = new TextEncoder().encode(this.#take());
    writeAllSync(this.#stream, bytes);
  }

  async #pump(): Promise<void> {
    while (this.#waiting.length > 0) {
      let rest: Uint8Array = new TextEncoder().encode(this.#take());
      this.#writing = rest;
      try {
        while (rest.length > 0) rest = rest.subarray(await this.#stream.write(rest));
      } catch (error) {
        // Nobody reads the log any more: there is no place left to say so.
        if (!(error instanceof Error)) throw error;
        this.#dropped++;
      }
    }
    this.#writing = null;
  }

  #take(): string {
    const lines = this.#waiting.join("");
    this.#waiting = [];
    this.#octets = 0;
    return lines;
  }
}

function writeAllSync(stream: LogStream, bytes: Uint8Array): void {
  try {
    for (let rest = bytes; rest.length > 0;) rest = rest.subarray(stream.writeSync(rest));
  } catch (error) {
    if (!(error instanceof Error)) throw error; // as above
  }
}

let second = -1;
let secondText = "";

/** RFC 3339 in UTC with milliseconds; the part up to the second is kept. */
function timeOf(timestamp: number): string {
  const whole = Math.floor(timestamp / 1000);
  if (whole !== second) {
    second = whole;
    secondText = new Date(whole * 1000).toISOString().slice(0, 20);
  }
  const ms = timestamp - whole * 1000;
  return `${secondText}${ms < 10 ? "00" : ms < 100 ? "0" : ""}${ms}Z`;
}

interface Template {
  /** Text before each property, and after the last one. */
  readonly texts: readonly string[];
  readonly names: readonly string[];
}

/** Parsed templates; they are literals of our source, so this stays small. Cleared if it ever does not. */
const templates = new Map<string, Template>();
const MAX_TEMPLATES = 2_000;

function templateOf(raw: string): Template {
  const known = templates.get(raw);
  if (known !== undefined) return known;
  const parts = raw.split(/\{(\w+)\}/);
  const template: Template = {
    texts: parts.filter((_, at) => at % 2 === 0),
    names: parts.filter((_, at) => at % 2 === 1),
  };
  if (templates.size >= MAX_TEMPLATES) templates.clear();
  templates.set(raw, template);
  return template;
}

function render(record: LogRecord, template: Template): string {
  let text = template.texts[0] ?? "";
  template.names.forEach((name, at) => {
    text += plain(record.properties[name]) + (template.texts[at + 1] ?? "");
  });
  return text;
}

function rawOf(record: LogRecord): string {
  return typeof record.rawMessage === "string" ? record.rawMessage : record.rawMessage.join("{}");
}

/** A value in running text: no line end of a peer's may forge a line. */
function plain(value: unknown): string {
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  const text = typeof value === "string" ? value : valueText(value);
  // deno-lint-ignore no-control-regex
  return /[\x00-\x1f\x7f-\x9f\u2028\u2029]/.test(text) ? JSON.stringify(text) : text;
}

function valueText(value: unknown): string {
  if (value instanceof Error) return value.stack ?? `${value.name}: ${value.message}`;
  if (value === undefined) return "-";
  return JSON.stringify(value, errorsAsText) ?? String(value);
}

function errorsAsText(_key: string, value: unknown): unknown {
  if (value instanceof Error) return value.stack ?? `${value.name}: ${value.message}`;
  return typeof value === "bigint" ? String(value) : value;
}

/** `2026-01-02T03:04:05.678Z info smtp message accepted session=... size=4096` */
export function textLine(record: LogRecord): string {
  const template = templateOf(rawOf(record));
  let line = `${timeOf(record.timestamp)} ${record.level} ${areaOf(record)} ${render(record, template)}`;
  const { properties } = record;
  for (const name in properties) {
    if (template.names.includes(name) || properties[name] === undefined) continue;
    const value = plain(properties[name]);
    line += ` ${name}=${/[\s="]/.test(value) && !value.startsWith('"') ? JSON.stringify(value) : value}`;
  }
  return line + "\n";
}

/** One JSON object; the properties stand beside `time`, `level`, `area` and `message`. */
export function jsonLine(record: LogRecord): string {
  const message = JSON.stringify(render(record, templateOf(rawOf(record))));
  const { timestamp, level, properties } = record;
  const head = `{"time":"${timeOf(timestamp)}","level":"${level}","area":"${
    areaOf(record)
  }","message":${message}`;
  let simple = true;
  let renamed: Record<string, unknown> | null = null;
  for (const name in properties) {
    const value = properties[name];
    if (typeof value === "object" || typeof value === "bigint") simple = false;
    if (RESERVED.has(name)) renamed = {};
  }
  if (renamed !== null) {
    for (const name in properties) renamed[RESERVED.has(name) ? `_${name}` : name] = properties[name];
  }
  // One call for all of them, as they were given, is three times as fast as one for each; a replacer is what costs.
  const rest = JSON.stringify(renamed ?? properties, simple ? undefined : errorsAsText);
  return rest === "{}" ? `${head}}\n` : `${head},${rest.slice(1)}\n`;
}

const RESERVED: ReadonlySet<string> = new Set(["time", "level", "area", "message"]);

function areaOf(record: LogRecord): string {
  return record.category.length > 2
    ? record.category.slice(1).join(".")
    : record.category[1] ?? record.category[0] ?? "";
}

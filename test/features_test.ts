/**
 * docs/features.md against the server: each setting, metric, line of the log, call, command, section and test that it names
 * exists; and each extension, SASL mechanism, check, setting and metric of the receiving side has a place in it.
 */
import assert from "node:assert/strict";
import { Command } from "commander";
import type { z } from "zod";
import { registerCommands } from "../admin/cli/program.ts";
import { Out } from "../bytes/out.ts";
import { SessionMechanisms, SMTP_MECHANISMS } from "../protocols/sasl/mechanisms.ts";
import { ehloReply } from "../protocols/smtp/extensions.ts";
import { CHECKS } from "../server/config/config.ts";
import { DEFAULT_LIMITS } from "../server/config/defaults.ts";
import { configSchema } from "../server/config/schema.ts";
import { childOf, keysOf, unwrap } from "../server/config/walk.ts";
import { registry } from "../telemetry/metrics.ts";
import { SOURCE_FOLDERS } from "../server/entries.ts";
import { Harness } from "./admin/harness.ts";

const ROOT = new URL("../", import.meta.url);
const COLUMNS = ["feature", "limit", "metric", "log", "call", "command", "manual", "test"] as const;
type Row = Readonly<Record<typeof COLUMNS[number], string>>;
/** What a cell names; the rest of it are words for people. */
const TOKEN = /`([^`]+)`/g;
/** A cell without anything to look up says why in words. */
const IN_WORDS = /^needs none: .{10,}/;

const page = await Deno.readTextFile(new URL("docs/features.md", ROOT));
const rows: readonly Row[] = page.split("\n").filter((line) => /^\| .* \|$/.test(line))
  .map((line) => line.slice(2, -2).split(" | "))
  .filter((cells) => cells.length === COLUMNS.length && cells[0] !== "feature")
  .map((cells) => Object.fromEntries(COLUMNS.map((name, at) => [name, cells[at]!])) as Row);
const sources = await sourceTexts();

/** By path, without tests and benchmarks. */
async function sourceTexts(): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const visit = async (folder: string): Promise<void> => {
    for await (const { name, isDirectory } of Deno.readDir(new URL(folder, ROOT))) {
      const path = `${folder}${name}`;
      if (isDirectory) await visit(`${path}/`);
      else if (name.endsWith(".ts")) found.set(path, await Deno.readTextFile(new URL(path, ROOT)));
    }
  };
  for (const folder of SOURCE_FOLDERS) await visit(`${folder}/`);
  return found;
}

function tokens(cell: string): string[] {
  return [...cell.matchAll(TOKEN)].map(([, token]) => token!);
}

/** Every key with those inside of lists, as in `listeners.port`. */
function* settingKeys(schema: z.ZodType, key = ""): Iterable<string> {
  if (key !== "") yield key;
  const element = childOf(schema, 0);
  const inside = element === null ? schema : element;
  if (unwrap(inside).type === unwrap(schema).type || element !== null) {
    for (const name of keysOf(inside)) {
      const child = childOf(inside, name);
      if (child !== null) yield* settingKeys(child, key === "" ? name : `${key}.${name}`);
    }
  }
}
const settings = new Set(settingKeys(configSchema));

function program(): Command {
  const made = new Command("veredus");
  registerCommands(
    made,
    { version: "", defaultConfigFile: "", defaultData: "" } as Parameters<typeof registerCommands>[1],
  );
  return made;
}
const veredus = program();

/** `account set --password` is a command and an option of it. */
function isCommand(text: string): boolean {
  let at = veredus;
  for (const word of text.split(" ")) {
    if (word.startsWith("--")) {
      if (!at.options.some(({ long }) => long === word)) return false;
      continue;
    }
    const next = at.commands.find((one) => one.name() === word);
    if (next === undefined) return false;
    at = next;
  }
  return at !== veredus && at.commands.length === 0;
}

function saysInSource(text: string): boolean {
  const openings = [`"${text}`, `\`${text}`];
  return [...sources.values()].some((source) => openings.some((one) => source.includes(one)));
}

/** Everything that `check` does not find, with its row. */
function missing(column: keyof Row, found: (token: string) => boolean): string[] {
  return rows.flatMap((row) =>
    tokens(row[column]).filter((token) => !found(token)).map((token) => `${row.feature}: ${token}`)
  );
}

async function loadMetrics(): Promise<void> {
  for (const [path, text] of sources) {
    if (/\b(?:counter|gauge|histogram|level)\((?:\n|\s)*"veredus_/.test(text)) {
      await import(new URL(path, ROOT).href);
    }
  }
}

Deno.test("features.md: no cell is empty, and there are enough rows to be the whole", () => {
  assert.ok(rows.length > 85, String(rows.length));
  const empty = rows.flatMap((row) =>
    COLUMNS.slice(1).filter((column) =>
      column !== "manual" && tokens(row[column]).length === 0 && !IN_WORDS.test(row[column])
    )
      .map((column) => `${row.feature}: ${column}`)
  );
  assert.deepEqual(empty, []);
  assert.equal(new Set(rows.map(({ feature }) => feature)).size, rows.length, "a feature stands there once");
});

Deno.test("features.md: each limit is a setting, an option of a command or a constant of the source", () => {
  const isConstant = (name: string) =>
    /^[A-Z][A-Z0-9_]+$/.test(name) &&
    [...sources.values()].some((text) => new RegExp(`\\bconst ${name}\\b`).test(text));
  assert.deepEqual(
    missing("limit", (token) => settings.has(token) || isConstant(token) || isCommand(token)),
    [],
  );
});

Deno.test("features.md: each metric is in the registry, with these labels", async () => {
  await loadMetrics();
  const known = (token: string) => {
    const [, name = "", labels = ""] = /^(\w+)(?:\{([\w,]*)\})?$/.exec(token) ?? [];
    const metric = registry.getSingleMetric(`veredus_${name}`) as unknown as
      | { labelNames: string[] }
      | undefined;
    return metric !== undefined &&
      labels.split(",").every((label) => label === "" || metric.labelNames.includes(label));
  };
  assert.deepEqual(missing("metric", known), []);
});

Deno.test("features.md: each line of the log is written by the source", () => {
  assert.deepEqual(missing("log", saysInSource), []);
});

Deno.test("features.md: each call is in the description of the API", async () => {
  const h = await Harness.open();
  try {
    const { paths } = (await h.get("/openapi.json")).body as {
      paths: Record<string, Record<string, unknown>>;
    };
    const known = (token: string) => {
      const [method = "", path = ""] = token.split(" ");
      return paths[`/api/v1${path}`]?.[method.toLowerCase()] !== undefined;
    };
    assert.deepEqual(missing("call", known), []);
  } finally {
    await h.close();
  }
});

Deno.test("features.md: each command is one", () => {
  assert.deepEqual(missing("command", isCommand), []);
});

/** A section of a page, up to the next heading; null where there is none of this name. */
async function section(file: string, anchor: string): Promise<string | null> {
  const text = await Deno.readTextFile(new URL(`docs/${file}`, ROOT));
  for (const part of text.split(/^(?=#+ )/m)) {
    const title = /^#+ (.+)$/m.exec(part)?.[1] ?? "";
    if (title.toLowerCase().replace(/[^\w\s-]/g, "").replace(/\s/g, "-") === anchor) return part;
  }
  return null;
}

/** What a description of the feature has to name one of: its settings and options, its check, extension or mechanism. */
function namesOf({ feature, limit, command }: Row): string[] {
  const keys = tokens(limit).filter((token) => settings.has(token)).flatMap((
    key,
  ) => [key, key.split(".").at(-1)!]);
  const options = [...tokens(limit), ...tokens(command)].flatMap((token) =>
    token.includes(" ") ? [token, token.split(" ").at(-1)!] : []
  );
  const words = feature.match(/`[^`]+`|\b[A-Z][A-Z0-9-]{2,}\b|\b[a-z]{5,}/g) ?? [];
  return [...keys, ...options, ...words.map((word) => word.replaceAll("`", ""))];
}

Deno.test("features.md: each section that is named is there, and speaks of the feature", async () => {
  const wrong: string[] = [];
  for (const row of rows) {
    const [, file = "", anchor = ""] = /^\[[^\]]+\]\(([\w.-]+)#([\w-]+)\)$/.exec(row.manual) ?? [];
    const text = file === "" ? null : await section(file, anchor);
    if (text === null) wrong.push(`${row.feature}: ${row.manual}`);
    else if (!namesOf(row).some((name) => text.includes(name))) {
      wrong.push(`${row.feature}: not in ${row.manual}`);
    }
  }
  assert.deepEqual(wrong, []);
});

Deno.test("features.md: each test exists", async () => {
  const wrong: string[] = [];
  for (const { feature, test } of rows) {
    let source = "";
    for (const [, path, name] of test.matchAll(/`([^`]+)`|"([^"]+)"/g)) {
      if (path !== undefined) {
        const url = new URL(`test/${path}`, ROOT);
        const stat = await Deno.stat(url).catch(() => null);
        if (stat === null) wrong.push(`${feature}: ${path}`);
        source = stat?.isFile ? await Deno.readTextFile(url) : "";
      } else if (!source.includes(name!.split("...")[0]!.trim())) wrong.push(`${feature}: "${name}"`);
    }
  }
  assert.deepEqual(wrong, []);
});

Deno.test("features.md: each extension, mechanism and check has a row", () => {
  const names = rows.map(({ feature }) => feature);
  const words = new Set(names.flatMap((name) => name.split(/[\s,:;()`]+/)));
  const all = new SessionMechanisms(SMTP_MECHANISMS, {
    scram: () => () => {
      throw new Error("nobody logs in here");
    },
    bearer: () => true,
    certificate: () => true,
  });
  const options = {
    out: new Out(),
    hostName: "mx.example.test",
    service: "mx" as const,
    tlsActive: false,
    plainLoginAllowed: true,
    startTlsAvailable: true,
    mechanisms: all,
    bareLineEnds: "refuse" as const,
    limits: DEFAULT_LIMITS,
    offers: { futureRelease: { maxSeconds: 60, now: () => 0 }, maxPriority: 4, etrn: true, xclient: true },
    observer: { replied() {}, limited() {} },
  };
  const offered = [false, true].flatMap((tlsActive) =>
    ehloReply(options, { tlsActive, loggedIn: false }).split("\r\n").slice(1, -1).map((line) =>
      line.slice(4).split(" ")[0]!
    )
  );
  assert.ok(offered.includes("REQUIRETLS") && offered.includes("XCLIENT") && offered.includes("AUTH"));
  assert.deepEqual([...new Set(offered), ...all.keys()].filter((name) => !words.has(name)), []);
  assert.deepEqual(CHECKS.filter((check) => !names.some((name) => name.includes(`\`${check}\``))), []);
});

/** Of other protocols, or told in places of their own. */
const ELSEWHERE = /^limits\.(?:imap_|idle_timeout)|^listeners\.literals/;
const RECEIVING =
  /^(?:smtp|limits|listeners|bans|quarantine|trace|copies|filter\.checks|commands|hooks|auth)\.|^filter\.(?:tarpit|administrator)|_networks$/;
/** Names of things, and what is described where the feature is. */
const NAMES =
  /\.(?:name|check|url|command|token_file|client_id|client_secret_file|kind|issuer)$|\.zones\.|^auth\.oauth$/;

Deno.test("features.md: each setting of the receiving side has a row", () => {
  const named = new Set(rows.flatMap(({ limit }) => tokens(limit)));
  const left = [...settings].filter((key) => RECEIVING.test(key) && !ELSEWHERE.test(key) && !NAMES.test(key));
  assert.ok(left.length > 60, String(left.length));
  assert.deepEqual(left.filter((key) => !named.has(key)), []);
});

const OF_RECEIVING =
  /^veredus_(?:smtp_(?!sessions|faults)|recipient|messages_received|mail_refused|submissions|connections|tls_|logins|proxy|foreign|accept|filter|bans|dnsbl|quota_|copies|agent_|etrn|scans|content|quarantine|sender_|trace_|call_ahead|suppressed|administrator_notices|spam_verdicts|reception)/;

Deno.test("features.md: each metric of the receiving side has a row", async () => {
  await loadMetrics();
  const named = new Set(
    rows.flatMap(({ metric }) => tokens(metric)).map((token) => `veredus_${token.split("{")[0]}`),
  );
  const known = registry.getMetricsAsArray().map(({ name }) => name).filter((name) =>
    OF_RECEIVING.test(name)
  );
  assert.ok(known.length > 35, String(known.length));
  assert.deepEqual(known.filter((name) => !named.has(name)), []);
});

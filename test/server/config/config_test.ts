import assert from "node:assert/strict";
import { parse } from "yaml";
import { type Config, frontEnds } from "../../../server/config/config.ts";
import { DEFAULT_CONFIG } from "../../../server/config/defaults.ts";
import { exampleConfig } from "../../../server/config/example.ts";
import { ConfigError, formatFault, nearest } from "../../../server/config/faults.ts";
import { parseConfig } from "../../../server/config/load.ts";
import { formatDuration, formatSize, parseDuration, parseSize } from "../../../server/config/units.ts";

const FILE = "/etc/veredus/veredus.yaml";

function faults(text: string): string[] {
  try {
    parseConfig(text, FILE);
  } catch (error) {
    if (error instanceof ConfigError) return error.faults.map(formatFault);
    throw error;
  }
  return [];
}

Deno.test("a file with the host name alone is the default configuration", () => {
  const config = parseConfig("hostname: MX.Example.ORG.\n", FILE);
  const expected: Config = {
    ...DEFAULT_CONFIG,
    hostname: "mx.example.org",
    data: "/etc/veredus/veredus-data",
  };
  assert.deepEqual(config, expected);
});

Deno.test("the example is valid and changes nothing but the host name", () => {
  const config = parseConfig(exampleConfig(), FILE);
  assert.deepEqual(config, parseConfig("hostname: mail.example.org\n", FILE));
});

Deno.test("the example with every comment that is a key uncommented is valid, too", () => {
  let list = false;
  const text = exampleConfig().split("\n").map((line) => {
    if (line === "") list = false;
    if (/^# (relay|certificates):$/.test(line)) list = true;
    if (list || /^\s*# (user|trusted_networks|capture_outbound|servers|areas): /.test(line)) {
      return line.replace("# ", "");
    }
    return line;
  }).join("\n");
  const config = parseConfig(text, FILE);
  assert.equal(config.relay[0]?.hops[0]?.host, "smtp.example.net");
  assert.equal(config.certificates.length, 1);
  assert.equal(config.logging.areas.smtp, "debug");
  assert.equal(config.captureOutbound, "outside@example.org");
});

Deno.test("every key of the schema stands in the example with words of its own", () => {
  const example = exampleConfig();
  for (const key of ["hostname", "plain_login", "connections_per_address", "first_retry", "password_file"]) {
    assert.match(example, new RegExp(`${key}`));
  }
  assert.doesNotMatch(example, /undefined|# $/m);
  assert.equal(typeof parse(example), "object");
});

Deno.test("faults name file, line, column, key, value, what is allowed and the nearest key", () => {
  const cases: [string, string[]][] = [
    ["limits:\n  recipients: 100\n", [
      `${FILE}:1:1: hostname: missing; it must be a domain name, as in example.org`,
    ]],
    ["hostname: a.example\nlimits:\n  recipents: 100\n", [
      `${FILE}:3:3: limits.recipents: unknown key; did you mean "recipients"?`,
    ]],
    ["hostname: a.example\nlimits:\n  recipients: 5\n", [
      `${FILE}:3:3: limits.recipients: 5: must be a whole number from 100 to 100000`,
    ]],
    ["hostname: a.example\nlimits: { message_size: 50 pounds }\n", [
      `${FILE}:2:11: limits.message_size: "50 pounds": must be a size from 64 kB to 2 GB, as in "50 MB", "64 KiB"`,
    ]],
    ["hostname: a.example\nimap:\n  sharing: everybody\n  other_users: a/b\n", [
      `${FILE}:3:3: imap.sharing: "everybody": must be one of off, domain, server`,
      `${FILE}:4:3: imap.other_users: "a/b": must be a name of one level without / * %, or "" for none`,
    ]],
    ["hostname: a.example\nimap: { other_users: Same, shared_folders: Same }\n", [
      `${FILE}:2:28: imap.shared_folders: "Same": must be another name than other_users`,
    ]],
    ["hostname: a.example\nqueue:\n  lifetime: 5\n", [
      `${FILE}:3:3: queue.lifetime: 5: must be a duration from 1s to 30d, as in "90s", "5m", "1h 30m"`,
    ]],
    ["hostname: a.example\nlisteners:\n  - protocol: smpt\n", [
      `${FILE}:3:5: listeners[0].protocol: "smpt": must be one of smtp, submission, submissions, lmtp, imap, imaps, ` +
      `pop3, pop3s, managesieve, http, https`,
    ]],
    ["hostname: a.example\nlisteners:\n  - { protocol: imap, adress: '*' }\n", [
      `${FILE}:3:23: listeners[0].adress: unknown key; did you mean "address"?`,
    ]],
    ["hostname: a.example\nlisteners:\n  - { protocol: imap, tls: full }\n", [
      `${FILE}:3:23: listeners[0].tls: "full": must be tls: full is for submissions, imaps and pop3s; STARTTLS ` +
      `always has SNI and several certificates`,
    ]],
    ["hostname: a.example\nlisteners:\n  - { protocol: imap, plain_login: maybe }\n", [
      `${FILE}:3:23: listeners[0].plain_login: "maybe": must be true or false`,
    ]],
    ["hostname: a.example\nlisteners: imap\n", [`${FILE}:2:1: listeners: "imap": must be a list`]],
    [
      "hostname: a.example\nlisteners:\n  - { protocol: imap }\n  - { protocol: pop3, port: 143, address: 127.0.0.1 }\n",
      [
        `${FILE}:4:5: listeners[1]: {"protocol":"pop3","port":143,"address":"127.0.0.1"}: port 143 is taken by listeners[0]`,
      ],
    ],
    ["hostname: a.example\nthreads: many\n", [
      `${FILE}:2:1: threads: "many": must be "auto", or a whole number from 0 to 256`,
    ]],
    ["hostname: a.example\nlogging:\n  areas: { smpt: debug }\n", [
      `${FILE}:3:12: logging.areas.smpt: unknown key; did you mean "smtp"?`,
    ]],
    ["hostname: a.example\ntrusted_networks: [10.0.0.0/33]\n", [
      `${FILE}:2:20: trusted_networks[0]: "10.0.0.0/33": must be a network, as in 192.0.2.0/24 or 2001:db8::/32`,
    ]],
    ["hostname: a.example\nrelay:\n  - { next_hop: example.org }\n", [
      `${FILE}:3:7: relay[0].next_hop: "example.org": must be HOST:PORT, as in smtp.example.org:587 or ` +
      `[2001:db8::1]:25, or unix:/PATH (lmtp)`,
    ]],
    ["hostname: a.example\nrelay:\n  - { next_hop: 'h:25', username: me }\n", [
      `${FILE}:3:5: relay[0]: {"next_hop":"h:25","username":"me"}: username needs a password_file`,
      `${FILE}:3:5: relay[0]: {"next_hop":"h:25","username":"me"}: a password is only sent with tls: required or implicit`,
    ]],
    ["hostname: [unclosed\n", [
      `${FILE}:2:1: Flow sequence in block collection must be sufficiently indented and end with a ]`,
    ]],
    ["hostname: a.example\nhostname: b.example\n", [`${FILE}:2:1: Map keys must be unique`]],
    ["- a\n", [`${FILE}:1:1: must be a block of keys`]],
  ];
  for (const [text, expected] of cases) assert.deepEqual(faults(text), expected, text);
});

Deno.test("durations and sizes", () => {
  const durations: [string, number | null][] = [
    ["5m", 300_000],
    ["1h 30m", 5_400_000],
    ["1h30m", 5_400_000],
    ["250ms", 250],
    ["1.5s", 1_500],
    ["2w", 1_209_600_000],
    ["0", 0],
    ["5", null],
    ["m", null],
    ["5 y", null],
    ["", null],
    ["-5m", null],
  ];
  for (const [text, ms] of durations) assert.equal(parseDuration(text), ms, text);
  const sizes: [string, number | null][] = [
    ["50 MB", 50_000_000],
    ["64KiB", 65_536],
    ["1.5 GB", 1_500_000_000],
    ["4096", 4_096],
    ["12 B", 12],
    ["12 apples", null],
    ["MB", null],
    ["-1", null],
  ];
  for (const [text, octets] of sizes) assert.equal(parseSize(text), octets, text);
  for (const ms of [0, 1, 1_500, 60_000, 5_400_000, 432_000_000, 604_800_000]) {
    assert.equal(parseDuration(formatDuration(ms)), ms);
  }
  for (const octets of [0, 1, 1_000, 2_048, 65_536, 50_000_000, 1_073_741_824]) {
    assert.equal(parseSize(formatSize(octets)), octets);
  }
});

Deno.test("the nearest known word", () => {
  const known = ["listeners", "limits", "logging", "hostname", "queue"];
  const cases: [string, string | null][] = [
    ["listener", "listeners"],
    ["lisetners", "listeners"],
    ["host-name", "hostname"],
    ["Hostname", "hostname"],
    ["loging", "logging"],
    ["zebra", null],
  ];
  for (const [word, expected] of cases) assert.equal(nearest(word, known), expected, word);
});

Deno.test("scanners and content: what their keys may be, and what they are by themselves", () => {
  const check = (keys: string) => `hostname: a.example\nfilter:\n  checks:\n    - { ${keys} }\n`;
  const wrong: [string, RegExp][] = [
    ["check: clamd", /checks\[0\]\.at: .*unix:\/PATH or HOST:PORT/],
    ["check: spamd, at: 'http://x/'", /checks\[0\]\.at: .*unix:\/PATH or HOST:PORT/],
    ["check: icap, at: '127.0.0.1:1344'", /an address as in icap:\/\/127\.0\.0\.1:1344\/virus_scan/],
    ["check: rspamd, at: '127.0.0.1:11333'", /an address that begins with http:\/\/ or https:\/\//],
    [
      "check: clamd, at: 'h:1', on_failure: reject",
      /continue or defer: a scanner that is dead refuses no mail/,
    ],
    [
      'check: list, patterns: ["(a)\\\\1"]',
      /checks\[0\]\.patterns\[0\]: .*a regular expression as RE2 has them/,
    ],
    ["check: content, action: accept", /checks\[0\]\.action: .*quarantine, reject, strip or tag/],
    ["check: content, macros: discard", /must be one of continue, tag, quarantine, reject/],
    ["check: content, inflated: 5 GB", /a size from 1 MB to 1 GB/],
  ];
  for (const [keys, expected] of wrong) assert.match(faults(check(keys)).join("\n"), expected, keys);
  const one = (keys: string) => parseConfig(check(keys), FILE).filter.checks[0]!;
  const clamd = one("check: clamd, at: 'unix:/run/clamd.ctl', mark_only: [PUA.]");
  assert.deepEqual([clamd.action, clamd.logins, clamd.stages, clamd.maxOctets, clamd.markOnly], [
    "reject",
    true,
    ["message"],
    25_000_000,
    ["PUA."],
  ]);
  assert.deepEqual([one("check: rspamd, at: 'http://h:1'").action, one("check: spamd, at: 'h:1'").logins], [
    "tag",
    false,
  ]);
  const content = one("check: content, action: quarantine, macros: reject, logins: false");
  assert.deepEqual([content.findings.executable, content.findings.macros, content.logins], [
    "quarantine",
    "reject",
    false,
  ]);
  assert.match(
    faults("hostname: a.example\nquarantine: { url: 'https://x/y' }\n").join(),
    /as in https:\/\/mail\.example\.org/,
  );
});

Deno.test("attached files are searched where an index is kept, within bounds", () => {
  const check = (keys: string) => `hostname: a.example\nsearch: { ${keys} }\n`;
  assert.match(faults(check("index: false, attachments: true")).join(), /search\.index must be true/);
  assert.match(faults(check("attachment_time: 0s")).join(), /search\.attachment_time: .*from 1s to 10m/);
  assert.match(faults(check("attachment_text: 1")).join(), /a whole number from 1000 to 500000/);
  const { search } = parseConfig(check("attachments: true, attachment_size: 5 MB"), FILE);
  assert.deepEqual([search.attachments, search.attachmentOctets], [true, 5_000_000]);
  assert.equal(DEFAULT_CONFIG.search.attachments, false);
});

Deno.test("threads: auto leaves a core to the writer", () => {
  assert.equal(frontEnds("auto", 1), 1);
  assert.equal(frontEnds("auto", 2), 1);
  assert.equal(frontEnds("auto", 8), 7);
  assert.equal(frontEnds(0, 8), 0);
});

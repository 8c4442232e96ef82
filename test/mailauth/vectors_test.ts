/** The public DKIM messages and keys (dkimpy's), and the table of the public suffix list. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { run } from "../../bytes/steps.ts";
import { canonicalName } from "../../dns/name.ts";
import { parseKey } from "../../mailauth/dkim_key.ts";
import { DkimVerifier } from "../../mailauth/dkim_verify.ts";
import { listedDomain } from "../../mailauth/org_domain.ts";
import { octetsOf } from "../delivery/reception_bed.ts";
import { MockResolver, txt } from "../lib/mock_resolver.ts";

const VECTORS = fileURLToPath(new URL("../../../shared/vectors/", import.meta.url));
const exists = await Deno.stat(VECTORS).then(() => true, () => false);
if (!exists) console.log("the public vectors are skipped: ../shared/vectors is not there");

const NOW = Date.UTC(2026, 10, 30);
const read = async (name: string) => (await Deno.readTextFile(`${VECTORS}dkim/${name}`)).trim();
const key = (text: string) => [txt(text)];
/** 20120113._domainkey.gmail.com as it was: in the suite's source, not in a file. */
const GMAIL =
  "k=rsa; p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA1Kd87/UeJjenpabgbFwh+eBCsSTrqmwIYYvywlbhbqoo2DymndFkbjOVIPIldNs/" +
  "m40KF+yzMn1skyoxcTUGCQs8g3FgD2Ap3ZB5DekAo5wMmk4wimDO+U8QzI3SD07y2+07wlNWwIt8svnxgdxGkVbbhzY8i+RQ9DpSVpPbF7ykQxtKXkv/" +
  "ahW3KjViiAH+ghvvIhkx4xYSIc9oSwVmAl5OctMEeWUwg8Istjqz8BZeTWbf41fbNhte7Y+YqZOwq1Sd0DbvYAD9NOZK9vlfuac0598HY+vtSBczUiKE" +
  "RHv1yRbcaQtZFh5wtiRrN04BLUTD21MycBX5jYchHjPY/wIDAQAB";

Deno.test({
  name: "the public DKIM messages: results by signature",
  ignore: !exists,
  fn: async () => {
    const resolver = new MockResolver({
      "test._domainkey.football.example.com TXT": key(await read("test.txt")),
      "brisbane._domainkey.football.example.com TXT": key(
        "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
      ),
      "test._domainkey.legitimate.com(.attacker.com TXT": key(await read("test.txt")),
      "20120113._domainkey.gmail.com TXT": key(GMAIL),
      "sed._domainkey.test.ex TXT": key(await read("eximtest.dns")),
    });
    const cases: Record<string, readonly string[]> = {
      "rfc6376.signed.msg": ["football.example.com pass", "football.example.com pass"],
      "rfc6376.signed.rsa.msg": ["football.example.com pass"],
      "test2.message": ["gmail.com pass"], // ugly folding
      "ed25519test2.msg": ["test.ex pass"],
      "test.message.baddomain": [" permerror"],
      "rfc6376.msg": [],
      "rfc6376.w1258.msg": [],
      "test.message": [],
      "ed25519test.msg": [],
      "test_extra.message": [],
      "test_nofrom.message": [],
      "message.mbox": ["kitterman.com permerror"], // its key is no more
    };
    for (const [name, results] of Object.entries(cases)) {
      const octets = octetsOf(
        new TextDecoder("latin1").decode(await Deno.readFile(`${VECTORS}dkim/${name}`)).replace(
          /\r?\n/g,
          "\r\n",
        ),
      );
      const bodyAt = new TextDecoder("latin1").decode(octets).indexOf("\r\n\r\n") + 4;
      const verifier = new DkimVerifier(octets.subarray(0, bodyAt - 2));
      verifier.write(octets, bodyAt, octets.length);
      const found = await verifier.finish(resolver, NOW);
      assert.deepEqual(
        found.map(({ domain, result }) => `${domain} ${result}`),
        results,
        `${name} ${found.map(({ text }) => text)}`,
      );
    }
  },
});

Deno.test({
  name: "the public DKIM keys: those that can be used, in both forms of RSA, and those that cannot",
  ignore: !exists,
  fn: async () => {
    const cases: Record<string, string> = {
      "test.txt": "rsa 1024",
      "test2.txt": "rsa 1024",
      "1024_testkey_wo_markers.pub.txt": "rsa 1024",
      "1024_testkey_wo_markers.pub.rsa.txt": "rsa 1024",
      "2048_testkey_wo_markers.pub.txt": "rsa 2048",
      "2048_testkey_wo_markers.pub.rsa.txt": "rsa 2048",
      "2048_testkey_PKCS8.key.pub.txt": "rsa 2048",
      "ed25519test.dns": "ed25519 256",
      "eximtest.dns": "ed25519 256",
      "badk.txt": "the key is of an unknown kind",
      "badversion.txt": "unknown version",
      "test_bad.txt": "the key is no RSA key",
      "test_tlsrpt.txt": "the key is not for mail",
    };
    for (const [name, expected] of Object.entries(cases)) {
      const key = parseKey(await read(name));
      assert.equal("key" in key ? `${key.kind} ${key.bits}` : key.text, expected, name);
    }
    const named = new Set(Object.keys(cases));
    const others = [...Deno.readDirSync(`${VECTORS}dkim`)].map(({ name }) => name)
      .filter((name) => /\.(txt|dns)$/.test(name) && name !== "SOURCE.txt" && !named.has(name));
    assert.deepEqual(others, [], "every key is looked at");
  },
});

Deno.test({
  name: "the table of the public suffix list",
  ignore: !exists,
  fn: async () => {
    const table = await Deno.readTextFile(`${VECTORS}psl/tests.txt`);
    let rows = 0;
    for (const line of table.split("\n")) {
      const [asked = "", expected = ""] = line.trim().split(/\s+/);
      if (asked === "" || asked === "null" || asked.startsWith("//")) continue;
      rows++;
      const name = canonicalName(asked);
      // A public suffix is its own organization, which no test of ours tells from others: nobody is above.
      const found = name === null ? null : await run(listedDomain(name));
      assert.equal(found, expected === "null" ? name : canonicalName(expected), asked);
    }
    assert.ok(rows > 70);
  },
});

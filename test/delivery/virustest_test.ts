/** What scanners and the content policy found reaches the scripts of recipients (RFC 5235 3.). */
import assert from "node:assert/strict";
import { Chain } from "../../filter/chain.ts";
import type { Check } from "../../filter/check.ts";
import { scanner } from "../../filter/checks/scanner.ts";
import { type Chains, SessionScreen } from "../../filter/screen.ts";
import type { ScanResult } from "../../filter/scan/result.ts";
import { line, ReceptionBed, STRANGER } from "./reception_bed.ts";

const SCRIPT = `require ["virustest", "relational", "comparator-i;ascii-numeric", "fileinto", "mailbox"];
if virustest :value "eq" :comparator "i;ascii-numeric" "0" { fileinto :create "untested"; }
elsif virustest :value "eq" :comparator "i;ascii-numeric" "1" { fileinto :create "clean"; }
elsif virustest :value "ge" :comparator "i;ascii-numeric" "5" { fileinto :create "virus"; }
elsif virustest :value "ge" :comparator "i;ascii-numeric" "3" { fileinto :create "odd"; }`;

const cases: [string, ScanResult | null][] = [
  ["untested", null],
  ["untested", { kind: "not-scanned", why: "too large" }],
  ["untested", { kind: "wanted" }],
  ["clean", { kind: "clean" }],
  ["odd", { kind: "suspicious", name: "PUA.x" }],
  ["virus", { kind: "infected", name: "Eicar" }],
];

for (const [folder, result] of cases) {
  Deno.test(`virustest: ${result?.kind ?? "no scanner"} is ${folder}`, async () => {
    const check: Check | null = result === null ? null : scanner({
      ...{ name: "clamd", action: "tag", onFailure: "continue", maxOctets: 1_000_000 },
      scan: () => Promise.resolve(result),
      ...{ mayDefer: () => false, isRelay: () => false, now: () => 0 },
    });
    const chain = new Chain(check === null ? [] : [check]);
    const chains: Chains = { strangers: chain, logins: chain };
    await using bed = await ReceptionBed.open({}, {}, { chains });
    const owner = String(bed.account("alice").id);
    await bed.ok(
      { kind: "put-script", scope: "user", owner, name: "main", content: SCRIPT },
      { kind: "activate-script", scope: "user", owner, name: "main" },
    );
    const { data } = await bed.send({
      client: { ...STRANGER, screen: new SessionScreen(chains) },
      to: ["alice@example.test"],
      message: "From: <s@remote.example>\r\n\r\nbody\r\n",
    });
    assert.equal(line(data!), "250 2.6.0");
    assert.equal(bed.stored("alice", folder).length, 1);
  });
}

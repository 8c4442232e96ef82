/** Who may send what to whom, as tables. */
import { NO_MAIL_PARAMETERS } from "../../protocols/smtp/parameters.ts";
import { deepStrictEqual as equal } from "node:assert";
import { mailRefusal, mayRelay } from "../../delivery/policy.ts";
import type { ClientFacts } from "../../delivery/reception.ts";
import { ownsAddress } from "../../delivery/sender.ts";
import { subaddressBases } from "../../delivery/subaddress.ts";
import type { DomainRow } from "../../storage/ops.ts";
import { accountRow } from "../lib/account_row.ts";
import { domainRow } from "../lib/domain_row.ts";
import { line, pathOf, STRANGER } from "./reception_bed.ts";

const ALICE = accountRow({ sendAs: ["news@elsewhere.example"] });
const ALIASES: Record<string, string[]> = {
  "sales@example.test": ["alice@example.test", "bob@example.test"],
  "office@example.test": ["bob@example.test"],
};
const DIRECTORY = {
  address: () => null,
  domain: (name: string): DomainRow | null =>
    name === "example.test" ? domainRow({ name, subaddressSeparators: "+-" }) : null,
  alias: (address: string) => {
    const targets = ALIASES[address];
    return targets === undefined ? null : { address, targets };
  },
};
const FACTS = { directory: DIRECTORY, diskFull: false, messageOctets: 1_000 };

const trusted: ClientFacts = { ...STRANGER, trusted: true };
const anonymous: ClientFacts = { ...STRANGER, service: "submission" };
const anonymousTrusted: ClientFacts = { ...anonymous, trusted: true };
const alice: ClientFacts = { ...anonymous, account: ALICE };
/** A login on port 25, where the listener offers AUTH. */
const aliceOnMx: ClientFacts = { ...STRANGER, account: ALICE };

const MAIL: [name: string, client: ClientFacts, from: string, size: number | null, answer: string][] = [
  ["strangers may use any sender", STRANGER, "x@y.example", null, ""],
  ["strangers may even use one of ours: forwarders do", STRANGER, "alice@example.test", null, ""],
  ["strangers may bounce", STRANGER, "", null, ""],
  ["trusted networks too", trusted, "x@y.example", null, ""],
  ["submission needs a login", anonymous, "alice@example.test", null, "530 5.7.0"],
  ["from trusted networks also", anonymousTrusted, "alice@example.test", null, "530 5.7.0"],
  ["a login has its own address", alice, "alice@example.test", null, ""],
  ["in any case", alice, "ALICE@Example.TEST", null, ""],
  ["its sub-addresses", alice, "alice+shop@example.test", null, ""],
  ["by every separator", alice, "alice-shop@example.test", null, ""],
  ["its aliases", alice, "sales@example.test", null, ""],
  ["sub-addresses of its aliases", alice, "sales+eu@example.test", null, ""],
  ["what was granted", alice, "News@elsewhere.example", null, ""],
  ["the null path", alice, "", null, ""],
  ["but not others' addresses", alice, "bob@example.test", null, "550 5.7.1"],
  ["nor others' aliases", alice, "office@example.test", null, "550 5.7.1"],
  ["nor sub-addresses in other domains", alice, "news+x@elsewhere.example", null, "550 5.7.1"],
  ["nor address literals", alice, "alice@[192.0.2.1]", null, "550 5.7.1"],
  ["the same on port 25", aliceOnMx, "bob@example.test", null, "550 5.7.1"],
  ["announced size at the limit", STRANGER, "x@y.example", 1_000, ""],
  ["and over it", STRANGER, "x@y.example", 1_001, "552 5.3.4"],
];

for (const [name, client, from, size, answer] of MAIL) {
  Deno.test(`MAIL: ${name}`, () => {
    const refusal = mailRefusal(client, {
      reversePath: from === "" ? null : pathOf(from),
      parameters: { ...NO_MAIL_PARAMETERS, size, body: "7BIT" },
    }, FACTS);
    equal(refusal === null ? "" : line(refusal), answer);
  });
}

Deno.test("MAIL: a full disk refuses everybody who may send, and says nothing to others", () => {
  const answer = (client: ClientFacts) =>
    line(
      mailRefusal(client, {
        reversePath: null,
        parameters: { ...NO_MAIL_PARAMETERS, size: null, body: "7BIT" },
      }, {
        ...FACTS,
        diskFull: true,
      })!,
    );
  equal([STRANGER, trusted, alice, anonymous].map(answer), [
    "452 4.3.1",
    "452 4.3.1",
    "452 4.3.1",
    "530 5.7.0",
  ]);
});

Deno.test("RCPT: only logins and trusted networks reach foreign domains", () => {
  const clients = { STRANGER, trusted, anonymous, anonymousTrusted, alice, aliceOnMx };
  equal(Object.entries(clients).map(([name, client]) => [name, mayRelay(client)]), [
    ["STRANGER", false],
    ["trusted", true],
    ["anonymous", false],
    ["anonymousTrusted", false],
    ["alice", true],
    ["aliceOnMx", true],
  ]);
});

Deno.test("sub-addresses: the longest base first, never an empty one", () => {
  const bases = (address: string, separators: string) => subaddressBases(address, separators);
  equal(bases("mary-jane-list@a.test", "-"), ["mary-jane@a.test", "mary@a.test"]);
  equal(bases("a+b-c@a.test", "+-"), ["a+b@a.test", "a@a.test"]);
  equal(bases("+x@a.test", "+"), []);
  equal(bases("a+b@a.test", ""), []);
  equal(bases('"a+b c"@a.test', "+"), []);
});

Deno.test("what is no address belongs to nobody", () => {
  for (
    const address of ["", "alice", "alice@", "@example.test", "alice@example.test,x@y", "a b@example.test"]
  ) {
    equal(ownsAddress(DIRECTORY, ALICE, address), false, address);
  }
});

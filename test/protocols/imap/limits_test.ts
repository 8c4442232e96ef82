/** Limits of the grammar: one more than each is refused with its number, and what is at the limit is taken. */
import assert from "node:assert/strict";
import { WHOLE } from "../../lib/transcript.ts";
import { parse, replay } from "./transcript.ts";

/** Repeats `item` with its number for `#`. */
function many(count: number, item: string, separator = " "): string {
  return Array.from({ length: count }, (_, at) => item.replace("#", String(at + 1))).join(separator);
}

/** What a client that selected a mailbox is told for the command; null when it is well formed. */
function refusal(command: string): string | null {
  const before =
    "C: a LOGIN u p\n? credentials\n! LOGGED-IN\nC: b SELECT INBOX\n? SELECT\n! SELECTED OK Done\n";
  const { lines } = replay(parse(`${before}C: x ${command}\n? event\n! OK Done\n`), WHOLE);
  const last = lines.at(-1)!;
  return last.startsWith("S: x OK ") ? null : last.replace(/^S: x /, "").replace(/ at octet \d+$/, "");
}

const LIMITS: readonly (readonly [(count: number) => string, number, string])[] = [
  [(count) => `FETCH ${many(count, "1", ",")} FLAGS`, 20_000, "at most 20000 ranges"],
  [(count) => `FETCH 1 (${many(count, "FLAGS")})`, 100, "at most 100 items"],
  [(count) => `FETCH 1 BODY[${many(count, "1", ".")}]`, 100, "at most 100 part numbers"],
  [(count) => `FETCH 1 BINARY[${many(count, "1", ".")}]`, 100, "at most 100 part numbers"],
  [(count) => `STORE 1 FLAGS ${many(count, "f#")}`, 64, "at most 64 flags"],
  [(count) => `STORE 1 FLAGS (${many(count, "f#")})`, 64, "at most 64 items"],
  [(count) => `STORE 1 FLAGS ${"f".repeat(count)}`, 100, "a flag of at most 100 octets"],
  [(count) => `SEARCH ${many(count, "SEEN")}`, 1_000, "at most 1000 search keys"],
  [(count) => `SEARCH ${"(".repeat(count)}SEEN${")".repeat(count)}`, 50, "at most 50 levels of search keys"],
  [(count) => `ESEARCH IN (${many(count, "personal")}) SEEN`, 100, "at most 100 mailbox filters"],
  [(count) => `CANCELUPDATE ${many(count, '"a#"')}`, 100, "at most 100 tags"],
  [(count) => `LIST ${"r".repeat(count)} *`, 1_024, "a reference of at most 1024 characters"],
  [(count) => `LIST "" ${"p".repeat(count)}`, 1_024, "a pattern of at most 1024 characters"],
  [
    (count) => `LIST "" (${many(8, "p".repeat(1_000))} ${"p".repeat(count)})`,
    192,
    "patterns of at most 8192 characters together",
  ],
  [(count) => `SEARCH SUBJECT ${"s".repeat(count)}`, 1_024, "a text of at most 1024 octets to look for"],
  [(count) => `NOTIFY SET ${many(count, "(personal NONE)")}`, 100, "at most 100 event groups"],
  [(count) => `ENABLE ${many(count, "x#")}`, 64, "at most 64 capabilities"],
  [(count) => `ID (${many(count, '"n#" "v"')})`, 30, "at most 30 parameters"],
  [(count) => `ID ("${"n".repeat(count)}" "v")`, 30, "a parameter name of at most 30 octets"],
  [(count) => `ID ("n" "${"v".repeat(count)}")`, 1_024, "a value of at most 1024 octets"],
];

for (const [command, limit, expected] of LIMITS) {
  Deno.test(`${command(1)}: ${expected}`, () => {
    assert.equal(refusal(command(limit)), null);
    assert.equal(refusal(command(limit + 1)), `BAD Expected ${expected}`);
  });
}

/** A seeded part of the fuzz run; `deno task fuzz` runs it for long. */
import { fuzzDns } from "../fuzz/dns_fuzz.ts";

Deno.test("mutated messages are read or refused, and what was read can be written", () => {
  fuzzDns(1, 10_000);
});

/** A seeded part of the fuzz run; `deno task fuzz` runs it for long. */
import { fuzzImap } from "../../fuzz/imap_fuzz.ts";

Deno.test("mutated command streams neither throw nor depend on the cut", () => {
  fuzzImap(1, 10_000);
});

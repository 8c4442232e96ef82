/** A seeded part of the fuzz run; `deno task fuzz` runs it for long. */
import { fuzzSmtp } from "../../fuzz/smtp_fuzz.ts";

Deno.test("mutated SMTP streams neither throw nor depend on the cut", () => {
  fuzzSmtp(1, 2_000);
});

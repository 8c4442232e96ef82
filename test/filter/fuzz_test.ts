/** A seeded small part of fuzzing what looks at messages, into attachments and at replies of scanners. */
import { fuzzArchive, fuzzContent } from "../fuzz/content_fuzz.ts";
import { fuzzScan } from "../fuzz/scan_fuzz.ts";
import { fuzzKnowledge, fuzzSpam } from "../fuzz/spam_fuzz.ts";

Deno.test("mutated attachments do no harm", () => fuzzContent(1, 2_000));
Deno.test("mutated archives do no harm", () => fuzzArchive(1, 500));
Deno.test("mutated replies of scanners do no harm", () => fuzzScan(1, 5_000));
Deno.test("mutated messages do the spam filter no harm", () => fuzzSpam(1, 300));
Deno.test("mutated knowledge of the learner is refused, or read as it was written", () =>
  fuzzKnowledge(1, 5_000));

/** A seeded small part of fuzzing the sending machine. */
import { fuzzReplies } from "../../fuzz/reply_fuzz.ts";

Deno.test("mutated sessions of another server do no harm", () => fuzzReplies(1, 3_000));

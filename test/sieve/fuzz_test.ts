/** A seeded small part of fuzzing scripts and ManageSieve. */
import { fuzzManageSieve, fuzzSieve } from "../fuzz/sieve_fuzz.ts";

Deno.test("mutated scripts do no harm", () => fuzzSieve(1, 2_000));
Deno.test("mutated ManageSieve sessions do no harm", () => fuzzManageSieve(1, 2_000));

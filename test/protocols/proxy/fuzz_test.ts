import { fuzzProxy } from "../../fuzz/proxy_fuzz.ts";

Deno.test("mutated PROXY headers neither throw nor depend on the cut", () => fuzzProxy(1, 5_000));

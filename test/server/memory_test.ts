import assert from "node:assert/strict";
import { libc } from "../../server/libc.ts";
import { keepMemorySmall, processMemory } from "../../server/process/memory.ts";

Deno.test("memory is given back once behind work, and not without", async () => {
  let usedMs = 100;
  let looks = 0;
  const given: number[] = [];
  const memory = {
    usedMs: () => {
      looks++;
      return usedMs;
    },
    giveBack: () => void given.push(usedMs),
  };
  const until = async (condition: () => boolean) => {
    while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1));
  };
  const keeper = keepMemorySmall(memory, 1)!;
  try {
    await until(() => given.length === 1); // the start
    const before = looks;
    usedMs += 20;
    await until(() => looks >= before + 5);
    assert.deepEqual(given, [100]);
    usedMs += 40;
    await until(() => given.length === 2);
    assert.deepEqual(given, [100, 160]);
  } finally {
    keeper.close();
  }
  const after = looks;
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(looks, after);
});

Deno.test("where there is no way to give memory back nothing looks", () => {
  assert.equal(keepMemorySmall(null), null);
});

Deno.test({
  name: "what was freed is not resident any more",
  ignore: libc === null,
  fn() {
    const MEGABYTES = 64;
    // Other tests of this process take and give back memory meanwhile: one of some tries is alone.
    const less: number[] = [];
    while (less.length < 10 && !less.some((megabytes) => megabytes > MEGABYTES / 2)) {
      less.push(givenBack(MEGABYTES));
    }
    assert.ok(less.at(-1)! > MEGABYTES / 2, `${less} MB`);
  },
});

/** Takes memory, frees it, has it given back: by how many megabytes the process has become smaller. */
function givenBack(megabytes: number): number {
  const library = Deno.dlopen("libc.so.6", {
    malloc: { parameters: ["usize"], result: "pointer" },
    free: { parameters: ["pointer"], result: "void" },
  });
  const { malloc, free } = library.symbols;
  // Pieces that the C library does not map one by one; the last one stays, or it would give back the rest by itself.
  const octets = 64 * 1024;
  const pieces = Array.from({ length: megabytes * 16 }, () => malloc(BigInt(octets))!);
  for (const piece of pieces) new Uint8Array(Deno.UnsafePointerView.getArrayBuffer(piece, octets)).fill(1);
  const last = pieces.pop()!;
  for (const piece of pieces) free(piece);
  const before = Deno.memoryUsage().rss;
  processMemory()!.giveBack();
  const less = (before - Deno.memoryUsage().rss) / 1024 / 1024;
  free(last);
  library.close();
  return less;
}

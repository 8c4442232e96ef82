/** The table of octets that threads share: bounded, never wrong, never waited for. */
import assert from "node:assert/strict";
import { SharedTable } from "../../dns/shared_table.ts";

const octets = (text: string) => new TextEncoder().encode(text);
const text = (value: { octets: Uint8Array } | null) => value && new TextDecoder().decode(value.octets);

Deno.test("what one puts in the others get, as a copy", () => {
  const buffer = SharedTable.buffer(64 * 1024, 7);
  const [one, other] = [new SharedTable(buffer), new SharedTable(buffer)];
  assert.equal(other.get("a 1"), null);
  const value = octets("hello");
  one.put("a 1", { octets: value, expires: 12.5 }, 1);
  value.fill(0);
  const found = other.get("a 1")!;
  assert.deepEqual([text(found), found.expires], ["hello", 12.5]);
  found.octets.fill(0);
  assert.equal(text(one.get("a 1")), "hello");
  one.put("a 1", { octets: octets("again"), expires: 13 }, 1);
  assert.equal(text(other.get("a 1")), "again");
  one.put("", { octets: new Uint8Array(0), expires: 1 }, 1);
  assert.equal(text(other.get("")), "");
});

Deno.test("the oldest go first, and what is found is always what was put", () => {
  const size = 256 * 1024, buffer = SharedTable.buffer(size, 7), table = new SharedTable(buffer);
  assert.equal(buffer.byteLength, size);
  const COUNT = 20_000;
  for (let at = 0; at < COUNT; at++) {
    table.put(`name${at} 1`, { octets: octets(`${at} ${"x".repeat(at % 300)}`), expires: at }, 1);
  }
  const found: number[] = [];
  for (let at = 0; at < COUNT; at++) {
    const value = table.get(`name${at} 1`);
    if (value === null) continue;
    assert.equal(text(value), `${at} ${"x".repeat(at % 300)}`);
    assert.equal(value.expires, at);
    found.push(at);
  }
  assert.ok(found.length > 300, `${found.length} are left`);
  assert.ok(found[0]! > COUNT - size / 24, "what is left is new");
  assert.ok(found.includes(COUNT - 1));
});

Deno.test("what is too large for it is left out", () => {
  const table = new SharedTable(SharedTable.buffer(64 * 1024, 7));
  table.put("small", { octets: octets("x"), expires: 1 }, 1);
  table.put("large", { octets: new Uint8Array(5_000), expires: 1 }, 1);
  table.put("k".repeat(3_000), { octets: octets("x"), expires: 1 }, 1);
  assert.deepEqual([table.get("large"), text(table.get("small"))], [null, "x"]);
});

Deno.test("every octet of the memory may change at any time: a miss, never another value", () => {
  const buffer = SharedTable.buffer(16_384, 7),
    table = new SharedTable(buffer),
    bytes = new Uint8Array(buffer);
  let seed = 3;
  const random = (below: number) => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor(seed / 2 ** 32 * below);
  };
  let hits = 0;
  for (let round = 0; round < 20_000; round++) {
    const name = `n${random(20)}`;
    if (random(3) === 0) table.put(name, { octets: octets(`value of ${name}`), expires: 5 }, 1);
    // The seed of the checksums and the lock stay, as no thread writes to them.
    if (random(3) === 0) bytes[16 + random(bytes.length - 16)] = random(256);
    const found = table.get(`n${random(20)}`);
    if (found !== null) {
      assert.match(text(found)!, /^value of n\d+$/);
      hits++;
    }
  }
  assert.ok(hits > 1_000);
});

Deno.test("a thread that died while it wrote is not waited for", () => {
  const buffer = SharedTable.buffer(16_384, 7), table = new SharedTable(buffer);
  new Int32Array(buffer)[0] = 5_000; // the lock, since then
  table.put("a", { octets: octets("x"), expires: 1 }, 5_500);
  assert.equal(table.get("a"), null);
  table.put("a", { octets: octets("x"), expires: 1 }, 6_001);
  assert.equal(text(table.get("a")), "x");
  assert.equal(new Int32Array(buffer)[0], 0);
});

Deno.test("threads that write and read at once see whole values", async () => {
  const buffer = SharedTable.buffer(64 * 1024, 7);
  const source = `
    import { SharedTable } from ${JSON.stringify(new URL("../../dns/shared_table.ts", import.meta.url).href)};
    self.onmessage = ({ data: { buffer, seed } }) => {
      const table = new SharedTable(buffer);
      let state = seed, hits = 0;
      const random = (below) => {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        return Math.floor(state / 2 ** 32 * below);
      };
      for (let round = 0; round < 30_000; round++) {
        const key = "k" + random(50);
        const length = random(400);
        if (random(2) === 0) table.put(key, { octets: new Uint8Array(length + 1).fill(length & 255), expires: length }, 1);
        const found = table.get("k" + random(50));
        if (found === null) continue;
        hits++;
        if (found.octets.length !== found.expires + 1 || found.octets.some((octet) => octet !== (found.expires & 255))) {
          return self.postMessage("a torn value");
        }
      }
      self.postMessage(hits);
    };`;
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  const workers = [1, 2, 3].map((seed) => {
    const worker = new Worker(url, { type: "module" });
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = (event) => {
      event.preventDefault();
      reject(new Error(event.message));
    };
    worker.postMessage({ buffer, seed });
    return { worker, promise };
  });
  try {
    for (const { promise } of workers) {
      const hits = await promise;
      assert.ok(typeof hits === "number" && hits > 1_000, String(hits));
    }
  } finally {
    for (const { worker } of workers) worker.terminate();
    URL.revokeObjectURL(url);
  }
});

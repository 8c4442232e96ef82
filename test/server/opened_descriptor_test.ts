import assert from "node:assert/strict";
import { descriptorOf, NO_DESCRIPTOR } from "../../server/descriptor.ts";
import { libc } from "../../server/libc.ts";
import { openedDescriptor } from "../../server/opened_descriptor.ts";

const MSG_DONTWAIT = 0x40;

async function openAndAccept(listener: Deno.TcpListener): Promise<[Deno.TcpConn, Deno.TcpConn]> {
  const { hostname, port } = listener.addr;
  return await Promise.all([Deno.connect({ hostname, port }), listener.accept()]);
}

for (const hostname of ["127.0.0.1", "::1"]) {
  Deno.test(`connections opened to ${hostname} have the descriptor that is found for them`, async () => {
    const listener = Deno.listen({ hostname, port: 0 });
    const pairs: [Deno.TcpConn, Deno.TcpConn][] = [];
    for (let n = 0; n < 20; n++) pairs.push(await openAndAccept(listener));
    // In the place of those that are gone others come, between them and not behind them.
    for (const end of pairs.splice(3, 5).flat()) end.close();
    for (let n = 0; n < 5; n++) pairs.push(await openAndAccept(listener));
    const found = pairs.map(([opened]) => openedDescriptor(opened));
    assert.equal(new Set(found).size, pairs.length);
    for (const [at, [, accepted]] of pairs.entries()) {
      assert.notEqual(found[at], NO_DESCRIPTOR);
      assert.notEqual(found[at], descriptorOf(accepted), "that of the other end");
      const sent = libc!.send(found[at]!, new Uint8Array([at]), 1n, MSG_DONTWAIT);
      assert.equal(Number(sent), 1);
      const into = new Uint8Array(8);
      assert.equal(await accepted.read(into), 1);
      assert.equal(into[0], at, "it leads to its own peer");
    }
    for (const end of pairs.flat()) end.close();
    listener.close();
  });
}

Deno.test("also where thousands of descriptors are open", async () => {
  const files = Array.from({ length: 3_000 }, () => Deno.openSync("/dev/null"));
  try {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const [opened, accepted] = await openAndAccept(listener);
    const found = openedDescriptor(opened);
    assert.notEqual(found, NO_DESCRIPTOR);
    assert.equal(Number(libc!.send(found, new Uint8Array([7]), 1n, MSG_DONTWAIT)), 1);
    const into = new Uint8Array(8);
    assert.equal(await accepted.read(into), 1);
    for (const end of [opened, accepted, listener]) end.close();
  } finally {
    for (const file of files) file.close();
  }
});

Deno.test("also where thousands before it were closed in between", async () => {
  const files = Array.from({ length: 3_000 }, () => Deno.openSync("/dev/null"));
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const [opened, accepted] = await openAndAccept(listener);
  for (const file of files) file.close();
  // One below them all is the last that was found.
  const [low, itsEnd] = await openAndAccept(listener);
  assert.notEqual(openedDescriptor(low), NO_DESCRIPTOR);
  const found = openedDescriptor(opened);
  assert.notEqual(found, NO_DESCRIPTOR);
  assert.equal(Number(libc!.send(found, new Uint8Array([8]), 1n, MSG_DONTWAIT)), 1);
  const into = new Uint8Array(8);
  assert.equal(await accepted.read(into), 1);
  for (const end of [opened, accepted, low, itsEnd, listener]) end.close();
});

Deno.test("a connection that is closed has no descriptor", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const [opened, accepted] = await openAndAccept(listener);
  opened.close();
  assert.equal(openedDescriptor(opened), NO_DESCRIPTOR);
  accepted.close();
  listener.close();
});

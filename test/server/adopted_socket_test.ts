import assert from "node:assert/strict";
import { once } from "node:events";
import { adopt } from "../../server/adopted_socket.ts";
import { closeQuietly } from "../../server/socket_writer.ts";

async function connected(): Promise<{ near: Deno.TcpConn; far: Deno.TcpConn }> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const [near, far] = await Promise.all([
    listener.accept(),
    Deno.connect({ hostname: "127.0.0.1", port: listener.addr.port }),
  ]);
  listener.close();
  return { near, far };
}

function text(octets: Uint8Array): string {
  return new TextDecoder().decode(octets);
}

Deno.test("an adopted connection begins with what was read before; its end closes the connection", async () => {
  const { near, far } = await connected();
  await far.write(new TextEncoder().encode("first second"));
  const early = new Uint8Array(6);
  await near.read(early);
  const socket = adopt(near, early);
  assert(socket !== null, "this runtime tells no descriptor: TLS falls back to the slower stream");
  const all = Promise.withResolvers<void>();
  let received = "";
  socket.on("data", (octets: Uint8Array) => {
    received += text(octets);
    if (received.length >= 12) all.resolve();
  });
  await all.promise;
  assert.equal(received, "first second");
  socket.write("answer");
  const answer = new Uint8Array(20);
  assert.equal(text(answer.subarray(0, (await far.read(answer))!)), "answer");
  const ended = once(socket, "close");
  socket.destroy();
  await ended;
  assert.throws(() => near.close(), Deno.errors.BadResource);
  assert.equal(await far.read(answer), null);
  far.close();
});

Deno.test("closing the connection ends the socket that adopted it", async () => {
  const { near, far } = await connected();
  const socket = adopt(near, new Uint8Array(0));
  assert(socket !== null);
  socket.resume();
  const ended = once(socket, "close");
  closeQuietly(near);
  await ended;
  assert.equal(await far.read(new Uint8Array(1)), null);
  far.close();
});

Deno.test("what is not the runtime's own connection is not adopted", () => {
  assert.equal(adopt({} as Deno.Conn, new Uint8Array(0)), null);
});

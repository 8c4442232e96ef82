import assert from "node:assert/strict";
import { makeSelfSigned } from "../../server/certificate.ts";
import { DenoTransport } from "../../server/deno_transport.ts";
import { setListenOptions } from "../../server/listen_options.ts";

/** A client without Nagle's delay of its own, so that only the server's can show. */
async function connect(port: number, certificatePem: string): Promise<Deno.TlsConn> {
  const conn = await Deno.connect({ hostname: "127.0.0.1", port });
  conn.setNoDelay(true);
  return await Deno.startTls(conn, { hostname: "localhost", caCerts: [certificatePem] });
}

Deno.test({
  name: "connections accepted from a compact TLS listener do not wait for delayed acknowledgements",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const { certificatePem, keyPem } = await makeSelfSigned({ names: ["localhost"], now: Date.now() });
    const listener = Deno.listenTls({ hostname: "127.0.0.1", port: 0, cert: certificatePem, key: keyPem });
    const port = (listener.addr as Deno.NetAddr).port;
    assert.deepEqual(setListenOptions([port]), new Map());
    const times: number[] = [];
    for (let round = 0; round < 8; round++) {
      const begin = performance.now();
      const [server, client] = await Promise.all([
        listener.accept().then(async (conn) => {
          const transport = DenoTransport.compactTls(conn);
          assert.notEqual(transport.tls, null);
          await transport.write(new TextEncoder().encode("220 hello\r\n"));
          return transport;
        }),
        connect(port, certificatePem),
      ]);
      assert.equal(await client.read(new Uint8Array(100)), 11);
      times.push(performance.now() - begin);
      client.close();
      server.close();
    }
    listener.close();
    // 42 ms each without the option; the quickest decides because the machine may be busy.
    assert.ok(Math.min(...times) < 30, times.join(" "));
  },
});

Deno.test("a port nobody listens on is a reason, not an error", () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  listener.close();
  assert.match(setListenOptions([port]).get(port) ?? "", /listen|not on/);
});

Deno.test({
  name: "accepted connections have the keepalive of the listening socket",
  ignore: Deno.build.os !== "linux",
  async fn() {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr as Deno.NetAddr;
    assert.deepEqual(setListenOptions([port]), new Map());
    using client = await Deno.connect({ hostname: "127.0.0.1", port });
    using _accepted = await listener.accept();
    const clientPort = (client.localAddr as Deno.NetAddr).port;
    const hex = (value: number) => value.toString(16).toUpperCase().padStart(4, "0");
    const line = Deno.readTextFileSync("/proc/self/net/tcp").split("\n")
      .find((text) => new RegExp(`:${hex(port)} [0-9A-F]{8}:${hex(clientPort)} 01 `).test(text));
    // "tr:tm->when" of the server's end: timer 02 is keepalive, and its time (in 1/100 s) is ours, not two hours.
    const [, timer, when] = / (\d\d):([0-9A-F]{8}) /.exec(line ?? "") ?? [];
    assert.equal(timer, "02", line);
    assert.ok(parseInt(when!, 16) <= 60 * 100, line);
  },
});

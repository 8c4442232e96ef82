/** Maildrop locks through the whole server: over front ends, lost connections and a front end that dies. */
import assert from "node:assert/strict";
import { inBothShapes, PASSWORD, RunningServer } from "../lib/running_server.ts";
import { until } from "../lib/program.ts";
import { Wire } from "../lib/wire.ts";

async function connect(server: RunningServer): Promise<Wire> {
  const wire = await Wire.connect(server.port("pop3"));
  assert.match(await wire.line(), /^\+OK /);
  await wire.write("USER alice@example.test\r\n");
  assert.match(await wire.line(), /^\+OK /);
  return wire;
}

async function login(wire: Wire): Promise<string> {
  await wire.write(`PASS ${PASSWORD}\r\n`);
  return await wire.line();
}

inBothShapes("a maildrop has one session at a time, whichever front end serves it", async (start) => {
  await using server = await start();
  // Enough connections that with two front ends both have some.
  const wires = await Promise.all(Array.from({ length: 8 }, () => connect(server)));
  const holders: Wire[] = [];
  const logins = wires.map(async (wire) => {
    assert.match(await login(wire), /^\+OK /);
    holders.push(wire);
  });
  for (let served = 0; served < wires.length; served++) {
    await until("the next login", () => holders.length > served, 5_000);
    await new Promise((resolve) => setTimeout(resolve, 200));
    assert.equal(holders.length, served + 1, "one more than may be");
    const holder = holders[served]!;
    // Half of them say goodbye, the others hang up.
    if (served % 2 === 0) await holder.write("QUIT\r\n");
    holder.close();
  }
  await Promise.all(logins);
});

Deno.test("the maildrops that a dead front end had locked are free again", async () => {
  await using server = await RunningServer.start({
    threads: 2,
    entries: { frontend: new URL("./mortal_frontend.ts", import.meta.url) },
  });
  const holder = await connect(server);
  assert.match(await login(holder), /^\+OK /);
  const channel = new BroadcastChannel("veredus-test-front-end-death");
  channel.postMessage("now");
  await assert.rejects(holder.line());
  channel.close();
  holder.close();
  let reply = "";
  await until("a front end that serves again", async () => {
    try {
      const wire = await connect(server);
      reply = await login(wire);
      wire.close();
      return true;
    } catch {
      return false; // the new front end is not there yet
    }
  }, 10_000);
  assert.match(reply, /^\+OK /);
  assert.deepEqual(server.fatal, []);
});

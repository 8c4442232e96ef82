/** Checks, hooks, bans, quarantine and traces in the running server, in both shapes. */
import assert from "node:assert/strict";
import { parseConfig } from "../../server/config/load.ts";
import type { Config } from "../../server/config/config.ts";
import { openStore } from "../../storage/open_store.ts";
import { findTraces } from "../../storage/trace_log.ts";
import { processTree } from "../../bench/memory.ts";
import { until } from "../lib/program.ts";
import { inBothShapes, type RunningServer } from "../lib/running_server.ts";
import { SmtpClient } from "../lib/smtp_client.ts";
import { Wire } from "../lib/wire.ts";

const ALICE = "alice@example.test";
const MESSAGE =
  "From: x@elsewhere.test\r\nSubject: hello\r\nMessage-ID: <one@elsewhere.test>\r\n\r\nbody\r\n";

function configured(yaml: string): Partial<Config> {
  const { filter, bans } = parseConfig(`hostname: mx.example.test\n${yaml}`, "/veredus.yaml");
  return { filter, bans };
}

/** Events of the newest message about somebody, once they are written. */
async function life(server: RunningServer, about: string): Promise<Record<string, unknown>[]> {
  let events: Record<string, unknown>[] = [];
  await until("it is there", async () => {
    const [found] = await findTraces(server.server.folder.trace, { about, limit: 1 });
    events = (found ?? []) as unknown as Record<string, unknown>[];
    return events.length > 0;
  }, 30_000);
  return events;
}

inBothShapes("an HTTP hook refuses, tags and fails as it is told, and the trace knows it", async (start) => {
  const asked: Record<string, unknown>[] = [];
  const patience = Promise.withResolvers<void>();
  const hook = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    const facts = await request.json();
    asked.push(facts);
    if (facts.sender === "bad@elsewhere.test") {
      const reply = { code: 554, enhanced: "5.7.9", text: "not\r\n250 you" };
      return Response.json({ action: "reject", reason: "on my list", reply });
    }
    if (facts.sender === "broken@elsewhere.test") return new Response("what?");
    if (facts.sender === "down@elsewhere.test") return new Response("{}", { status: 503 });
    if (facts.sender === "slow@elsewhere.test") await patience.promise;
    return Response.json({ action: "tag", reason: "seen" });
  });
  await using server = await start({
    config: configured(
      `filter: { checks: [{ check: http, at: "http://127.0.0.1:${hook.addr.port}/", stages: [message], timeout: 1s, on_failure: defer }] }`,
    ),
  });
  const client = await server.smtp();
  const refused = await client.send("bad@elsewhere.test", [ALICE], MESSAGE);
  assert.deepEqual([refused.code, refused.lines], [554, ["5.7.9 not?250 you"]]);
  for (const name of ["broken", "down"]) {
    assert.equal((await client.send(`${name}@elsewhere.test`, [ALICE], MESSAGE)).code, 451, name);
  }
  // Its time-out, not the hook's patience.
  assert.equal((await client.send("slow@elsewhere.test", [ALICE], MESSAGE)).code, 451);
  patience.resolve();
  assert.equal((await client.send("x@elsewhere.test", [ALICE], MESSAGE)).code, 250);
  await client.quit();
  assert.match(
    (asked[0]!.message as { header: string }).header,
    /^From: x@elsewhere\.test\r\nSubject: hello/,
  );
  const [stored = ""] = await server.inbox();
  assert.match(stored, /X-Veredus-Verdict: deliver;\r\n\thttp=tag \(seen\)\r\nReceived: /);
  const [event] = await life(server, "x@elsewhere.test");
  assert.equal(event!.event, "accepted");
  assert.deepEqual(event!.checks, [{ check: "http", stage: "message", action: "tag", reason: "seen" }]);
  assert.equal((await life(server, "<one@elsewhere.test>"))[0]!.client, "127.0.0.1");
  await hook.shutdown();
});

inBothShapes(
  "an HTTP hook is asked at each stage, and its refusal is heard where it belongs",
  async (start) => {
    const STAGES = ["connect", "ehlo", "mail", "rcpt", "data", "message"] as const;
    let refuseAt = "";
    const asked: Record<string, unknown>[] = [];
    const hook = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
      assert.equal(request.headers.get("content-type"), "application/json");
      const facts = await request.json();
      asked.push(facts);
      return Response.json(
        facts.stage === refuseAt ? { action: "reject", reason: `at ${refuseAt}` } : { action: "continue" },
      );
    });
    await using server = await start({
      config: configured(
        `filter: { checks: [{ check: http, at: "http://127.0.0.1:${hook.addr.port}/", stages: [${STAGES}], timeout: 20s }] }`,
      ),
    });
    for (const stage of ["", ...STAGES]) {
      refuseAt = stage;
      asked.length = 0;
      const client = await server.smtp();
      await client.command("EHLO hooked.example", 250);
      await client.command("MAIL FROM:<x@elsewhere.test>", 250);
      const heard = [(await client.command(`RCPT TO:<${ALICE}>`)).code];
      if (heard[0] === 250) heard.push((await client.command("DATA")).code);
      if (heard[1] === 354) heard.push((await client.command(`${MESSAGE}.`)).code);
      const expected = stage === ""
        ? [250, 354, 250]
        : stage === "message"
        ? [250, 354, 550]
        : stage === "data"
        ? [250, 550]
        : [550];
      assert.deepEqual(heard, expected, `refused at ${stage}`);
      if (stage === "") {
        // Connection and EHLO are asked about while the client goes on: their questions may overtake each other.
        assert.deepEqual(new Set(asked.map((facts) => facts.stage)), new Set(STAGES));
        assert.deepEqual(asked.slice(-4).map((facts) => facts.stage), ["mail", "rcpt", "data", "message"]);
        const last = asked.at(-1)!;
        assert.deepEqual([last.sender, last.recipients, (last.client as { heloName: string }).heloName], [
          "x@elsewhere.test",
          [ALICE],
          "hooked.example",
        ]);
        assert.equal(asked.find((facts) => facts.stage === "rcpt")!.recipient, ALICE);
      }
      await client.quit();
    }
    // Who has not said anything yet is asked about already.
    asked.length = 0;
    const silent = await Wire.connect(server.port("smtp"));
    await silent.line();
    await until("the hook is asked", () => asked.length > 0 ? true : null);
    assert.deepEqual(asked.map((facts) => facts.stage), ["connect"]);
    silent.close();
    await hook.shutdown();
  },
);

inBothShapes("who speaks for another by XCLIENT is not asked about in its place", async (start) => {
  const asked: string[] = [];
  const hook = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    const { stage, client } = await request.json();
    asked.push(`${stage} ${client.address}`);
    return Response.json({ action: client.address === "192.0.2.9" ? "reject" : "continue" });
  });
  const filter =
    `filter: { checks: [{ check: http, at: "http://127.0.0.1:${hook.addr.port}/", stages: [connect, ehlo], timeout: 20s }] }`;
  await using server = await start({
    config: { ...configured(filter), xclientNetworks: ["127.0.0.0/8"] },
  });
  const client = await server.smtp();
  for (const [address, answer] of [["192.0.2.9", 550], ["192.0.2.10", 250]] as const) {
    await client.command(`XCLIENT ADDR=${address}`, 220);
    await client.command("EHLO client.example", 250);
    await client.command("MAIL FROM:<x@elsewhere.test>", 250);
    await client.command(`RCPT TO:<${ALICE}>`, answer);
    for (const stage of ["connect", "ehlo"]) assert.ok(asked.includes(`${stage} ${address}`), asked.join());
    await client.command("RSET", 250);
  }
  await client.quit();
  await hook.shutdown();
});

/** Those that run policy files for this file's servers. */
function policyProcesses(): number[] {
  return processTree(Deno.pid).filter((pid) => {
    try {
      return Deno.readTextFileSync(`/proc/${pid}/cmdline`).includes("process/policy.ts");
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return false; // it has ended
      throw error;
    }
  });
}

inBothShapes("a policy file decides without permissions; one that hangs is started again", async (start) => {
  const file = await Deno.makeTempFile({ suffix: ".ts" });
  await Deno.writeTextFile(
    file,
    `export default async ({ sender }: { sender: string }) => {
      if (sender === "loop@elsewhere.test") for (;;);
      if (sender !== "spy@elsewhere.test") return { action: "continue" };
      try {
        await Deno.readTextFile("/etc/hostname");
        return { action: "continue" };
      } catch {
        return { action: "reject", reason: "it cannot read" };
      }
    };`,
  );
  const server = await start({
    config: configured(
      `filter: { checks: [{ check: script, at: ${file}, stages: [mail], timeout: 6s, on_failure: defer }] }`,
    ),
  });
  const client = await server.smtp();
  assert.equal((await client.send("x@elsewhere.test", [ALICE], MESSAGE)).code, 250);
  const before = policyProcesses();
  await client.command("MAIL FROM:<spy@elsewhere.test>", 250);
  await client.command(`RCPT TO:<${ALICE}>`, 550);
  await client.command("RSET", 250);
  await client.command("MAIL FROM:<loop@elsewhere.test>", 250);
  await client.command(`RCPT TO:<${ALICE}>`, 451);
  await client.command("RSET", 250);
  await until("it is there", async () => {
    await client.command("MAIL FROM:<x@elsewhere.test>", 250);
    const { code } = await client.command(`RCPT TO:<${ALICE}>`);
    await client.command("RSET", 250);
    return code === 250;
  });
  await client.quit();
  const after = policyProcesses();
  assert.equal(before.filter((pid) => !after.includes(pid)).length, 1, "the one that hung is gone");
  await server.stop();
  assert.deepEqual(policyProcesses(), []);
  await Deno.remove(file);
});

inBothShapes(
  "a policy file reaches nothing: no files, network, environment, programs, libraries",
  async (start) => {
    const file = await Deno.makeTempFile({ suffix: ".ts" });
    const written = `${file}.written`;
    const open = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = open.addr as Deno.NetAddr;
    await Deno.writeTextFile(
      file,
      `const ways: Record<string, () => unknown> = {
      read: () => Deno.readTextFile("/etc/passwd"),
      "node-read": async () => (await import("node:fs")).readFileSync("/etc/passwd"),
      write: () => Deno.writeTextFile(${JSON.stringify(written)}, "x"),
      connect: () => Deno.connect({ hostname: "127.0.0.1", port: ${port} }),
      fetch: () => fetch("http://127.0.0.1:${port}/"),
      listen: () => Deno.listen({ port: 0 }),
      env: () => Deno.env.get("HOME"),
      run: () => new Deno.Command("/bin/true").output(),
      kill: () => Deno.kill(1, "SIGCONT"),
      sys: () => Deno.hostname(),
      ffi: () => Deno.dlopen("libc.so.6", {}),
      "import": () => import("file:///etc/passwd", { with: { type: "json" } }),
      more: () => Deno.permissions.request({ name: "read" }).then(({ state }) => {
        if (state !== "granted") throw new Error(state);
      }),
    };
    export default async () => {
      const worked: string[] = [];
      for (const [name, way] of Object.entries(ways)) {
        try {
          await way();
          worked.push(name);
        } catch (error) {
          // Refused, and not for want of a file or a name.
          if (!/NotCapable|permission|access|prompt|denied/i.test(String(error))) worked.push(name + ": " + error);
        }
      }
      return { action: "tag", reason: "worked: " + worked.join(", ") };
    };`,
    );
    await using server = await start({
      config: configured(
        `filter: { checks: [{ check: script, at: ${file}, stages: [message], timeout: 20s, on_failure: reject }] }`,
      ),
    });
    const client = await server.smtp();
    assert.equal((await client.send("x@elsewhere.test", [ALICE], MESSAGE)).code, 250);
    await client.quit();
    assert.match((await server.inbox())[0]!, /script=tag _?\(worked: \)/);
    await assert.rejects(Deno.stat(written), Deno.errors.NotFound);
    open.close();
    await Deno.remove(file);
  },
);

inBothShapes("who speaks before the greeting is refused, who waits is not", async (start) => {
  await using server = await start({
    config: configured("filter: { checks: [{ check: early-talker, action: reject, delay: 1s }] }"),
  });
  const early = await Wire.connect(server.port("smtp"));
  await early.write("EHLO client.example\r\n");
  let line = await early.line();
  assert.match(line, /^220 /);
  while (!/^250 /.test(line)) line = await early.line();
  await early.write("MAIL FROM:<x@elsewhere.test>\r\n");
  assert.match(await early.line(), /^250 /);
  await early.write(`RCPT TO:<${ALICE}>\r\n`);
  assert.match(await early.line(), /^550 5\.5\.1 /);
  early.close();
  const patient = await server.smtp();
  assert.equal((await patient.send("x@elsewhere.test", [ALICE], MESSAGE)).code, 250);
  await patient.quit();
});

inBothShapes(
  "wrong passwords ban an address from every protocol, over a restart, until it is lifted",
  async (start) => {
    const config = configured("bans: { offences: 3, allow: [] }");
    const server = await start({ config });
    const wrong = async (password: string) => {
      const wire = await Wire.connect(server.port("pop3"));
      if ((await wire.line()).startsWith("+OK")) {
        await wire.write("USER alice@example.test\r\n");
        await wire.line();
        await wire.write(`PASS ${password}\r\n`);
        await wire.line();
      }
      wire.close();
    };
    const banned = async (running: RunningServer) => {
      const wire = await Wire.connect(running.port("smtp"));
      const line = await wire.line();
      wire.close();
      return line.startsWith("421");
    };
    for (let at = 0; at < 4; at++) await wrong("the old one");
    assert.equal(await banned(server), false, "the same password counts once");
    for (let at = 0; at < 4; at++) await wrong(`guess ${at}`);
    assert.equal(await banned(server), true);
    await server.stop({ keep: true });
    const again = await start({ config, data: server.data });
    assert.equal(await banned(again), true);
    const store = openStore({ folder: again.server.folder, writer: again.server.writer });
    const bans = again.server.bans(store);
    assert.deepEqual(bans.list({ after: "", limit: 5 }).map(({ address, reason }) => [address, reason]), [
      ["127.0.0.1", "login"],
    ]);
    assert.equal(await bans.lift("127.0.0.1"), true);
    assert.equal(await banned(again), false);
    await store.close();
    await again.stop();
  },
);

inBothShapes("guessing users bans too, and a login clears what stood against its address", async (start) => {
  await using server = await start({ config: configured("bans: { offences: 3, allow: [] }") });
  const probe = async (times: number) => {
    const client = await server.smtp();
    await client.command("MAIL FROM:<x@elsewhere.test>", 250);
    for (let at = 0; at < times; at++) await client.command(`RCPT TO:<nobody${at}@example.test>`, 550);
    client.close();
  };
  await probe(5);
  (await server.submission()).close();
  await probe(5);
  const wire = await Wire.connect(server.port("imap"));
  assert.match(await wire.line(), /^\* OK/);
  wire.close();
  await probe(2);
  await assert.rejects(SmtpClient.connect(server.port("smtp")), /421/);
});

inBothShapes(
  "a message that is set aside is delivered when it is let go",
  async (start) => {
    await using server = await start({
      config: configured("filter: { checks: [{ check: list, action: quarantine, domains: [odd.test] }] }"),
    });
    const client = await server.smtp();
    assert.equal((await client.send("x@odd.test", [ALICE], MESSAGE)).code, 250);
    await client.quit();
    const store = openStore({ folder: server.server.folder, writer: server.server.writer });
    const [row] = store.quarantine.list({}, { after: 0, limit: 5 });
    assert.deepEqual([row!.recipient, row!.reason], [ALICE, "list: domain odd.test"]);
    assert.deepEqual(await server.inbox(), []);
    await store.write({
      kind: "quarantine-control",
      action: "release",
      recipientIds: [row!.recipientId],
      at: Date.now(),
      expiresAt: Date.now() + 1_000_000,
    });
    await until("the message is released", async () => (await server.inbox()).length === 1);
    assert.match((await server.inbox())[0]!, /X-Veredus-Verdict: quarantine;/);
    await store.close();
    const events = await life(server, "x@odd.test");
    assert.deepEqual(events[0]!.disposition, "quarantine");
  },
);

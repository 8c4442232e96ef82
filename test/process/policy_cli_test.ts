/** `veredus trace`, `veredus quarantine` and `veredus ban` on a server that runs, and without one. */
import assert from "node:assert/strict";
import { FakeSmtpServer } from "../lib/fake_smtp_server.ts";
import { until } from "../lib/program.ts";
import { freeOffset } from "../lib/ports.ts";
import { TestStore } from "../lib/test_store.ts";
import { SmtpClient } from "../lib/smtp_client.ts";
import { Shell } from "./shell.ts";
import { startLocal, withFolder } from "./veredus.ts";

interface Event {
  readonly event: string;
  readonly [key: string]: unknown;
}

Deno.test("trace shows the life of a message: its session, its answer, each attempt with the peer's words", () =>
  withFolder(async (data) => {
    let rcpts = 0;
    await using peer = new FakeSmtpServer({
      script: (line) => {
        if (line.startsWith("RCPT TO:<y@")) return "550 5.1.1 nobody of that name";
        return line.startsWith("RCPT") && ++rcpts === 1 ? "451 4.7.1 come back later" : null;
      },
    });
    const offset = freeOffset();
    const server = await startLocal(data, offset, ["--relay", `127.0.0.1:${peer.port}`]);
    const shell = new Shell(data);
    const client = await SmtpClient.connect(587 + offset);
    await client.authPlain("alice@example.test", "secret");
    const message =
      "From: alice@example.test\r\nSubject: life\r\nMessage-ID: <life@example.test>\r\n\r\nbody\r\n";
    const sent = await client.send("alice@example.test", ["x@a.test", "y@b.test"], message);
    assert.equal(sent.code, 250);
    const id = sent.lines[0]!.split(" ")[1]!;
    client.wire.close();
    const life = async (about: string): Promise<Event[]> => {
      const { items } = await shell.json(`trace ${about}`) as { items: { trace: string; events: Event[] }[] };
      assert.ok(items.every(({ trace }) => trace === id || trace !== ""));
      return items.find(({ trace }) => trace === id)?.events ?? [];
    };
    const attempts = (events: Event[]) => events.filter(({ event }) => event === "attempt");
    await until("the first attempts", async () => attempts(await life(id)).length >= 2 || null);
    await shell.ok("queue retry --recipient x@a.test");
    await until("the last attempt", async () => attempts(await life(id)).length >= 3 || null);
    const [accepted, ...rest] = await life(id);
    assert.deepEqual(
      [
        accepted!.event,
        accepted!.service,
        accepted!.login,
        accepted!.from,
        accepted!.messageId,
        accepted!.queued,
      ],
      ["accepted", "submission", "alice@example.test", "alice@example.test", "<life@example.test>", 2],
    );
    assert.match(String(accepted!.reply), new RegExp(`^250 2\\.6\\.0 ${id} `));
    assert.ok(accepted!.session && accepted!.client === "127.0.0.1" && accepted!.helo);
    const told = rest.map(({ to, outcome, reply }) => `${to} ${outcome} ${reply}`);
    assert.ok(
      told.some((line) => /^y@b\.test \S+ .*550 5\.1\.1 nobody of that name/.test(line)),
      told.join("\n"),
    );
    const x = told.filter((line) => line.startsWith("x@a.test"));
    assert.match(x[0]!, /451 4\.7\.1 come back later/);
    assert.match(x[1]!, / delivered .*250/);
    assert.ok(rest.every(({ remote }) => String(remote).includes("127.0.0.1")), JSON.stringify(rest));
    // The same by Message-ID and by the address of any recipient; as text for people.
    for (const about of ["<life@example.test>", "life@example.test", "Y@b.test"]) {
      assert.deepEqual(await life(about), [accepted, ...rest], about);
    }
    const text = await shell.ok(`trace ${id}`);
    assert.match(text, new RegExp(`^${id}\n +\\S+ \\S+ accepted .*login=alice@example\\.test`));
    assert.match(text, /attempt .*reply=.*451 4\.7\.1 come back later/);
    assert.equal((await shell.json("trace alice@example.test --limit 1")).items.length, 1);
    assert.match(await shell.ok("trace nobody@nowhere.test"), /nothing is known about nobody@nowhere\.test/);
    assert.equal((await server.stop()).code, 0);
    assert.match((await shell.fails(`trace ${id}`))[1], /only a running server knows/);
  }));

Deno.test("bans are made, listed and lifted, and outlive the server", () =>
  withFolder(async (data) => {
    const offset = freeOffset();
    const server = await startLocal(data, offset);
    const shell = new Shell(data);
    assert.match(await shell.ok("ban list"), /^nobody is banned/);
    assert.match(await shell.ok("ban add 192.0.2.9 --minutes 5"), /^192\.0\.2\.9 is banned until /);
    await shell.ok("ban add 2001:db8:1:2::7");
    const listed = await shell.json("ban list") as {
      address: string;
      reason: string;
      since: string;
      until: string;
    }[];
    assert.deepEqual(listed.map(({ address, reason }) => [address, reason]), [
      ["192.0.2.9", "operator"],
      ["2001:db8:1:2::/64", "operator"],
    ]);
    const minutes = listed.map(({ since, until: end }) => (Date.parse(end) - Date.parse(since)) / 60_000);
    assert.deepEqual(minutes, [5, 60]);
    assert.match(await shell.ok("ban list"), /^ADDRESS +SINCE +UNTIL +TIMES +REASON\n192\.0\.2\.9 /);
    assert.match((await shell.fails("ban add 127.0.0.1"))[1], /never banned/);
    assert.match((await shell.fails("ban add everybody"))[1], /IP address/);
    assert.match((await shell.fails("ban lift 192.0.2.1"))[1], /192\.0\.2\.1 is not banned/);
    await shell.ok("ban lift 2001:db8:1:2::/64");
    assert.equal((await server.stop()).code, 0);
    // It is in the data, not in memory alone.
    const again = await startLocal(data, offset);
    assert.deepEqual((await shell.json("ban list")).map(({ address }: { address: string }) => address), [
      "192.0.2.9",
    ]);
    await shell.ok("ban lift 192.0.2.9");
    assert.match(await shell.ok("memory list greylist"), /^nothing is remembered/);
    assert.match(
      (await shell.fails("memory forget sent ann@example.test 20000"))[1],
      /nothing of ann@example\.test 20000/,
    );
    assert.match((await shell.fails("memory list bans"))[1], /greylist/);
    assert.match(await shell.ok("ban list"), /^nobody is banned/);
    assert.equal((await again.stop()).code, 0);
    assert.match((await shell.fails("ban list"))[1], /only a running server knows/);
  }));

Deno.test("quarantine: listed, shown as text, let go and removed by the command line", () =>
  withFolder(async (data) => {
    const shell = new Shell(data);
    await shell.ok("domain add example.org");
    await shell.ok("account add ann@example.org --no-password");
    assert.match(await shell.ok("quarantine list"), /the quarantine is empty/);
    const store = await TestStore.open({ path: data });
    const content = await store.content("Subject: odd\r\n\r\nSend \x1b[31mmoney\r\n");
    await store.ok({
      ...{ kind: "deliver", content: { ...content, subject: "odd" }, targets: [] },
      queue: {
        ...{ sender: "eve@remote.example", accountId: null, envelopeId: "", ret: "", eightBit: false },
        ...{ smtputf8: false, createdAt: 0, expiresAt: 1 },
        quarantine: { reason: "list: looks odd", dangerous: false, expiresAt: 4e12 },
        recipients: ["ann@example.org", "bob@example.org"].map((recipient) => ({
          ...{ recipient, destination: "local:held", notify: "", originalRecipient: "" },
        })),
      },
    });
    await store.close({ keep: true });
    const rows = await shell.json("quarantine list --recipient ann@example.org");
    assert.deepEqual(rows.map(({ reason }: { reason: string }) => reason), ["list: looks odd"]);
    const shown = await shell.ok(`quarantine show ${rows[0].id}`);
    assert.match(shown, /subject: odd\n\nSend \[31mmoney/);
    assert.match(await shell.ok(`quarantine release ${rows[0].id} --train`), /^1 recipients let go/);
    assert.match((await shell.fails(`quarantine show ${rows[0].id}`))[1], /may be done/);
    const [left] = await shell.json("quarantine list");
    assert.match(
      await shell.ok(`quarantine remove ${left.messageId} --messages --yes`),
      /^1 recipients removed/,
    );
    assert.equal((await shell.json("queue list")).length, 1);
    assert.match((await shell.fails("quarantine release what"))[1], /is not an id/);
  }));

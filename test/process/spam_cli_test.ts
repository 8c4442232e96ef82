/** `veredus spam`, and mail of a login that is held: by the command line on a server that runs. */
import assert from "node:assert/strict";
import { FakeSmtpServer } from "../lib/fake_smtp_server.ts";
import { freeOffset } from "../lib/ports.ts";
import { until } from "../lib/program.ts";
import { SmtpClient } from "../lib/smtp_client.ts";
import { Shell } from "./shell.ts";
import { Running, veredus, withFolder } from "./veredus.ts";

const ALICE = "alice@example.test";
const UNWANTED =
  `From: ${ALICE}\r\nTo: far@outside.test\r\nSubject: MAKE MONEY FAST!!! $500        8472\r\n` +
  "Content-Type: text/html\r\n\r\n<html><body>Dear friend, click here: " +
  '<a href="http://198.51.100.7/">www.bank.test</a> absolutely free, act now, no obligation. To be removed from our list ' +
  "click below. This is not spam. Million dollars loan transfer.</body></html>\r\n";
const WANTED =
  `From: ${ALICE}\r\nTo: far@outside.test\r\nSubject: Minutes\r\nDate: Mon, 23 Nov 2026 20:09:29 +0000\r\n` +
  "Message-ID: <minutes@example.test>\r\n\r\nHere are the minutes of the orchard meeting.\r\n";

interface Hit {
  readonly name: string;
  readonly points: number;
  readonly explain: string;
}

async function withServer(
  work: (parts: { shell: Shell; folder: string; offset: number; peer: FakeSmtpServer }) => Promise<void>,
): Promise<void> {
  await withFolder(async (folder) => {
    await using peer = new FakeSmtpServer({});
    const offset = freeOffset();
    const data = `${folder}/data`;
    const server = new Running([
      ...["start", "--data", data, "--port-offset", String(offset), "--password", "secret"],
      ...["--relay", `127.0.0.1:${peer.port}`],
    ]);
    try {
      await server.said("Ctrl-C ends it");
      await work({ shell: new Shell(data), folder, offset, peer });
    } finally {
      await server.stop();
    }
  });
}

Deno.test("spam test, learn, stats, rules, forget, signals: each does what it says, and says why not", () =>
  withServer(async ({ shell, folder }) => {
    const [unwanted, wanted] = [`${folder}/unwanted.eml`, `${folder}/wanted.eml`];
    await Deno.writeTextFile(unwanted, UNWANTED);
    await Deno.writeTextFile(wanted, WANTED);

    const verdict = await shell.json(`spam test ${unwanted}`) as { points: number; hits: Hit[] };
    assert.ok(verdict.points > 8, String(verdict.points));
    assert.ok(verdict.hits.some(({ name, points }) => name === "link-number" && points === 1.8));
    const shown = await shell.ok("spam test -", UNWANTED);
    assert.match(shown, new RegExp(`^${verdict.points.toFixed(2)} points\\n`));
    assert.match(shown, /^1\.80 +link-number +a link leads to a bare number$/m);
    assert.ok((await shell.json(`spam test ${wanted}`) as { points: number }).points < 3);
    assert.match((await shell.fails(`spam test ${folder}/none.eml`))[1], /none\.eml/);
    assert.match((await shell.fails(`spam test ${wanted} --account no@example.test`))[1], /no@example\.test/);

    const stats = { spam: 0, ham: 0, waiting: 0, rules: "" };
    assert.deepEqual(await shell.json(`spam stats ${ALICE}`), stats);
    for (let times = 0; times < 2; times++) {
      assert.deepEqual(await shell.json(`spam learn ${ALICE} ${unwanted} --as spam`), { ...stats, spam: 1 });
    }
    assert.deepEqual(await shell.json(`spam learn ${ALICE} ${wanted} --as ham`), {
      ...stats,
      spam: 1,
      ham: 1,
    });
    const learner = async () => {
      const { hits } = await shell.json(`spam test ${wanted} --account ${ALICE}`) as { hits: Hit[] };
      return hits.find(({ name }) => name === "learner");
    };
    assert.match((await learner())?.explain ?? "", /that was kept/);
    const none = await shell.json(`spam test ${wanted} --account bob@example.test`) as { hits: Hit[] };
    assert.ok(none.hits.every(({ name }) => name !== "learner"), "bob has taught nothing");
    assert.match((await shell.fails(`spam learn ${ALICE} ${wanted}`))[1], /--as is spam, ham or nothing/);
    assert.deepEqual(await shell.json(`spam learn ${ALICE} ${wanted} --as nothing`), { ...stats, spam: 1 });
    assert.match(await shell.ok(`spam stats ${ALICE}`), /^spam +1\nham +0\n[^]*of the domain and the server/);

    const rules = (text: string) => veredus(["spam", "rules", ALICE, text, "--data", shell.data, "--json"]);
    assert.equal(JSON.parse((await rules("junk 4, refuse off")).stdout).rules, "junk 4 refuse off");
    assert.match((await rules("junk soon")).stderr, /rules|junk/);
    assert.equal((await shell.json(`spam stats ${ALICE}`)).rules, "junk 4 refuse off");
    assert.equal(JSON.parse((await rules("")).stdout).rules, "");
    assert.match(await shell.ok(`spam forget ${ALICE}`), /has taught is forgotten/);
    assert.deepEqual(await shell.json(`spam stats ${ALICE}`), stats);
    assert.equal(await learner(), undefined);

    const signals = await shell.json("spam signals") as Hit[];
    assert.ok(signals.length > 50 && signals.every(({ explain }) => explain !== ""));
    assert.match(await shell.ok("spam signals"), /^SIGNAL +POINTS +MEANS/);
  }));

Deno.test("without a server nothing is judged, and the command says so", () =>
  withFolder(async (folder) => {
    const shell = new Shell(folder);
    await shell.ok("domain add example.org");
    assert.match((await shell.fails("spam test -", WANTED))[1], /running server/);
  }));

Deno.test("held mail of a login stands in the quarantine, from where an administrator lets it go or removes it", () =>
  withServer(async ({ shell, offset, peer }) => {
    const client = await SmtpClient.connect(587 + offset);
    await client.authPlain(ALICE, "secret");
    for (const to of ["far@outside.test", "other@outside.test"]) {
      assert.equal((await client.send(ALICE, [to], UNWANTED)).code, 250);
    }
    assert.equal((await client.send(ALICE, ["third@outside.test"], WANTED)).code, 250);
    client.wire.close();
    await until("what is wanted is sent", () => peer.messages.length > 0 || null);

    const rows = await shell.json("quarantine list") as Record<string, unknown>[];
    assert.deepEqual(rows.map(({ recipient }) => recipient), ["far@outside.test", "other@outside.test"]);
    assert.match(String(rows[0]!.reason), /^spam: \d+\.\d quarantine, /);
    assert.match(await shell.ok(`quarantine show ${rows[0]!.id}`), /MAKE MONEY FAST/);
    assert.match(await shell.ok(`quarantine release ${rows[0]!.id}`), /^1 recipients let go/);
    assert.match(await shell.ok(`quarantine remove ${rows[1]!.id} --yes`), /^1 recipients removed/);
    await until("what was let go is sent", () => peer.messages.length > 1 || null);
    assert.deepEqual(peer.messages.flatMap(({ recipients }) => recipients), [
      "third@outside.test",
      "far@outside.test",
    ]);
    assert.match(peer.messages[1]!.data, /MAKE MONEY FAST/);
    assert.deepEqual(await shell.json("quarantine list"), []);
  }));

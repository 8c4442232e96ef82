/** The command line: on a data folder alone, and by the control socket of a server that runs. */
import assert from "node:assert/strict";
import { ImapClient } from "../lib/imap_client.ts";
import { freeOffset } from "../lib/ports.ts";
import { SmtpClient } from "../lib/smtp_client.ts";
import { Shell } from "./shell.ts";
import { startLocal, veredus, withFolder } from "./veredus.ts";

Deno.test("without a server the commands work on the data, one after the other", () =>
  withFolder(async (folder) => {
    const shell = new Shell(`${folder}/data`);
    assert.deepEqual(await shell.fails("domain list"), [
      69,
      `veredus: ${shell.data} is not a data folder: --data DIR or --config FILE says which server is meant`,
    ]);
    await shell.ok("domain add example.org");
    await shell.ok("domain add relay.org --relay mx");
    assert.match(await shell.ok("domain list"), /^NAME +KIND +NEXT HOP.*\nexample\.org +local/);
    assert.equal((await shell.json("domain show relay.org")).nextHop, "mx");
    await shell.ok("domain set example.org --catch-all ann@example.org --separators -");
    await shell.ok("domain remove relay.org");
    const [domain, ...others] = await shell.json("domain list");
    assert.deepEqual(others, []);
    const { name, kind, nextHop, catchAll, subaddressSeparators } = domain;
    assert.deepEqual([name, kind, nextHop, catchAll, subaddressSeparators], [
      ...["example.org", "local", "", "ann@example.org", "-"],
    ]);

    await shell.ok("account add ann@example.org --password-stdin --name Ann", "secret\n");
    await shell.ok("account add machine@example.org --no-password");
    assert.equal(
      (await shell.json(
        "account import",
        "u1@example.org one\nu2@example.org $2b$10$x\n"
          .replace("$x", `$${"a".repeat(53)}`),
      )).added,
      2,
    );
    const accounts = await shell.json("account list");
    assert.deepEqual(
      accounts.map(({ address, hasPassword }: Record<string, unknown>) => [address, hasPassword]),
      [
        ["ann@example.org", true],
        ["machine@example.org", false],
        ["u1@example.org", true],
        ["u2@example.org", true],
      ],
    );
    await shell.ok("account set ann@example.org --disable --send-as team@example.org");
    const ann = await shell.json("account show ann@example.org");
    assert.deepEqual([ann.enabled, ann.sendAs, ann.displayName], [false, ["team@example.org"], "Ann"]);
    await shell.ok("account remove machine@example.org --yes");

    await shell.ok("alias add sales@example.org ann@example.org u1@example.org");
    await shell.ok("alias set sales@example.org u1@example.org");
    assert.deepEqual(await shell.json("alias list"), [{
      address: "sales@example.org",
      targets: ["u1@example.org"],
    }]);
    await shell.ok("alias remove sales@example.org");
    assert.match(await shell.ok("alias list"), /no aliases/);
    assert.deepEqual(await shell.json("queue list"), []);
    assert.deepEqual(await shell.json("index show ann@example.org"), {
      messages: 0,
      total: 0,
      waiting: 0,
      octets: 0,
    });
    assert.match(await shell.ok("index rebuild ann@example.org"), /^messages +0 of 0$/m);
    assert.equal((await shell.json("health")).trouble, "no server runs on this data folder");
    assert.match(await shell.ok("verify"), /\n0 problems/);
    assert.equal((await shell.json("verify --fix")).ok, true);
  }));

Deno.test("commands at the same time wait for each other", () =>
  withFolder(async (folder) => {
    const shell = new Shell(folder);
    await shell.ok("domain add example.org");
    const addresses = [1, 2, 3, 4, 5].map((i) => `u${i}@example.org`);
    await Promise.all(
      addresses.map((address) => shell.ok(`account add ${address} --password-stdin`, "secret")),
    );
    const list = await shell.json("account list") as { address: string }[];
    assert.deepEqual(list.map(({ address }) => address), addresses);
  }));

Deno.test("what is wrong is said with its value, and ends with its code", () =>
  withFolder(async (data) => {
    const shell = new Shell(data);
    await shell.ok("domain add example.org");
    const table: [string, number, RegExp][] = [
      ["account add ann@example.org", 2, /use --password-stdin/],
      ["account add ann@other.org --no-password", 1, /no domain other\.org.*veredus domain add other\.org/],
      ["account show ann@example.org", 1, /no account ann@example\.org/],
      ["account set ann@example.org --enable --disable", 2, /which\?/],
      ["account list --config x.yaml", 2, /give one/],
      ["domain add example.org", 1, /exists/],
      ["domain show no_domain", 1, /"no_domain" is not a domain name/],
      ["domains list", 2, /unknown command/],
      ["alias add a@example.org", 2, /missing required argument/],
      ["queue retry", 2, /which\?/],
      ["queue show x", 2, /"x" is not an id/],
      ["queue fail 7", 1, /no message 7/],
      ["token add t", 2, /--scope/],
      ["token add t --scope everything", 1, /scopes/],
      ["session list", 1, /no server runs/],
      ["reload", 1, /no server/],
      ["log-level", 1, /no server/],
      ["salvage", 2, /--to/],
    ];
    const results: [number, string][] = [];
    for (let at = 0; at < table.length; at += 4) { // they wait for each other, but not for ever
      results.push(...await Promise.all(table.slice(at, at + 4).map(([line]) => shell.fails(line))));
    }
    for (const [at, [line, code, words]] of table.entries()) {
      const [gotCode, got] = results[at]!;
      assert.equal(gotCode, code, `${line}: ${got}`);
      assert.match(got, words, line);
    }
    const { code, stderr } = await shell.run("account show ann@example.org --json");
    assert.equal(code, 1);
    assert.equal(JSON.parse(stderr).fault, "no-such-account");
    assert.deepEqual(await shell.fails("account add ann@example.org --password-stdin", ""), [
      2,
      "veredus: --password-stdin: standard input is empty",
    ]);
  }));

Deno.test("with a server the commands go by its socket, and it knows at once", () =>
  withFolder(async (folder) => {
    // The folder's name is too long for the path of a socket.
    const data = `${folder}/${"long-".repeat(20)}`;
    const offset = freeOffset();
    const server = await startLocal(data, offset);
    const shell = new Shell(data);
    assert.ok(`${data}/run/control.sock`.length > 107);
    const { mode } = Deno.statSync(`${data}/run/control.sock`);
    assert.equal(mode! & 0o777, 0o600);
    assert.equal(Deno.statSync(`${data}/run`).mode! & 0o777, 0o700);

    await shell.ok("account add ann@example.test --password-stdin", "first\n");
    const ann = await ImapClient.connect(143 + offset, { login: "ann@example.test", password: "first" });
    const index = await shell.json("index rebuild ann@example.test");
    assert.equal(index.messages, index.total);
    const sessions = await shell.json("session list --account ann@example.test");
    assert.equal(sessions.length, 1);
    assert.equal(sessions[0].protocol, "imap");
    await shell.ok("account set ann@example.test --password-stdin", "second\n");
    assert.match((await ann.response()).line, /^\* BYE/);
    ann.close();
    const again = await ImapClient.connect(143 + offset);
    assert.equal((await again.command("LOGIN ann@example.test first")).status, "NO");
    assert.equal((await again.command("LOGIN ann@example.test second")).status, "OK");
    const [session] = await shell.json("session list --account ann@example.test");
    await shell.ok(`session remove ${session.id}`);
    assert.match((await again.response()).line, /^\* BYE/);
    again.close();

    assert.deepEqual(await shell.json("log-level imap debug"), { level: "info", areas: { imap: "debug" } });
    const health = await shell.json("health");
    assert.deepEqual([health.status, health.sessions], ["ok", 0]);
    assert.equal((await shell.json("verify")).ok, true);
    assert.equal((await shell.fails("verify --fix"))[0], 69);
    assert.match((await shell.fails("reload"))[1], /configuration file/);

    const secret = (await shell.ok("token add t --scope health:read accounts:read")).trim();
    const api = (path: string, token?: string) =>
      fetch(
        `http://127.0.0.1:${80 + offset}${path}`,
        token ? { headers: { authorization: `Bearer ${token}` } } : {},
      );
    for (
      const [path, token, status] of [
        ["/healthz", undefined, 200],
        ["/metrics", undefined, 200],
        ["/api/v1/accounts", undefined, 401],
        ["/api/v1/accounts", secret, 200],
        ["/api/v1/domains", secret, 403],
      ] as const
    ) {
      const response = await api(path, token);
      await response.body?.cancel();
      assert.equal(response.status, status, path);
    }
    const [token] = await shell.json("token list");
    await shell.ok(`token remove ${token.id}`);
    const removed = await api("/api/v1/accounts", secret);
    await removed.body?.cancel();
    assert.equal(removed.status, 401);

    // A socket that a kill left behind is in nobody's way.
    server.kill("SIGKILL");
    await server.ended();
    assert.match(await shell.ok("account list"), /ann@example\.test/);
    const next = await startLocal(data, offset);
    assert.equal((await shell.json("health")).status, "ok");
    assert.equal((await next.stop()).code, 0);
  }));

Deno.test("the queue is held, released, failed to its sender and removed", () =>
  withFolder(async (data) => {
    const offset = freeOffset();
    // The next hop does not answer: what is sent on waits.
    const closed = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const relay = `127.0.0.1:${(closed.addr as Deno.NetAddr).port}`;
    closed.close();
    const server = await startLocal(data, offset, ["--relay", relay]);
    const shell = new Shell(data);
    const client = await SmtpClient.connect(587 + offset);
    await client.authPlain("alice@example.test", "secret");
    const message = "From: alice@example.test\r\nSubject: waits\r\n\r\nbody\r\n";
    const to = ["x@a.test", "y@b.test", "z@c.test"];
    assert.equal((await client.send("alice@example.test", to, message)).code, 250);
    client.wire.close();

    const rows = await shell.json("queue list") as { messageId: number; id: number; recipient: string }[];
    assert.deepEqual(rows.map(({ recipient }) => recipient).sort(), to);
    const { messageId } = rows[0]!;
    assert.equal((await shell.json(`queue show ${messageId}`)).submittedBy, "alice@example.test");
    assert.equal((await shell.json(`queue hold ${messageId}`)).recipients, 3);
    assert.equal((await shell.json("queue list --state held")).length, 3);
    assert.equal((await shell.json("queue release --recipient x@a.test")).recipients, 1);
    const y = rows.find(({ recipient }) => recipient === "y@b.test")!;
    assert.equal((await shell.json(`queue fail --only ${y.id} --reason closed`)).recipients, 1);
    assert.equal((await shell.json("queue remove --all")).recipients, 2);
    assert.match(await shell.ok("queue list"), /the queue is empty/);

    const alice = await ImapClient.connect(143 + offset, { login: "alice@example.test", password: "secret" });
    const { untagged } = await alice.ok("STATUS INBOX (MESSAGES)");
    assert.match(
      untagged.map(({ line }) => line).join(),
      /MESSAGES 1\)/,
      "one bounce, for the one that failed",
    );
    await alice.logout();
    assert.equal((await server.stop()).code, 0);

    const salvaged = await shell.json(`salvage --to ${data}-salvaged`);
    assert.ok(salvaged.written >= 1);
    Deno.removeSync(`${data}-salvaged`, { recursive: true });
  }));

Deno.test("config, service and version need no server", () =>
  withFolder(async (folder) => {
    const example = await veredus(["config", "example"]);
    const file = `${folder}/veredus.yaml`;
    Deno.writeTextFileSync(file, example.stdout);
    const valid = await veredus(["config", "check", file]);
    assert.deepEqual([valid.code, valid.stdout.trim()], [0, `${file}: the configuration is valid`]);
    Deno.writeTextFileSync(file, "hostname: mx.example.org\nuser: mail\ndata: data\nthread: 3\n");
    const wrong = await veredus(["config", "check", file]);
    assert.equal(wrong.code, 78);
    assert.match(wrong.stderr, /veredus\.yaml:4:1: thread: .*threads/);
    const json = JSON.parse((await veredus(["config", "check", file, "--json"])).stdout);
    assert.deepEqual([json.ok, json.faults[0].line], [false, 4]);
    assert.equal((await veredus(["serve", "--config", file])).code, 78);
    assert.equal((await veredus(["account", "list", "--config", file])).code, 78);

    Deno.writeTextFileSync(file, "hostname: mx.example.org\nuser: mail\ndata: data\ndrain: 20s\n");
    const { stdout: unit } = await veredus(["service", "--config", file]);
    const lines = unit.split("\n");
    for (
      const line of [
        "User=mail",
        "Restart=always",
        "ExecReload=/bin/kill -HUP $MAINPID",
        "AmbientCapabilities=CAP_NET_BIND_SERVICE",
        "CapabilityBoundingSet=CAP_NET_BIND_SERVICE",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        `ReadWritePaths=${folder}/data`,
        "TimeoutStopSec=35",
        "RestartPreventExitStatus=2 78",
      ]
    ) assert.ok(lines.includes(line), line);
    assert.match(unit, new RegExp(`^ExecStart=.* serve --config ${file}$`, "m"));

    const version = JSON.parse((await veredus(["version", "--json"])).stdout);
    assert.match(version.version, /^\d+\.\d+\.\d+$/);
    const help = await veredus(["--help"]);
    assert.equal(help.code, 0);
    for (const word of ["start", "serve", "account", "queue", "verify", "salvage", "Exit codes: 0 ok"]) {
      assert.ok(help.stdout.includes(word), word);
    }
  }));

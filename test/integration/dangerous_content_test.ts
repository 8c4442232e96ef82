/** Dangerous content and scanners that fail, through the running server: what clients hear, readers see and traces tell. */
import assert from "node:assert/strict";
import { zipSync } from "fflate";
import { encodeLatin1, latin1 } from "../../bytes/decode.ts";
import { parseConfig } from "../../server/config/load.ts";
import type { Config } from "../../server/config/config.ts";
import { findTraces } from "../../storage/trace_log.ts";
import { until } from "../lib/program.ts";
import { inBothShapes } from "../lib/running_server.ts";

const ALICE = "alice@example.test";
/** The beginning of a Windows program, called something else. */
const PROGRAM = btoa(`MZ\x90\0${"\0".repeat(56)}\x40\0\0\0PE\0\0`);

function letter(name: string, base64: string, from = "x@elsewhere.test"): string {
  return [
    `From: ${from}`,
    `To: ${ALICE}`,
    "Subject: look",
    'Content-Type: multipart/mixed; boundary="b"',
    "",
    "--b",
    "",
    "See below.",
    "--b",
    "Content-Type: image/png",
    "Content-Transfer-Encoding: base64",
    `Content-Disposition: attachment; filename="${name}"`,
    "",
    base64,
    "--b--",
    "",
  ].join("\r\n");
}

function configured(yaml: string): Partial<Config> {
  const { filter } = parseConfig(`hostname: mx.example.test\n${yaml}`, "/veredus.yaml");
  return { filter };
}

inBothShapes(
  "out of the box programs are refused in the session, from strangers and logins",
  async (start) => {
    await using server = await start({ config: configured("") });
    const client = await server.smtp();
    const refused = await client.send("x@elsewhere.test", [ALICE], letter("holiday.png", PROGRAM));
    assert.deepEqual([refused.code, refused.lines], [
      550,
      ["5.7.1 Such attachments are not taken: executable: windows-program in holiday.png"],
    ]);
    const marked = await client.send("x@elsewhere.test", [ALICE], letter("a.pdf.js", btoa("alert(1)")));
    assert.equal(marked.code, 250);
    await client.quit();
    const login = await server.submission("bob");
    assert.equal(
      (await login.send("bob@example.test", [ALICE], letter("x", PROGRAM, "bob@example.test"))).code,
      550,
    );
    await login.quit();
    const [stored = "", ...more] = await server.inbox();
    assert.deepEqual(more, []);
    assert.match(stored, /X-Veredus-Verdict: deliver;\r\n\tcontent=tag \(disguised: .* in a\.pdf\.js\)/);
  },
);

inBothShapes("a program in an archive is refused whatever the size of the archive", async (start) => {
  await using server = await start({ config: configured("") });
  const client = await server.smtp();
  for (const size of [1_000, 100_000, 2_000_000]) {
    const noise = new Uint8Array(size);
    for (let at = 0; at < size; at += 65_536) crypto.getRandomValues(noise.subarray(at, at + 65_536));
    const archive = (name: string, program: string) =>
      btoa(latin1(zipSync({ noise, [name]: encodeLatin1(program) }))).replace(/.{76}/g, "$&\r\n");
    const refused = await client.send(
      "x@elsewhere.test",
      [ALICE],
      letter("a.zip", archive("b", atob(PROGRAM))),
    );
    assert.deepEqual([refused.code, refused.lines], [
      550,
      ["5.7.1 Such attachments are not taken: executable: windows-program in a.zip/b"],
    ]);
    const taken = letter("a.zip", archive("b.js", "alert(1)"));
    assert.equal((await client.send("x@elsewhere.test", [ALICE], taken)).code, 250);
    const stored = (await server.inbox()).at(-1)!;
    assert.match(stored, /content=tag \(script: .* in a\.zip\/b\.js\)/);
    assert.ok(stored.endsWith(taken));
  }
  await client.quit();
});

inBothShapes(
  "a clamd that hangs delays a message until its time-out, and is then left alone",
  async (start) => {
    const hanging = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const held: Deno.Conn[] = [];
    const accepting = (async () => {
      for await (const connection of hanging) held.push(connection);
    })();
    try {
      const { port } = hanging.addr as Deno.NetAddr;
      await using server = await start({
        config: configured(`filter: { checks: [{ check: clamd, at: "127.0.0.1:${port}", timeout: 300ms }] }`),
      });
      const client = await server.smtp();
      for (let at = 0; at < 4; at++) {
        assert.equal(
          (await client.send("x@elsewhere.test", [ALICE], letter(`${at}.png`, btoa("x")))).code,
          250,
        );
      }
      await client.quit();
      const marks = (await server.inbox()).map((text) => /clamd=tag \(not scanned: (.*)\)/.exec(text)?.[1]);
      assert.deepEqual(marks, [
        ...Array(3).fill("no verdict within 300 ms"),
        "the scanner is left alone for a while",
      ]);
      const trace = await until("the trace is written", async () => {
        const [found] = await findTraces(server.server.folder.trace, { about: "x@elsewhere.test", limit: 1 });
        return found ?? null;
      });
      assert.match(JSON.stringify(trace), /"check":"clamd".*"not scanned: /);
    } finally {
      hanging.close();
      await accepting;
      for (const connection of held) connection.close();
    }
  },
);

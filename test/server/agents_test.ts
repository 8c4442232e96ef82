/** Commands and HTTP hooks that take mail: real programs, a real server on loopback. */
import { deepStrictEqual as equal, ok } from "node:assert";
import type { AgentJob } from "../../delivery/agents.ts";
import { callHook, runCommand } from "../../server/agents.ts";
import type { CommandConfig } from "../../server/config/config.ts";

const MESSAGE = "Subject: hello\r\n\r\n" + "a line of the body\r\n".repeat(20_000);
const octets = new TextEncoder().encode(MESSAGE);

const JOB = {
  message: { traceId: "trace1", sender: "sender@remote.example" },
  recipient: { recipient: "help@example.test" },
  source: { octets: octets.length, read: (start: number, end: number) => octets.subarray(start, end) },
} as unknown as AgentJob;

function command(script: string, parts: Partial<CommandConfig> = {}): CommandConfig[] {
  return [{
    name: "it",
    command: ["/bin/sh", "-c", script],
    timeoutMs: 5_000,
    outputOctets: 1_000,
    ...parts,
  }];
}

const COMMANDS: [
  name: string,
  script: string,
  parts: Partial<CommandConfig>,
  outcome: string,
  text: RegExp,
][] = [
  ["takes it", "cat > /dev/null; echo thanks", {}, "delivered", /took it: thanks$/],
  ["does not read it", "exit 0", {}, "delivered", /took it$/],
  ["puts it off", "cat > /dev/null; exit 75", {}, "temporary", /cannot take it now/],
  [
    "refuses it",
    "cat > /dev/null; echo no such ticket >&2; exit 67",
    {},
    "permanent",
    /exit 67\): no such ticket$/,
  ],
  ["is killed", "kill -9 $$", {}, "temporary", /cannot take it now/],
  ["takes too long", "exec sleep 60", { timeoutMs: 200 }, "temporary", /it took too long$/],
  ["says too much", "exec yes", {}, "temporary", /it said too much$/],
  ["is missing", "", { command: ["/nonexistent/program"] }, "temporary", /could not be reached$/],
];
for (const [name, script, parts, outcome, text] of COMMANDS) {
  Deno.test(`a command that ${name}: ${outcome}`, async () => {
    const began = performance.now();
    const verdict = await runCommand(command(script, parts), "it", JOB);
    equal(verdict.outcome, outcome);
    ok(text.test(verdict.text), verdict.text);
    ok(performance.now() - began < 5_000);
  });
}

Deno.test("a command has the message, who it is from and for, and nothing else of ours", async () => {
  const folder = Deno.makeTempDirSync();
  Deno.env.set("VEREDUS_TEST_SECRET", "secret");
  try {
    const script = `cat > ${folder}/message; env | sort > ${folder}/env`;
    equal((await runCommand(command(script), "it", JOB)).outcome, "delivered");
    equal(Deno.readTextFileSync(`${folder}/message`), MESSAGE);
    const env = Deno.readTextFileSync(`${folder}/env`);
    for (const entry of ["SENDER=sender@remote.example", "RECIPIENT=help@example.test", "TRACE_ID=trace1"]) {
      ok(env.includes(`${entry}\n`), entry);
    }
    ok(!env.includes("secret"));
  } finally {
    Deno.env.delete("VEREDUS_TEST_SECRET");
    Deno.removeSync(folder, { recursive: true });
  }
});

Deno.test("a name that is not in the configuration waits for its operator", async () => {
  equal((await runCommand(command("exit 0"), "other", JOB)).outcome, "temporary");
  equal((await callHook([], "other", JOB)).outcome, "temporary");
});

Deno.test("a hook gets the message, and its status decides", async () => {
  const seen: { body: string; headers: Headers }[] = [];
  let status = 200;
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, async (request) => {
    seen.push({ body: await request.text(), headers: request.headers });
    const headers = status === 302 ? { location: "http://127.0.0.1:1/" } : {};
    return new Response("an answer", { status, headers });
  });
  const tokenFile = Deno.makeTempFileSync();
  Deno.writeTextFileSync(tokenFile, "tok\n");
  try {
    const url = `http://127.0.0.1:${server.addr.port}/mail`;
    const hooks = [{ name: "crm", url, timeoutMs: 5_000, tokenFile }];
    for (
      const [code, outcome] of [
        [200, "delivered"],
        [202, "delivered"],
        [302, "permanent"],
        [400, "permanent"],
        [404, "permanent"],
        [408, "temporary"],
        [429, "temporary"],
        [500, "temporary"],
        [503, "temporary"],
      ] as const
    ) {
      status = code;
      const verdict = await callHook(hooks, "crm", JOB);
      equal([code, verdict.outcome, verdict.remote], [code, outcome, "hook:crm"]);
    }
    equal(seen[0]!.body, MESSAGE);
    equal(seen[0]!.headers.get("content-type"), "message/rfc822");
    equal(seen[0]!.headers.get("authorization"), "Bearer tok");
    equal(seen[0]!.headers.get("x-veredus-recipient"), "help@example.test");
  } finally {
    await server.shutdown();
    Deno.removeSync(tokenFile);
  }
});

Deno.test("a hook that is silent or not there is temporary, and in time", async () => {
  const answer = Promise.withResolvers<Response>();
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, () => answer.promise);
  const url = `http://127.0.0.1:${server.addr.port}/`;
  const hook = { name: "crm", url, timeoutMs: 200, tokenFile: "" };
  equal((await callHook([hook], "crm", JOB)).outcome, "temporary");
  answer.resolve(new Response());
  await server.shutdown();
  equal((await callHook([{ ...hook, timeoutMs: 5_000 }], "crm", JOB)).outcome, "temporary");
});

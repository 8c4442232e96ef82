/**
 * Commands and HTTP hooks that aliases lead to: run with limits, judged by what they answer.
 *
 * A command gets the message on its standard input and SENDER, RECIPIENT and TRACE_ID in an otherwise empty environment;
 * no shell reads anything of it. Exit 0 took it; 75 (EX_TEMPFAIL), a signal, and what is too slow or says too much are
 * temporary; all else is final (sysexits). A hook gets a POST of message/rfc822 with the same facts in header fields;
 * 2xx took it, 408, 425, 429 and 5xx are temporary, all else is final; redirects are not followed. Only names of the
 * configuration can be reached; one that is missing there is temporary, because its operator can mend it.
 */
import { getLogger } from "@logtape/logtape";
import { type AgentJob, agentVerdict } from "../delivery/agents.ts";
import type { Verdict } from "../delivery/settle.ts";
import { counter } from "../telemetry/metrics.ts";
import type { CommandConfig, HookConfig } from "./config/config.ts";

const log = getLogger(["veredus", "queue"]);
const runs = counter("veredus_agent_runs_total", "Messages given to commands and hooks, by outcome", [
  "kind",
  "outcome",
]);
const EX_TEMPFAIL = 75;
const PIECE_OCTETS = 64 * 1024;

export async function runCommand(
  commands: readonly CommandConfig[],
  name: string,
  job: AgentJob,
): Promise<Verdict> {
  const config = commands.find((one) => one.name === name);
  const verdict = config === undefined
    ? notConfigured("command", name)
    : await run(config, job).catch((error) => failed(name, job, error));
  runs.inc({ kind: "command", outcome: verdict.outcome });
  return { ...verdict, remote: `command:${name}` };
}

export async function callHook(
  hooks: readonly HookConfig[],
  name: string,
  job: AgentJob,
): Promise<Verdict> {
  const config = hooks.find((one) => one.name === name);
  const verdict = config === undefined
    ? notConfigured("hook", name)
    : await post(config, job).catch((error) => failed(name, job, error));
  runs.inc({ kind: "hook", outcome: verdict.outcome });
  return { ...verdict, remote: `hook:${name}` };
}

function notConfigured(kind: "command" | "hook", name: string): Verdict {
  log.error("an alias leads to the {kind} {name}, which is not in the configuration", { kind, name });
  return agentVerdict("temporary", "4.3.5", "the alias leads to nothing that is configured");
}

function failed(name: string, { message: { traceId } }: AgentJob, error: unknown): Verdict {
  log.warn("{name} could not be reached for {traceId}: {error}", { name, traceId, error: String(error) });
  return agentVerdict("temporary", "4.3.0", "the program could not be reached");
}

async function run({ command, timeoutMs, outputOctets }: CommandConfig, job: AgentJob): Promise<Verdict> {
  const [program = "", ...args] = command;
  const { message, recipient } = job;
  const child = new Deno.Command(program, {
    args,
    clearEnv: true,
    env: {
      PATH: "/usr/local/bin:/usr/bin:/bin",
      SENDER: message.sender,
      RECIPIENT: recipient.recipient,
      TRACE_ID: message.traceId,
    },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let why = "";
  const end = (reason: string) => {
    if (why !== "") return;
    why = reason;
    try {
      child.kill("SIGKILL");
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // it has ended by itself
    }
  };
  const timer = setTimeout(() => end("it took too long"), timeoutMs);
  try {
    const room = { octets: outputOctets, full: () => end("it said too much") };
    const [status, , answer, complaint] = await Promise.all([
      child.status,
      feed(child.stdin, job),
      listen(child.stdout, room),
      listen(child.stderr, room),
    ]);
    if (why !== "") return agentVerdict("temporary", "4.3.0", `the command was ended: ${why}`);
    const said = answer === "" ? complaint : answer;
    const words = said === "" ? "" : `: ${said}`;
    if (status.success) return agentVerdict("delivered", "2.0.0", `the command took it${words}`);
    return status.code === EX_TEMPFAIL || status.signal !== null
      ? agentVerdict("temporary", "4.3.0", `the command cannot take it now${words}`)
      : agentVerdict("permanent", "5.3.0", `the command refused it (exit ${status.code})${words}`);
  } finally {
    clearTimeout(timer);
  }
}

/** A command may end without having read everything. */
async function feed(stdin: WritableStream<Uint8Array>, { source, message }: AgentJob): Promise<void> {
  const writer = stdin.getWriter();
  try {
    for (let at = 0; at < source.octets; at += PIECE_OCTETS) {
      await writer.write(await source.read(at, Math.min(source.octets, at + PIECE_OCTETS)));
    }
    await writer.close();
  } catch (error) {
    log.debug("a command did not read {traceId}: {error}", {
      traceId: message.traceId,
      error: String(error),
    });
    await writer.abort().catch(() => {});
  }
}

/** The first line, printable; the rest only uses up the room. */
async function listen(
  stream: ReadableStream<Uint8Array>,
  room: { octets: number; full: () => void },
): Promise<string> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const piece of stream) {
    room.octets -= piece.length;
    if (text.length < 200) text += decoder.decode(piece, { stream: true });
    if (room.octets < 0) room.full();
  }
  return text.split("\n")[0]!.slice(0, 200).replace(/[^\x20-\x7e]/g, " ").trim();
}

async function post({ url, timeoutMs, tokenFile }: HookConfig, job: AgentJob): Promise<Verdict> {
  const token = tokenFile === "" ? "" : (await Deno.readTextFile(tokenFile)).trim();
  const { message, recipient, source } = job;
  let at = 0;
  const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
    async pull(controller) {
      if (at >= source.octets) return controller.close();
      const end = Math.min(source.octets, at + PIECE_OCTETS);
      controller.enqueue((await source.read(at, end)).slice());
      at = end;
    },
  });
  const response = await fetch(url, {
    method: "POST",
    redirect: "manual",
    signal: AbortSignal.timeout(timeoutMs),
    headers: {
      ...(token !== "" && { authorization: `Bearer ${token}` }),
      "content-type": "message/rfc822",
      "x-veredus-sender": encodeURI(message.sender),
      "x-veredus-recipient": encodeURI(recipient.recipient),
      "x-veredus-trace": message.traceId,
    },
    body,
  });
  await response.body?.cancel();
  const { status } = response;
  const text = `the hook answered ${status}`;
  if (status >= 200 && status < 300) return agentVerdict("delivered", "2.0.0", text);
  return status >= 500 || status === 408 || status === 425 || status === 429
    ? agentVerdict("temporary", "4.3.0", text)
    : agentVerdict("permanent", "5.3.0", text);
}

/**
 * The process of a policy file (policy_file.ts): lines of JSON from standard input to a Worker without permissions, its
 * answers to standard output.
 *
 * It ends with its input. Signals to the whole group (Ctrl-C) are the server's business, which drains and then ends this.
 */
import { EXIT, type ExitCode } from "../exit_codes.ts";

export async function policyProcess(): Promise<ExitCode> {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) Deno.addSignalListener(signal, () => {});
  const worker = new Worker(new URL("../policy_worker.ts", import.meta.url), {
    type: "module",
    name: "policy",
    deno: { permissions: "none" },
  } as WorkerOptions);
  worker.addEventListener("message", ({ data }: MessageEvent<string>) => writeLine(data));
  worker.addEventListener("error", (event) => {
    event.preventDefault();
    console.error(`veredus: the policy file: ${event.message}`);
    Deno.exit(EXIT.failed);
  });
  let text = "";
  for await (const chunk of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
    const lines = (text + chunk).split("\n");
    text = lines.pop()!;
    for (const line of lines) worker.postMessage(JSON.parse(line));
  }
  return EXIT.ok;
}

function writeLine(line: string): void {
  const bytes = new TextEncoder().encode(`${line}\n`);
  for (let done = 0; done < bytes.length;) done += Deno.stdout.writeSync(bytes.subarray(done));
}

if (import.meta.main) Deno.exit(await policyProcess());

/** Secrets and confirmations: from standard input for scripts, by a prompt for people, never from arguments. */
import { CliFailure } from "./context.ts";

const MAX_SECRET_OCTETS = 4_096;

/** The first line of standard input. */
export async function secretFromStdin(what: string): Promise<string> {
  const [line = ""] = (await readStdin(MAX_SECRET_OCTETS)).split(/\r?\n/, 1);
  if (line === "") throw new CliFailure(`${what}: standard input is empty`, { exit: "usage" });
  return line;
}

/** All of standard input, up to a limit. */
export async function readStdin(maxOctets: number): Promise<string> {
  const parts: Uint8Array[] = [];
  let octets = 0;
  for await (const part of Deno.stdin.readable) {
    octets += part.length;
    if (octets > maxOctets) {
      throw new CliFailure(`standard input has more than ${maxOctets} octets`, { exit: "usage" });
    }
    parts.push(part);
  }
  const text = new TextDecoder("utf-8", { fatal: true });
  try {
    return parts.map((part) => text.decode(part, { stream: true })).join("") + text.decode();
  } catch (error) {
    if (error instanceof TypeError) throw new CliFailure("standard input is not UTF-8", { exit: "usage" });
    throw error;
  }
}

/** A new password, typed twice. */
export async function askPassword(account: string): Promise<string> {
  if (!Deno.stdin.isTerminal()) {
    throw new CliFailure("no terminal to ask for the password: use --password-stdin", { exit: "usage" });
  }
  const { isCancel, password } = await import("@clack/prompts");
  const first = await password({ message: `Password of ${account}` });
  if (isCancel(first)) throw new CliFailure("nothing was changed");
  const second = await password({ message: "The same again" });
  if (isCancel(second)) throw new CliFailure("nothing was changed");
  if (first === undefined || first === "") {
    throw new CliFailure("an empty password is none; nothing was changed");
  }
  if (first !== second) throw new CliFailure("the two differ; nothing was changed");
  return first;
}

/** On a terminal asks before something is lost; a script has decided already. */
export async function confirm(question: string, yes: boolean): Promise<void> {
  if (yes || !Deno.stdin.isTerminal()) return;
  const prompts = await import("@clack/prompts");
  const answer = await prompts.confirm({ message: question, initialValue: false });
  if (answer !== true) throw new CliFailure("nothing was changed");
}

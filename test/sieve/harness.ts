/** Runs a script over a message as a test writes both: LF for CRLF. */
import assert from "node:assert/strict";
import { encode } from "../../bytes/decode.ts";
import { faultText } from "../../sieve/fault.ts";
import { EMPTY_HOST, type Host } from "../../sieve/host.ts";
import { MessageView } from "../../sieve/message_view.ts";
import type { Outcome } from "../../sieve/outcome.ts";
import { type CompileOptions, compileScript } from "../../sieve/program.ts";
import { DEFAULT_RUN_LIMITS, type RunLimits } from "../../sieve/run.ts";

export interface Given {
  readonly message?: string;
  readonly host?: Partial<Host>;
  readonly limits?: Partial<RunLimits>;
  readonly find?: CompileOptions["find"];
}

export const MESSAGE = `From: Coyote <coyote@desert.example.org>
To: roadrunner@acme.example.com
Subject: I have a present for you
Date: Tue, 1 Apr 1997 09:06:31 -0800 (PST)
Message-ID: <1@desert.example.org>

Look, I'm sorry about the whole anvil thing.
`;

export function crlf(text: string): Uint8Array<ArrayBuffer> {
  return encode(text.replace(/\r?\n/g, "\r\n"));
}

export async function outcomeOf(script: string, given: Given = {}): Promise<Outcome> {
  const compiled = await compileScript(crlf(script), given.find === undefined ? {} : { find: given.find });
  if ("faults" in compiled) assert.fail(compiled.faults.map(faultText).join("\n"));
  const view = new MessageView(crlf(given.message ?? MESSAGE));
  return compiled.program.run(view, { ...EMPTY_HOST, ...given.host }, {
    limits: { ...DEFAULT_RUN_LIMITS, ...given.limits },
  });
}

/** The actions in words, one a line; a fault is the last. */
export async function actionsOf(script: string, given: Given = {}): Promise<string> {
  const outcome = await outcomeOf(script, given);
  if (outcome.fault !== null) return `fault ${faultText(outcome.fault)}`;
  return outcome.trace.join(", ");
}

/** True where the test of the expression holds. */
export async function holds(
  test: string,
  given: Given & { readonly require?: string } = {},
): Promise<boolean> {
  const needed = given.require === undefined ? "" : `require [${given.require}];\n`;
  const answer = await actionsOf(`${needed}if ${test} { discard; }`, given);
  assert.match(answer, /^(?:discard|implicit keep)$/, test);
  return answer === "discard";
}

export async function faultsOf(script: string): Promise<string[]> {
  const compiled = await compileScript(crlf(script));
  return "faults" in compiled ? compiled.faults.map(faultText) : [];
}

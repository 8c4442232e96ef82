/**
 * The scripts that one message runs through for one recipient: of the server, the domain, the user, and behind them.
 *
 * The next script is asked as long as the one before keeps the message; where it is filed, sent on, refused or discarded
 * instead, that is the end. Keeping is the last one's business, so are its flags; other actions add up. A script of the
 * server or a domain that fails is logged and passed over; one of the user keeps the message and its owner is told.
 * Compiled scripts are kept as long as the directory keeps their rows.
 */
import { getLogger } from "@logtape/logtape";
import { encode } from "../../bytes/decode.ts";
import { faultText, type ScriptFault } from "../../sieve/fault.ts";
import type { Host } from "../../sieve/host.ts";
import type { MessageView } from "../../sieve/message_view.ts";
import type { Action, Header, Keep, Remembered } from "../../sieve/outcome.ts";
import { type Compiled, compileScript } from "../../sieve/program.ts";
import type { ScriptRow, Scripts } from "../../storage/scripts.ts";
import { counter, histogram } from "../../telemetry/metrics.ts";

const log = getLogger(["veredus", "sieve"]);
const runs = counter("veredus_sieve_runs_total", "Runs of filter scripts, by scope and how they ended", [
  "scope",
  "outcome",
]);
const actionsTotal = counter("veredus_sieve_actions_total", "Actions of filter scripts", ["action"]);
const seconds = histogram("veredus_sieve_seconds", "Time of one recipient's filter scripts", {
  buckets: [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1],
});

/** What all scripts of a recipient decided together. */
export interface Decision {
  readonly actions: readonly Exclude<Action, Keep | { readonly kind: "discard" }>[];
  /** Null where the message is not kept. */
  readonly keep: Keep | null;
  /** The keep was asked for, so that a verdict of Junk does not move it. */
  readonly explicitKeep: boolean;
  readonly remembered: readonly Remembered[];
  /** Why the user's own script failed. */
  readonly fault: { readonly script: ScriptRow; readonly text: string } | null;
  /** Header as the scripts left it. */
  readonly header: Header;
  readonly trace: readonly string[];
}

const compiled = new WeakMap<ScriptRow, Promise<Compiled>>();

/** Compiles a row once. Scripts it includes are looked for in its own scope, those of the server for all. */
export function compiledScript(row: ScriptRow, scripts: Pick<Scripts, "script">): Promise<Compiled> {
  let known = compiled.get(row);
  if (known === undefined) {
    known = compileScript(encode(row.content), { name: row.name, find: finder(row, scripts) });
    compiled.set(row, known);
  }
  return known;
}

export function finder(
  { scope, owner }: Pick<ScriptRow, "scope" | "owner">,
  scripts: Pick<Scripts, "script">,
) {
  return (location: "personal" | "global", name: string): Uint8Array | null => {
    const found = location === "global"
      ? scripts.script("server", "", name)
      : scripts.script(scope, owner, name);
    return found === null ? null : encode(found.content);
  };
}

export interface ChainInput {
  readonly rows: readonly ScriptRow[];
  readonly scripts: Pick<Scripts, "script">;
  readonly host: Host;
  /** The message for a script that looks at its body, or not. */
  readonly view: (needsBody: boolean) => Promise<MessageView>;
  /** For the log. */
  readonly about: { readonly trace: string; readonly account: string };
}

export async function runChain({ rows, scripts, host, view, about }: ChainInput): Promise<Decision> {
  const began = performance.now();
  const actions: Exclude<Action, Keep | { kind: "discard" }>[] = [];
  const remembered: Remembered[] = [];
  const trace: string[] = [];
  let keep: Keep | null = { kind: "keep", flags: null, header: null };
  let explicitKeep = false;
  let fault: Decision["fault"] = null;
  let header: Header = null;
  for (const row of rows) {
    const result = await compiledScript(row, scripts);
    const failed = (why: ScriptFault) => {
      runs.inc({ scope: row.scope, outcome: "failed" });
      log.warn("script {script} of {scope} {owner} failed: {why}", {
        ...about,
        ...{ script: row.name, scope: row.scope, owner: row.owner, why: faultText(why) },
      });
      trace.push(`${row.name}: ${faultText(why)}`);
      if (row.scope === "user") fault = { script: row, text: faultText(why) };
    };
    if ("faults" in result) {
      failed(result.faults[0]!);
      continue;
    }
    const { program } = result;
    const outcome = program.run(await view(program.needsBody), host, { header });
    if (outcome.fault !== null) {
      failed(outcome.fault);
      continue;
    }
    runs.inc({ scope: row.scope, outcome: "done" });
    remembered.push(...outcome.remembered);
    trace.push(...outcome.trace.map((line) => `${row.name}: ${line}`));
    let asked: Keep | null = null;
    for (const action of outcome.actions) {
      actionsTotal.inc({ action: action.kind });
      if (action.kind === "keep") asked = action;
      else if (action.kind !== "discard") actions.push(action);
    }
    ({ header } = outcome);
    explicitKeep = asked !== null;
    keep = asked ?? outcome.implicitKeep;
    if (keep === null) break;
  }
  seconds.observe((performance.now() - began) / 1000);
  return { actions, keep, explicitKeep, remembered, fault, header, trace };
}

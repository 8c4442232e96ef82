/** Commands that steer: stop (RFC 5228 3.3), error (RFC 5463 5.), include, return, global (RFC 6609), loops (RFC 5703). */
import { type CommandSpec, constantAt, has, tagText, textAt, textsAt } from "../grammar.ts";
import { everyPart } from "../message_view.ts";
import { type Frame, ScriptError, type Signal } from "../run.ts";
import { variableName } from "../text.ts";

const NO_NAMESPACES: ReadonlySet<string> = new Set();
/** RFC 5804 1.6. */
// deno-lint-ignore no-control-regex
const SCRIPT_NAME = /^[^\x00-\x1f\x7f-\x9f\u2028\u2029/]{1,128}$/;

export function isScriptName(name: string): boolean {
  return SCRIPT_NAME.test(name);
}

export const stop: CommandSpec = { compile: () => () => ({ kind: "stop" }) };

export const error: CommandSpec = {
  extensions: ["ihave"],
  positional: ["string"],
  compile(call) {
    const message = textAt(call, 0);
    return (run) => {
      throw new ScriptError(message.expand(run).slice(0, 500));
    };
  },
};

export const returns: CommandSpec = {
  extensions: ["include"],
  compile: () => () => ({ kind: "return" }),
};

export const include: CommandSpec = {
  extensions: ["include"],
  tags: {
    personal: { group: "location" },
    global: { group: "location" },
    once: {},
    optional: {},
  },
  positional: ["string"],
  compile(call) {
    const text = textAt(call, 0);
    const name = constantAt(call, text);
    if (!isScriptName(name)) call.place.fault(text.at, "this is no name of a script");
    const location = has(call, "global") ? "global" : "personal";
    const step = call.place.include({ location, name, at: call.at });
    const once = has(call, "once");
    const optional = has(call, "optional");
    const id = `${location}/${name}`;
    return (run): Signal | void => {
      if (once && run.included.has(id)) return;
      if (step === null) {
        if (optional) return;
        throw new ScriptError(`there is no script "${name}"`);
      }
      run.included.add(id);
      const outer = run.frame;
      run.frame = { variables: new Map(), globals: new Set() };
      const signal = step(run);
      run.frame = outer;
      // 3.3: return ends the included script alone.
      return signal?.kind === "stop" ? signal : undefined;
    };
  },
};

export const global: CommandSpec = {
  extensions: ["include"],
  positional: ["strings"],
  compile(call) {
    if (!call.place.enabled("variables")) call.place.fault(call.at, 'global needs require "variables"');
    const names = textsAt(call, 0).map((text) => {
      const name = variableName(constantAt(call, text), NO_NAMESPACES);
      if (name === null) call.place.fault(text.at, "this is no name of a variable");
      return name ?? "";
    });
    return ({ frame }: { frame: Frame }) => {
      for (const name of names) {
        if (frame.variables.has(name)) throw new ScriptError(`"${name}" was set before it became global`);
        frame.globals.add(name);
      }
    };
  },
};

/** 3.: all parts of the message, or those inside the part that the loop around is at. */
export const foreverypart: CommandSpec = {
  extensions: ["foreverypart"],
  tags: { name: { value: "string" } },
  block: true,
  compile(call) {
    const text = tagText(call, "name");
    const name = text === null ? null : constantAt(call, text);
    const { block } = call;
    call.place.needBody();
    return (run): Signal | void => {
      const around = run.parts[run.parts.length - 1];
      const parts = [...everyPart(around ?? run.message.root)].slice(around === undefined ? 0 : 1);
      run.spend(parts.length);
      for (const part of parts) {
        run.parts.push(part);
        const signal = block(run);
        run.parts.pop();
        if (signal === undefined) continue;
        if (signal?.kind !== "break") return signal;
        if (signal.loop === null || signal.loop === name) return;
        return signal;
      }
    };
  },
};

export const breaks: CommandSpec = {
  extensions: ["foreverypart"],
  tags: { name: { value: "string" } },
  compile(call) {
    const text = tagText(call, "name");
    const loop = text === null ? null : constantAt(call, text);
    return () => ({ kind: "break", loop });
  },
};

/** A syntax tree as text again, in one layout. What it prints parses to the same tree. Pure. */
import type { ArgumentNode, Node } from "./syntax.ts";

export function printScript(commands: readonly Node[]): string {
  return commands.map((command) => printCommand(command, "")).join("");
}

export function quoted(text: string): string {
  return `"${text.replace(/["\\]/g, "\\$&")}"`;
}

function printCommand(command: Node, indent: string): string {
  const head = indent + printHead(command);
  if (command.block === null) return `${head};\r\n`;
  const inside = command.block.map((inner) => printCommand(inner, `${indent}  `)).join("");
  return `${head} {\r\n${inside}${indent}}\r\n`;
}

/** A command without its block, or a test. */
export function printHead({ name, arguments: given, tests }: Node): string {
  const words = [name, ...given.map(printArgument)];
  if (tests.length === 1) words.push(printHead(tests[0]!));
  else if (tests.length > 1) words.push(`(${tests.map(printHead).join(", ")})`);
  return words.join(" ");
}

function printArgument(argument: ArgumentNode): string {
  switch (argument.kind) {
    case "tag":
      return `:${argument.name}`;
    case "number":
      return String(argument.value);
    case "strings": {
      const strings = argument.values.map(({ text }) => quoted(text));
      return argument.list ? `[${strings.join(", ")}]` : strings[0]!;
    }
    default:
      return argument satisfies never;
  }
}

import type { Signal } from "../signal.ts";
import { PROGRAM } from "../kinds.ts";

export const attachedProgram: Signal = {
  name: "attached-program",
  weight: 3,
  explain: "a program is attached to it",
  find: ({ mail }) => mail.leaves.some(({ name }) => PROGRAM.test(name)),
};

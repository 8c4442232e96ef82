/** `veredus index`: the full-text index of an account. */
import { fields, size } from "../output.ts";
import { progressBar } from "../progress.ts";
import { type Commands, segment } from "../shell.ts";

interface Index {
  readonly messages: number;
  readonly total: number;
  readonly waiting: number;
  readonly octets: number;
}

/** Between two looks at how far it is. */
const LOOK_MS = 200;

export function indexCommands(commands: Commands): void {
  const index = commands.program.command("index").description("full-text indexes of accounts");

  commands.leaf(index, {
    usage: "show <account>",
    about: "show how far the index of an account is",
    work: async (shell, account) => {
      const state = await shell.get(`/accounts/${segment(account!)}/index`) as Index;
      shell.print(state, words(state));
    },
  });

  commands.leaf(index, {
    usage: "rebuild <account>",
    about: "make the index of an account anew; searches work meanwhile",
    work: async (shell, account) => {
      const path = `/accounts/${segment(account!)}/index`;
      let state = await shell.send({ method: "POST", path: `${path}/rebuild` }) as Index;
      const bar = await progressBar("index");
      try {
        while (state.messages < state.total) {
          bar.update({ done: state.messages, total: state.total });
          await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
          state = await shell.get(path) as Index;
        }
      } finally {
        bar.stop();
      }
      shell.print(state, words(state));
    },
  });
}

function words({ messages, total, waiting, octets }: Index): string {
  return fields({
    messages: `${messages} of ${total}`,
    ...(waiting > 0 && { "attached files": `of ${waiting} messages not read` }),
    size: size(octets),
  });
}

/** `veredus spam`: what the filter finds in a message, what accounts have taught it, their rules. */
import { CliFailure } from "../context.ts";
import { fields, table } from "../output.ts";
import { type Commands, segment } from "../shell.ts";

interface Verdict {
  readonly points: number;
  readonly hits: readonly { readonly name: string; readonly points: number; readonly explain: string }[];
  readonly marks: readonly string[];
}
interface Stats {
  readonly spam: number;
  readonly ham: number;
  readonly waiting: number;
  readonly rules: string;
}
interface Signals {
  readonly items: readonly { readonly name: string; readonly points: number; readonly explain: string }[];
}

/** What fits into a request. */
const MAX_OCTETS = 700 * 1024;

export function spamCommands(commands: Commands): void {
  const spam = commands.program.command("spam").description("the spam filter");

  commands.leaf<{ account?: string }>(spam, {
    usage: "test <message>",
    about: "judge a message in a file (- reads it from the standard input): its points and why",
    work: async (shell, file = "") => {
      const { account } = shell.options;
      const body = { message: await base64Of(file), ...(account !== undefined && { account }) };
      const verdict = await shell.send({ method: "POST", path: "/spam/test", body }) as Verdict;
      const { points, hits, marks } = verdict;
      const rows = table(hits, [
        ["POINTS", (hit) => hit.points.toFixed(2)],
        ["SIGNAL", (hit) => hit.name],
        ["WHY", (hit) => hit.explain],
      ]);
      shell.print(
        verdict,
        [`${points.toFixed(2)} points`, ...(hits.length > 0 ? [rows] : []), ...marks].join("\n"),
      );
    },
  }).option("--account <ADDRESS>", "with what this account has taught");

  commands.leaf<{ as?: string }>(spam, {
    usage: "learn <account> <message>",
    about: "teach a message in a file as --as spam or ham, or take it back (nothing)",
    work: async (shell, account = "", file = "") => {
      const as = shell.options.as ?? "";
      if (!["spam", "ham", "nothing"].includes(as)) {
        throw new CliFailure("--as is spam, ham or nothing", { exit: "usage" });
      }
      const body = { as, message: await base64Of(file) };
      const stats = await shell.send({
        method: "POST",
        path: `/accounts/${segment(account)}/spam/lessons`,
        body,
      });
      shell.print(stats as Stats, words(stats as Stats));
    },
  }).option("--as <KIND>", "spam, ham or nothing");

  commands.leaf(spam, {
    usage: "stats <account>",
    about: "show what an account has taught, and its rules",
    work: async (shell, account = "") => {
      const stats = await shell.get(`/accounts/${segment(account)}/spam`) as Stats;
      shell.print(stats, words(stats));
    },
  });

  commands.leaf(spam, {
    usage: "rules <account> <rules>",
    about:
      'set the rules of an account, as in "mark 3 junk 5 refuse off"; "" takes those of its domain and the server',
    work: async (shell, account = "", rules = "") => {
      const path = `/accounts/${segment(account)}/spam/rules`;
      const stats = await shell.send({ method: "PUT", path, body: { rules } }) as Stats;
      shell.print(stats, words(stats));
    },
  });

  commands.leaf(spam, {
    usage: "forget <account>",
    about: "forget everything that an account has taught",
    work: async (shell, account = "") => {
      await shell.send({ method: "DELETE", path: `/accounts/${segment(account)}/spam/lessons` });
      shell.print({ account }, `what ${account} has taught is forgotten`);
    },
  });

  commands.leaf(spam, {
    usage: "signals",
    about: "list all signals with their points",
    work: async (shell) => {
      const { items } = await shell.get("/spam/signals") as Signals;
      shell.print(
        items,
        table(items, [
          ["SIGNAL", (one) => one.name],
          ["POINTS", (one) => one.points],
          ["MEANS", (one) => one.explain],
        ]),
      );
    },
  });
}

function words({ spam, ham, waiting, rules }: Stats): string {
  return fields({ spam, ham, waiting, rules: rules === "" ? "of the domain and the server" : rules });
}

async function base64Of(file: string): Promise<string> {
  try {
    const octets = file === "-"
      ? new Uint8Array(await new Response(Deno.stdin.readable).arrayBuffer())
      : await Deno.readFile(file);
    return octets.subarray(0, MAX_OCTETS).toBase64();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound || error instanceof Deno.errors.PermissionDenied)) {
      throw error;
    }
    throw new CliFailure(`${file}: ${error.message}`);
  }
}

/**
 * `veredus sieve`: scripts of the server, domains and accounts; checks and trials of script files, which need no server.
 */
import { faultText } from "../../../sieve/fault.ts";
import { CliFailure } from "../context.ts";
import { cell, table } from "../output.ts";
import { progressBar } from "../progress.ts";
import { type Commands, segment, type Shell } from "../shell.ts";

interface Entry {
  readonly name: string;
  readonly octets: number;
  readonly active: boolean;
  readonly updated: string;
}

interface RunPage {
  readonly next: number | null;
  readonly looked: number;
  readonly changed: number;
  readonly total: number;
  readonly results: readonly { readonly uid: number; readonly actions: readonly string[] }[];
}

const OWNER = "an account's address, a domain's name, `server` or `after`";
/** Lines shown of a run; `--json` has them all. */
const MAX_SHOWN = 50;

export function sieveCommands(commands: Commands): void {
  const sieve = commands.program.command("sieve").description("filter scripts");

  const check = sieve.command("check <file>").description("check a script; faults have line and column")
    .option("--json", "print JSON")
    .action(async () => await checkFile(check.processedArgs[0] as string, check.opts()));

  const test = sieve.command("test <script> <message>")
    .description("what a script would do with a message (a file, RFC 5322), and why")
    .option("--from <ADDRESS>", "sender of the envelope")
    .option("--to <ADDRESS>", "recipient of the envelope")
    .option("--json", "print JSON")
    .action(async () => {
      const [script, message] = test.processedArgs as [string, string];
      await testFile({ script, message }, test.opts());
    });

  commands.leaf(sieve, {
    usage: "list <owner>",
    about: `scripts of ${OWNER}`,
    work: async (shell, owner = "") => {
      const { items } = await shell.get(pathOf(owner)) as { items: Entry[] };
      shell.print(
        items,
        items.length === 0 ? `${cell(owner)} has no scripts` : table(items, [
          ["NAME", ({ name }) => name],
          ["ACTIVE", ({ active }) => active],
          ["OCTETS", ({ octets }) => octets],
          ["UPDATED", ({ updated }) => updated],
        ]),
      );
    },
  });

  commands.leaf(sieve, {
    usage: "show <owner> <name>",
    about: "print a script",
    work: async (shell, owner = "", name = "") => {
      const script = await shell.get(`${pathOf(owner)}/${segment(name)}`) as { content: string };
      shell.print(script, script.content);
    },
  });

  commands.leaf<{ activate?: boolean }>(sieve, {
    usage: "put <owner> <name> <file>",
    about: "store a script from a file",
    work: async (shell, owner = "", name = "", file = "") => {
      const content = await Deno.readTextFile(file).catch((error) => unreadable(file, error));
      const body = { content };
      const stored = await shell.send({ method: "PUT", path: `${pathOf(owner)}/${segment(name)}`, body });
      if (shell.options.activate === true) await activate(shell, owner, name);
      shell.print(
        stored as object,
        `stored ${name}${shell.options.activate === true ? ", it is active" : ""}`,
      );
    },
  }).option("--activate", "make it the active one");

  commands.leaf(sieve, {
    usage: "activate <owner> <name>",
    about: "make a script the active one",
    work: async (shell, owner = "", name = "") => {
      await activate(shell, owner, name);
      shell.print({ active: name }, `${name} is active`);
    },
  });

  commands.leaf(sieve, {
    usage: "deactivate <owner>",
    about: "no script is active; all stay stored",
    work: async (shell, owner = "") => {
      await activate(shell, owner, null);
      shell.print({ active: null }, `no script of ${owner} is active`);
    },
  });

  commands.leaf(sieve, {
    usage: "remove <owner> <name>",
    about: "remove a script that is not active",
    work: async (shell, owner = "", name = "") => {
      await shell.send({ method: "DELETE", path: `${pathOf(owner)}/${segment(name)}` });
      shell.print({ removed: name }, `removed ${name}`);
    },
  });

  commands.leaf<{ dryRun?: boolean; folder: string }>(sieve, {
    usage: "run <account> <name>",
    about: "run a script over mail that is there; nothing is sent for old mail",
    work: async (shell, account = "", name = "") => await runOver(shell, account, name),
  }).option("--folder <NAME>", "mailbox to run over", "INBOX")
    .option("--dry-run", "tell what would happen and do nothing");
}

function pathOf(owner: string): string {
  if (owner === "server" || owner === "after") return `/scripts/${owner}/-`;
  return `/scripts/${owner.includes("@") ? "user" : "domain"}/${segment(owner)}`;
}

async function activate(shell: Shell<unknown>, owner: string, name: string | null): Promise<void> {
  await shell.send({ method: "PUT", path: pathOf(owner), body: { name } });
}

async function runOver(
  shell: Shell<{ dryRun?: boolean; folder: string }>,
  account: string,
  name: string,
): Promise<void> {
  const dryRun = shell.options.dryRun === true;
  const bar = await progressBar("sieve");
  const results: RunPage["results"][number][] = [];
  let looked = 0, changed = 0, total: number | null = null;
  try {
    for (let after: number | null = 0; after !== null;) {
      const body: object = { mailbox: shell.options.folder, dryRun, after };
      const path = `${pathOf(account)}/${segment(name)}/run`;
      const page = await shell.send({ method: "POST", path, body }) as RunPage;
      results.push(...page.results);
      looked += page.looked;
      changed += page.changed;
      after = page.next;
      total ??= page.total; // what is moved away is no longer counted
      bar.update({ done: looked, total: Math.max(looked, total) });
    }
  } finally {
    bar.stop();
  }
  const lines = results.slice(0, MAX_SHOWN).map(({ uid, actions }) => `${uid}: ${actions.join(", ")}`);
  if (results.length > MAX_SHOWN) lines.push(`... and ${results.length - MAX_SHOWN} more`);
  lines.push(`${looked} messages, ${changed} ${dryRun ? "would change" : "changed"}`);
  shell.print({ looked, changed, dryRun, results }, lines.join("\n"));
}

async function checkFile(file: string, options: { json?: boolean }): Promise<void> {
  const octets = await Deno.readFile(file).catch((error) => unreadable(file, error));
  const { compileScript } = await import("../../../sieve/program.ts");
  const compiled = await compileScript(octets);
  const faults = "faults" in compiled ? compiled.faults : [];
  if (options.json === true) console.log(JSON.stringify({ ok: faults.length === 0, faults }));
  else console.log(faults.length === 0 ? `${file}: no faults` : faults.map(faultText).join("\n"));
  if (faults.length > 0) throw new CliFailure(`${file} has ${faults.length} faults`, { exit: "found" });
}

async function testFile(
  { script, message }: { readonly script: string; readonly message: string },
  options: { from?: string; to?: string; json?: boolean },
): Promise<void> {
  const [source, octets] = await Promise.all([
    Deno.readFile(script).catch((error) => unreadable(script, error)),
    Deno.readFile(message).catch((error) => unreadable(message, error)),
  ]);
  const [{ compileScript }, { MessageView }, { EMPTY_HOST }, { explained }] = await Promise.all([
    import("../../../sieve/program.ts"),
    import("../../../sieve/message_view.ts"),
    import("../../../sieve/host.ts"),
    import("../../../sieve/explain.ts"),
  ]);
  const compiled = await compileScript(source);
  if ("faults" in compiled) {
    throw new CliFailure(compiled.faults.map(faultText).join("\n"), { exit: "found" });
  }
  const view = new MessageView(octets);
  const outcome = compiled.program.run(view, {
    ...EMPTY_HOST,
    envelope: { from: options.from ?? view.addressIn("return-path"), to: options.to ?? view.addressIn("to") },
    now: Date.now(),
    mailboxExists: () => true,
  });
  const { fault, trace, actions, implicitKeep } = outcome;
  const why = explained(outcome, compiled.program.source);
  if (options.json === true) {
    console.log(JSON.stringify({ actions, implicitKeep, fault, trace, why }, withoutHeaders));
  } else if (fault === null) console.log(why.join("\n"));
  else console.log(`${faultText(fault)}\nimplicit keep`);
}

/** Changed headers are shown as their fields. */
function withoutHeaders(key: string, value: unknown): unknown {
  if (key !== "header" || !Array.isArray(value)) return value;
  return value.map(({ written, text }: { written: string; text: string }) => `${written}: ${text}`);
}

function unreadable(file: string, error: unknown): never {
  throw new CliFailure(`${file}: ${error instanceof Error ? error.message : String(error)}`);
}

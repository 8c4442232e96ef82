/** The script repository of one account as ManageSieve sees it: each command answered (RFC 5804 2.5 to 2.12). */
import { utf8 } from "../../bytes/decode.ts";
import type { ManageSieveSession, ScriptCommand } from "../../protocols/managesieve/session.ts";
import { faultText } from "../../sieve/fault.ts";
import { compileScript } from "../../sieve/program.ts";
import type { WriteOp } from "../../storage/ops.ts";
import { MAX_SCRIPTS, MAX_SCRIPTS_OCTETS } from "../../storage/scripts.ts";
import type { Store } from "../../storage/store.ts";

export async function perform(
  session: ManageSieveSession,
  { store, accountId, scriptOctets }: {
    readonly store: Store;
    readonly accountId: number;
    readonly scriptOctets: number;
  },
  command: ScriptCommand,
): Promise<void> {
  const owner = String(accountId);
  const scope = "user" as const;
  const { scripts } = store;
  const write = (op: WriteOp) => answered(session, store, op);
  switch (command.verb) {
    case "LISTSCRIPTS":
      return session.listed(scripts.list(scope, owner));
    case "GETSCRIPT": {
      const found = scripts.script(scope, owner, command.name);
      return found === null
        ? session.refuse("NONEXISTENT", "There is no such script")
        : session.script(found.content);
    }
    case "CHECKSCRIPT":
    case "PUTSCRIPT": {
      // RFC 5804 2.6: what is stored is valid.
      const compiled = await compileScript(command.script);
      if ("faults" in compiled) return session.refuse("", compiled.faults.map(faultText).join("\r\n"));
      if (command.verb === "CHECKSCRIPT") return session.ok();
      const content = utf8(command.script);
      return await write({ kind: "put-script", scope, owner, name: command.name, content });
    }
    case "HAVESPACE": {
      const all = scripts.list(scope, owner);
      const known = all.find(({ name }) => name === command.name);
      const used = all.reduce((sum, { octets }) => sum + octets, 0) - (known?.octets ?? 0);
      if (command.octets > scriptOctets || used + command.octets > MAX_SCRIPTS_OCTETS) {
        return session.refuse("QUOTA/MAXSIZE", "There is no room for so many octets");
      }
      if (known === undefined && all.length >= MAX_SCRIPTS) {
        return session.refuse("QUOTA/MAXSCRIPTS", `At most ${MAX_SCRIPTS} scripts`);
      }
      return session.ok();
    }
    case "SETACTIVE":
      return await write({
        kind: "activate-script",
        scope,
        owner,
        name: command.name === "" ? null : command.name,
      });
    case "DELETESCRIPT":
      return await write({ kind: "remove-script", scope, owner, name: command.name });
    case "RENAMESCRIPT":
      return await write({ kind: "rename-script", scope, owner, from: command.name, to: command.to });
    default:
      return command satisfies never;
  }
}

async function answered(session: ManageSieveSession, store: Store, op: WriteOp): Promise<void> {
  const result = await store.write(op);
  if (result.ok) return session.ok();
  switch (result.fault) {
    case "no-such-script":
      return session.refuse("NONEXISTENT", "There is no such script");
    case "already-exists":
      return session.refuse("ALREADYEXISTS", "There is a script of this name");
    case "not-permitted":
      return session.refuse("ACTIVE", "The script is active");
    case "limit":
      return session.refuse("QUOTA/MAXSCRIPTS", `At most ${MAX_SCRIPTS} scripts`);
    case "over-quota":
      return session.refuse("QUOTA/MAXSIZE", `At most ${MAX_SCRIPTS_OCTETS} octets of scripts`);
    default:
      return session.refuse("TRYLATER", "Not possible just now, try again");
  }
}

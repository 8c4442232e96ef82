/**
 * Leaves root: this process becomes the same program under another user, with CAP_NET_BIND_SERVICE and nothing else.
 *
 * `setpriv` of util-linux does it, put in our place by execvp: the process id stays, and no process of root is left.
 * It happens before anything is bound or opened, because a later bind for a reloaded certificate or a restarted front
 * end must be done by the same user.
 */
import { giveFolder } from "../../storage/data_folder.ts";
import { ownCommand } from "./own_command.ts";

/** It cannot be done; the message says what to do. */
export class CannotBecome extends Error {
  override readonly name = "CannotBecome";
}

export interface UserIds {
  readonly uid: number;
  readonly gid: number;
}

/** Asks the system (passwd, LDAP, whatever it has). Throws {@linkcode CannotBecome}. */
function idsOf(user: string): UserIds {
  const uid = ask("-u", user), gid = ask("-g", user);
  if (uid === 0) throw new CannotBecome(`the user ${user} is root, which the server must not be`);
  return { uid, gid };
}

function ask(option: "-u" | "-g", user: string): number {
  const { success, stdout, stderr } = new Deno.Command("id", { args: [option, "--", user] }).outputSync();
  if (success) return Number(new TextDecoder().decode(stdout).trim());
  throw new CannotBecome(
    `there is no user ${user} (${new TextDecoder().decode(stderr).trim()}): ` +
      `useradd --system --shell /usr/sbin/nologin ${user}`,
  );
}

/** The command line that starts `command` under the user. */
function setprivCommand(
  user: string,
  ids: UserIds,
  options: { command: readonly string[]; bindLowPorts: boolean },
): string[] {
  const capabilities = options.bindLowPorts ? "-all,+net_bind_service" : "-all";
  return [
    "setpriv",
    `--reuid=${ids.uid}`,
    `--regid=${ids.gid}`,
    ...(user === "" ? ["--clear-groups"] : ["--init-groups"]),
    `--inh-caps=${capabilities}`,
    `--ambient-caps=${capabilities}`,
    `--bounding-set=${capabilities}`,
    "--no-new-privs",
    "--",
    ...options.command,
  ];
}

/** Starts this program again as the user, with its own arguments. Does not return. */
export function become(user: string, options: { bindLowPorts: boolean }): never {
  execute(setprivCommand(user, idsOf(user), { ...options, command: [...ownCommand(), ...Deno.args] }));
}

/** The same for an owner who is known by number only. */
export function becomeOwner(ids: UserIds): never {
  execute(setprivCommand("", ids, { bindLowPorts: false, command: [...ownCommand(), ...Deno.args] }));
}

/** execvp(3): returns only when it failed. */
function execute(command: readonly string[]): never {
  const why = `to leave root, setpriv (package util-linux) is needed: ${command.join(" ")}`;
  let libc;
  try {
    libc = Deno.dlopen("libc.so.6", { execvp: { parameters: ["buffer", "buffer"], result: "i32" } });
  } catch (error) {
    throw new CannotBecome(`${why} (${error instanceof Error ? error.message : error})`);
  }
  const texts = command.map((text) => new TextEncoder().encode(`${text}\0`));
  const pointers = new BigUint64Array(texts.length + 1); // ends with a null pointer
  texts.forEach((text, at) => pointers[at] = BigInt(Deno.UnsafePointer.value(Deno.UnsafePointer.of(text))));
  libc.symbols.execvp(texts[0]!, pointers);
  throw new CannotBecome(`${why} (it could not be run)`);
}

/** Makes a missing data folder the user's own; says what to do about one that belongs to somebody else. */
export function prepareDataFolder(path: string, user: string): void {
  const { uid, gid } = idsOf(user);
  try {
    const { uid: owner } = Deno.statSync(path);
    if (owner === uid) return;
    throw new CannotBecome(
      `the data folder ${path} belongs to user id ${owner}, not to ${user}: chown -R ${user}: ${path}`,
    );
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  Deno.mkdirSync(path, { recursive: true, mode: 0o700 });
  giveFolder(path, { uid, gid });
}

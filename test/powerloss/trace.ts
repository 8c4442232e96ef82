/**
 * Reads what `strace -f -y -xx` saw of a server: every change to files of its data folder and every octet sent to
 * a peer, in the order of the system calls.
 *
 * A call that another thread's call interrupts in the listing ("unfinished ... resumed") counts from its first line
 * to its second: a sync covers only what was written before it began, and holds only once it returned.
 */
import { joined } from "../../bytes/joined.ts";

export type TraceEvent =
  | { readonly kind: "create"; readonly path: string }
  | { readonly kind: "mkdir"; readonly path: string }
  | { readonly kind: "write"; readonly path: string; readonly offset: number; readonly data: Uint8Array }
  | { readonly kind: "size"; readonly path: string; readonly size: number; readonly grow: boolean }
  /** `began` is the number of events listed before the call began. */
  | { readonly kind: "sync"; readonly path: string; readonly began: number }
  /** The kernel may have dropped what waited for it, and a later sync knows nothing of it. */
  | { readonly kind: "sync-failed"; readonly path: string }
  | { readonly kind: "rename"; readonly from: string; readonly to: string }
  | { readonly kind: "unlink"; readonly path: string }
  | { readonly kind: "sent"; readonly text: string };

/** The system calls the recorder asks strace for. */
export const TRACED_CALLS = [
  ..."openat,open,creat,write,pwrite64,writev,pwritev,pwritev2,lseek,ftruncate,truncate,fallocate".split(","),
  ..."fsync,fdatasync,sync_file_range,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat".split(","),
  ..."sendto,sendmsg,copy_file_range,sendfile,io_uring_setup,dup,dup2,dup3,fcntl".split(","),
];

const CALL = /^(\d+) +(\w+)\((.*)$/s;
const RESUMED = /^(\d+) +<\.\.\. (\w+) resumed>(.*)$/s;
const UNFINISHED = / <unfinished \.\.\.>$/;

/** Where the next write of an open file goes; descriptors made by `dup` share it. */
interface Position {
  /** -1: at the end, wherever that is. */
  at: number;
}

interface Call {
  readonly name: string;
  readonly args: string;
  readonly result: string;
  readonly began: number;
}

/** Appends the events under `root` of one process to those of the processes before it. */
export function parseTrace(listing: string, root: string, events: TraceEvent[]): void {
  const open = new Map<string, { name: string; args: string; began: number }>();
  const positions = new Map<string, Position>();
  for (const line of listing.split("\n")) {
    const resumed = RESUMED.exec(line);
    if (resumed !== null) {
      const [, pid = "", name = "", rest = ""] = resumed;
      const begun = open.get(pid + name);
      open.delete(pid + name);
      if (begun === undefined) continue;
      const call = finish({ ...begun, args: begun.args + rest });
      if (call !== null) record(call);
      continue;
    }
    const match = CALL.exec(line);
    if (match === null) continue;
    const [, pid = "", name = "", args = ""] = match;
    if (UNFINISHED.test(args)) {
      open.set(pid + name, { name, args: args.replace(UNFINISHED, ""), began: events.length });
    } else {
      const call = finish({ name, args, began: events.length });
      if (call !== null) record(call);
    }
  }

  function record(call: Call): void {
    const event = eventOf(call, { root, positions });
    if (event !== null) events.push(event);
  }
}

/** Calls that send to a peer, if their descriptor is a socket. */
const SENDS: ReadonlySet<string> = new Set(["write", "writev", "sendto", "sendmsg"]);

/**
 * Splits `args) = result`; null for calls that failed, except syncs: what one of them did not do matters. Of a call in which
 * the process was killed (`?`) the peer may have what it sent.
 */
function finish(call: { name: string; args: string; began: number }): Call | null {
  const split = /^(.*)\)\s+= (.*)$/s.exec(call.args);
  if (split === null) return null;
  const [, args = "", result = ""] = split;
  if (result.startsWith("?") && !SENDS.has(call.name)) return null;
  if (result.startsWith("-1") && call.name !== "fsync" && call.name !== "fdatasync") return null;
  return { name: call.name, args, result, began: call.began };
}

function eventOf(
  call: Call,
  context: { root: string; positions: Map<string, Position> },
): TraceEvent | null {
  const { root, positions } = context;
  const { name, args, result } = call;
  // The trace of messages is told when it is told: nothing that is acknowledged hangs on it.
  const told = (path: string) => /\/data\/trace\//.test(path);
  const inside = (path: string) => (path === root || path.startsWith(root + "/")) && !told(path);
  if (name === "openat" || name === "open" || name === "creat") {
    const opened = /^(\d+)<([^>]*)>/.exec(result);
    if (opened === null) return null;
    const path = decodePath(opened[2] ?? "");
    if (!inside(path)) return null;
    positions.set(opened[1] + path, { at: args.includes("O_APPEND") ? -1 : 0 });
    if (args.includes("O_TRUNC")) return { kind: "size", path, size: 0, grow: false };
    return args.includes("O_CREAT") ? { kind: "create", path } : null;
  }
  if (name.startsWith("rename")) {
    const [from = "", to = ""] = strings(args);
    return inside(to) ? { kind: "rename", from, to } : null;
  }
  if (name.startsWith("unlink")) {
    const [path = ""] = strings(args);
    return inside(path) ? { kind: "unlink", path } : null;
  }
  if (name.startsWith("mkdir")) {
    const [path = ""] = strings(args);
    return inside(path) ? { kind: "mkdir", path } : null;
  }
  const file = /^(\d+)<([^>]*)>/.exec(args);
  if (file === null) return null;
  const [, fd = "", hexPath = ""] = file;
  const path = decodePath(hexPath);
  if (!inside(path)) {
    if (!SENDS.has(name)) return null;
    return path.startsWith("socket:") || path.startsWith("TCP")
      ? { kind: "sent", text: strings(args).join("") }
      : null;
  }
  if (result.startsWith("?")) return null; // whether a write of a killed process reached its file is not known
  const key = fd + path;
  const position = (key: string): Position => {
    const known = positions.get(key);
    if (known === undefined) throw new Error(`the trace does not tell where ${key} was opened`);
    return known;
  };
  switch (name) {
    case "lseek":
      position(key).at = Number(result);
      return null;
    case "dup":
    case "dup2":
    case "dup3":
    case "fcntl": {
      const copy = /^(\d+)</.exec(result);
      if (copy !== null) positions.set(copy[1] + path, position(key));
      return null;
    }
    case "write":
    case "writev": {
      const place = position(key);
      const offset = place.at;
      const data = octets(args).subarray(0, Number(result));
      if (offset < 0) throw new Error(`an append to ${path} cannot be placed`);
      place.at = offset + data.length;
      return { kind: "write", path, offset, data };
    }
    case "pwrite64":
      return { kind: "write", path, offset: Number(/, (\d+)$/.exec(args)?.[1]), data: octets(args) };
    case "ftruncate":
    case "truncate":
      return { kind: "size", path, size: Number(/, (\d+)$/.exec(args)?.[1]), grow: false };
    case "fallocate": {
      const [, mode, offset, length] = /, (\w+), (\d+), (\d+)$/.exec(args) ?? [];
      if (mode !== "0") throw new Error(`fallocate with mode ${mode} is not understood`);
      return { kind: "size", path, size: Number(offset) + Number(length), grow: true };
    }
    case "fsync":
    case "fdatasync":
      return result === "0" || result === "0 (DELAYED)"
        ? { kind: "sync", path, began: call.began }
        : { kind: "sync-failed", path };
    default:
      throw new Error(`the trace has a call that the recorder does not understand: ${name} on ${path}`);
  }
}

function decodePath(hex: string): string {
  return new TextDecoder().decode(decodeHex(hex));
}

function strings(args: string): string[] {
  return [...args.matchAll(/"((?:\\x[0-9a-f]{2})*)"/g)].map((match) => decodePath(match[1] ?? ""));
}

function octets(args: string): Uint8Array {
  if (args.includes('"...')) throw new Error("strace cut a write short: raise its -s");
  const parts = [...args.matchAll(/"((?:\\x[0-9a-f]{2})*)"/g)].map((match) => decodeHex(match[1] ?? ""));
  return joined(parts);
}

function decodeHex(escaped: string): Uint8Array {
  const bytes = new Uint8Array(escaped.length / 4);
  for (let i = 0; i < bytes.length; i++) bytes[i] = parseInt(escaped.substr(i * 4 + 2, 2), 16);
  return bytes;
}

/** What Received lines say of a hop: used where only the octets of a message are known. */

const HOP = /^from\s+(\S+)\s*\(([^)]*)\)/i;
const PROVIDER = /^(?:[\w-]+\.)*(?:yahoo|hotmail|aol|msn|excite|lycos|netscape|gmail|mail)\.(?:com|net)$/i;

/** The host gave the name of a provider, and its address has another name or none. */
export function forged(line: string): boolean {
  const [, hello = "", rest = ""] = HOP.exec(line) ?? [];
  if (!PROVIDER.test(hello)) return false;
  const name = /(?:^|[\s@])((?:[a-z0-9_-]+\.)+[a-z]{2,})/i.exec(rest)?.[1]?.toLowerCase() ?? "";
  const base = hello.toLowerCase().split(".").slice(-2).join(".");
  return name === "" || !name.endsWith(base);
}

/** An address from outside stands there without a name. */
export function nameless(line: string): boolean {
  const [, , rest = ""] = HOP.exec(line) ?? [];
  const bare = /^\s*(?:unknown|unverified)?\s*\[?(\d+\.\d+\.\d+\.\d+)\]?\s*(?:\(.*)?$/.exec(rest)?.[1];
  return bare !== undefined && !/^(?:10\.|127\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.)/.test(bare);
}

export function numericHello(line: string): boolean {
  const hello = /^from\s+\[?(\d+\.\d+\.\d+\.\d+)\]?/i.exec(line)?.[1];
  return hello !== undefined && !/^(?:10\.|127\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.)/.test(hello);
}

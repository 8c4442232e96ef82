/** `host:port` or `[v6]:port` in texts of the configuration; null when it is neither. */
export function parseHostPort(value: string): { host: string; port: number } | null {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^\s:[\]]+)):(\d{1,5})$/.exec(value);
  const number = Number(match?.[3]);
  const host = match?.[1] ?? match?.[2];
  return host === undefined || number < 1 || number > 65_535 ? null : { host, port: number };
}

/** Host and port of `icap://HOST[:PORT]/SERVICE` (RFC 3507 4.2, port 1344); null when it is none. */
export function icapAddress(value: string): { host: string; port: number } | null {
  const match = /^icap:\/\/([^/\s]+)\/[!-~]*$/.exec(value);
  if (match === null) return null;
  const authority = match[1]!;
  return parseHostPort(/:\d+$/.test(authority) ? authority : `${authority}:1344`);
}

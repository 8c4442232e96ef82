/** `host:port` or `[v6]:port` in texts of the configuration; null when it is neither. */
export function parseHostPort(value: string): { host: string; port: number } | null {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^\s:[\]]+)):(\d{1,5})$/.exec(value);
  const number = Number(match?.[3]);
  const host = match?.[1] ?? match?.[2];
  return host === undefined || number < 1 || number > 65_535 ? null : { host, port: number };
}

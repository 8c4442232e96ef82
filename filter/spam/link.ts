/** Where links lead: the host, and what of the address is made to mislead. Read leniently, as browsers do. */

export interface Link {
  /** As it was written, at most {@linkcode MAX_LINK} characters. */
  readonly target: string;
  /** Lower case: "http", "https", "mailto" and so on. */
  readonly scheme: string;
  /** Lower case, without port; "" for mailto. */
  readonly host: string;
  readonly port: string;
  /** Before an "@" in the authority. */
  readonly user: string;
  readonly path: string;
  /** What is shown in its place; "" where it stands for itself. */
  readonly text: string;
}

const MAX_LINK = 2_000;
const FORM = /^\s*([a-z][a-z0-9+.-]{1,20}):(?:\/\/([^/?#\\]*))?([^]*)$/i;
const IN_TEXT = /\b(?:https?:\/\/|www\.)[^\s<>"'()\[\]{}]{1,1000}/gi;

/** Null for what is no absolute address. */
export function linkOf(target: string, text: string): Link | null {
  const cut = target.slice(0, MAX_LINK).trim();
  const match = FORM.exec(cut);
  if (match === null) return null;
  const [, scheme = "", authority = "", path = ""] = match;
  const at = authority.lastIndexOf("@");
  const [host = "", port = ""] = splitPort(authority.slice(at + 1));
  return {
    target: cut,
    scheme: scheme.toLowerCase(),
    host: unescaped(host).toLowerCase().replace(/\.+$/, ""),
    port,
    user: at < 0 ? "" : authority.slice(0, at),
    path,
    text,
  };
}

/** Addresses that stand in plain text. */
export function linksIn(text: string, most: number): Link[] {
  const links: Link[] = [];
  if (most <= 0 || !/https?:|www\./i.test(text)) return links;
  for (const [found] of text.matchAll(IN_TEXT)) {
    const plain = found.replace(/[.,;:!?]+$/, "");
    const link = linkOf(/^www\./i.test(plain) ? `http://${plain}` : plain, "");
    if (link !== null && link.host !== "") links.push(link);
    if (links.length >= most) break;
  }
  return links;
}

function splitPort(text: string): [string, string] {
  const colon = text.lastIndexOf(":");
  return colon < 0 || text.endsWith("]") ? [text, ""] : [text.slice(0, colon), text.slice(colon + 1)];
}

function unescaped(host: string): string {
  return host.includes("%")
    ? host.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)))
    : host;
}

export function isAddress(host: string): boolean {
  return /^(\d{1,3}(\.\d{1,3}){3}|\d{6,10}|0x[0-9a-f]{6,8}|\[[0-9a-f:.]+\])$/.test(host);
}

/** What signals ask of names of domains: whether two belong together, whether one looks like another. */
import { getDomain } from "tldts";
import { domainToUnicode } from "node:url";

/** Providers whose names are borrowed most, and a word that stands in the Received lines of their own mail. */
const PROVIDERS: ReadonlyMap<string, string> = new Map([
  ["yahoo.com", "yahoo"],
  ["yahoo.co.uk", "yahoo"],
  ["hotmail.com", "hotmail"],
  ["msn.com", "msn"],
  ["aol.com", "aol"],
  ["netscape.net", "netscape"],
  ["excite.com", "excite"],
  ["lycos.com", "lycos"],
  ["mail.com", "mail.com"],
  ["eudoramail.com", "lycos"],
  ["gmail.com", "google"],
  ["googlemail.com", "google"],
  ["outlook.com", "outlook"],
  ["icloud.com", "icloud"],
  ["mail.ru", "mail.ru"],
  ["gmx.de", "gmx"],
  ["gmx.net", "gmx"],
  ["web.de", "web.de"],
  ["qq.com", "qq.com"],
  ["163.com", "163.com"],
  ["yandex.ru", "yandex"],
]);

export const SHORTENERS: ReadonlySet<string> = new Set(
  "bit.ly tinyurl.com t.co goo.gl ow.ly is.gd buff.ly rebrand.ly cutt.ly shorturl.at rb.gy t.ly tiny.cc v.gd lnkd.in bl.ink s.id"
    .split(" "),
);

export function providerOf(domain: string): string | null {
  return PROVIDERS.get(domain) ?? null;
}

/** Answers kept: each message asks some ten times, mostly for the same few names. */
const MAX_KNOWN = 1_000;
const known = new Map<string, string>();

/** The registered domain, or the name itself where the list of suffixes knows none. */
export function registered(name: string): string {
  let answer = known.get(name);
  if (answer === undefined) {
    answer = getDomain(name) ?? name;
    if (known.size >= MAX_KNOWN) known.clear();
    known.set(name, answer);
  }
  return answer;
}

/** Both are below one registered domain. */
export function related(a: string, b: string): boolean {
  return a === b || registered(a) === registered(b);
}

/** A-labels whose characters are of several scripts, or of one that resembles Latin letter by letter. */
export function lookalike(host: string): boolean {
  if (!host.includes("xn--")) return false;
  const name = domainToUnicode(host);
  return name.split(".").some((label) => {
    const latin = /[a-z]/i.test(label);
    const other = /[\u0370-\u03ff\u0400-\u04ff\u0530-\u058f\u13a0-\u13ff]/.test(label);
    return other && (latin || /^[асԁеһіјӏорԛѕԝхуαβεικνορτυχ-]+$/.test(label));
  });
}

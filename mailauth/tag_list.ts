/** Tag lists (RFC 6376 3.2): `v=1; a=rsa-sha256; ...`, as in DKIM, DMARC and ARC. Pure. */

const NAME = /^[A-Za-z][A-Za-z0-9_]*$/;
const MAX_TAGS = 100;

/** Values by tag, white space around them removed; null when it is no list or a tag comes twice. */
export function parseTagList(text: string): Map<string, string> | null {
  const tags = new Map<string, string>();
  const parts = text.split(";");
  if (parts.length > MAX_TAGS) return null;
  for (const [at, part] of parts.entries()) {
    const equal = part.indexOf("=");
    if (equal < 0) {
      if (part.trim() === "" && at === parts.length - 1) continue; // a semicolon at the end
      return null;
    }
    const name = part.slice(0, equal).trim();
    if (!NAME.test(name) || tags.has(name)) return null;
    tags.set(name, part.slice(equal + 1).trim());
  }
  return tags;
}

/** A value in base64 with white space in it; null when it is none. */
export function base64Value(text: string | undefined): Uint8Array | null {
  if (text === undefined) return null;
  const compact = text.replace(/[ \t\r\n]+/g, "");
  if (compact === "" || !/^[A-Za-z0-9+/]+={0,2}$/.test(compact)) return null;
  try {
    return Uint8Array.fromBase64(compact);
  } catch {
    return null; // the decoder's only way to say "malformed"
  }
}

/** A list separated by colons, white space removed. */
export function colonList(text: string): string[] {
  return text.split(":").map((item) => item.trim());
}

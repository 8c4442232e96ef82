/**
 * DKIM signing (RFC 6376 5): relaxed/relaxed, the recommended fields with one more From, so that none can be added.
 *
 * The body is hashed as it streams ({@linkcode BodyHash}); the field is made when header and digest are there.
 */
import { canonicalField } from "./dkim_canonical.ts";
import { type SigningKey, signText } from "./sign_octets.ts";
import { HeaderFields } from "./signed_fields.ts";
import { withLineEnd } from "./dkim_verify.ts";

/** Signed where present (RFC 6376 5.4.1), and once more so that a second one breaks the signature. */
export const SIGNED_FIELDS = [
  ...["from", "reply-to", "subject", "date", "to", "cc", "message-id", "in-reply-to", "references"],
  ...["mime-version", "content-type", "content-transfer-encoding", "content-id", "content-description"],
  ...["resent-date", "resent-from", "resent-to", "resent-cc", "list-id", "list-help", "list-unsubscribe"],
  ...["list-unsubscribe-post", "list-subscribe", "list-post", "list-owner", "list-archive", "auto-submitted"],
];
const ONCE_MORE = ["from", "subject", "date", "to", "cc", "reply-to", "message-id", "content-type"];

/**
 * The DKIM-Signature field with its line end. `bodyHash` is the SHA-256 of the relaxed body, `now` in milliseconds.
 */
export async function signHeader(
  header: Uint8Array,
  { bodyHash, key, now }: { readonly bodyHash: Uint8Array; readonly key: SigningKey; readonly now: number },
): Promise<string> {
  const fields = new HeaderFields(header);
  const names = SIGNED_FIELDS.flatMap((name) => fields.named(name).map(() => name));
  names.push(...ONCE_MORE);
  const seconds = Math.floor(now / 1000);
  const unsigned = [
    `DKIM-Signature: v=1; a=${key.kind}-sha256; c=relaxed/relaxed; d=${key.domain};`,
    `\ts=${key.selector}; t=${seconds};`,
    `\th=${foldList(names)};`,
    `\tbh=${bodyHash.toBase64()};`,
    "\tb=",
  ].join("\r\n");
  const signed = fields.select(names).map((text) => canonicalField(withLineEnd(text), "relaxed")).join("") +
    canonicalField(`${unsigned}\r\n`, "relaxed").replace(/\r\n$/, "");
  return `${unsigned}${foldBase64(await signText(key, signed))}\r\n`;
}

export function foldList(names: readonly string[]): string {
  let line = "";
  let text = "";
  for (const [at, name] of names.entries()) {
    const item = at === names.length - 1 ? name : `${name}:`;
    if (line.length + item.length > 70) {
      text += `${line}\r\n\t `;
      line = "";
    }
    line += item;
  }
  return text + line;
}

export function foldBase64(text: string): string {
  return text.match(/.{1,72}/g)!.join("\r\n\t ");
}

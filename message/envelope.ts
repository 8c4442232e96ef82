/** ENVELOPE in wire form (RFC 3501 7.4.2, RFC 9051 7.5.2). */
import { type AddressItem, parseAddressList } from "./address.ts";
import type { Fields } from "./mime_parser.ts";
import { nstring, quoted } from "./wire.ts";

/** Fields that an ENVELOPE is made of. */
export const ENVELOPE_FIELDS: readonly string[] = [
  ...["date", "subject", "from", "sender", "reply-to", "to", "cc", "bcc", "in-reply-to", "message-id"],
];

/** Shown where an address has no domain: an empty or NIL host would read as a group. */
const MISSING_DOMAIN = "MISSING_DOMAIN";

/** One address of plain words, as most fields have: `First Last <local@domain>`, read without the whole grammar. */
const SIMPLE =
  /^(?:([\w!#$%&'*+/=?^`{|}~-]+(?: [\w!#$%&'*+/=?^`{|}~-]+)*) )?<([\w!#$%&'*+/=?^`{|}~.-]+)@([A-Za-z0-9.-]+)>$/;

export function envelope(fields: Fields): string {
  const list = (name: string) => addressList(fields.get(name));
  const from = list("from");
  // RFC 3501: absent or empty Sender and Reply-To take the value of From.
  const orFrom = (value: string) => value === "NIL" ? from : value;
  return `(${nstring(fields.get("date"))} ${nstring(fields.get("subject"))} ${from} ${
    orFrom(list("sender"))
  } ` +
    `${orFrom(list("reply-to"))} ${list("to")} ${list("cc")} ${list("bcc")} ${
      nstring(fields.get("in-reply-to"))
    } ` +
    `${nstring(fields.get("message-id"))})`;
}

function addressList(value: string | undefined): string {
  if (value === undefined || value === "") return "NIL";
  const simple = SIMPLE.exec(value);
  if (simple !== null) {
    const [, name, localPart, domain] = simple;
    return `((${name === undefined ? "NIL" : `"${name}"`} NIL "${localPart}" "${domain}"))`;
  }
  const items = parseAddressList(value);
  return items.length === 0 ? "NIL" : `(${items.map(address).join("")})`;
}

function address(item: AddressItem): string {
  switch (item.kind) {
    case "mailbox":
      return `(${nstring(item.name)} NIL ${quoted(item.localPart)} ${
        quoted(item.domain === "" ? MISSING_DOMAIN : item.domain)
      })`;
    case "group-start":
      return `(NIL NIL ${quoted(item.name)} NIL)`;
    case "group-end":
      return "(NIL NIL NIL NIL)";
    default:
      return item satisfies never;
  }
}

/**
 * Namespaces (RFC 2342): mailboxes of other users and shared ones, under a name of their own each.
 *
 * Below it stands the owner's address, which is his INBOX, and below that his other mailboxes:
 * `Other Users/ann@example.org/Work`. A name is taken for one of another only when its second level has an "@", so that
 * personal mailboxes may be called like a namespace. Pure.
 */
import { SEPARATOR } from "./mailbox_name.ts";
import { formatMailbox } from "./format/list.ts";

export interface Namespaces {
  /** Where mailboxes of other users are; "" is nowhere. */
  readonly otherUsers: string;
  /** Where mailboxes of shared accounts are; "" is nowhere. */
  readonly shared: string;
}

export const NO_NAMESPACES: Namespaces = { otherUsers: "", shared: "" };

export interface ForeignName {
  readonly namespace: "otherUsers" | "shared";
  readonly address: string;
  /** As the owner has it. */
  readonly ownName: string;
}

/** What a name means when it is another's; null for a personal one. */
export function parseForeignName(namespaces: Namespaces, name: string): ForeignName | null {
  for (const namespace of ["otherUsers", "shared"] as const) {
    const root = namespaces[namespace];
    if (root === "" || !name.startsWith(root + SEPARATOR)) continue;
    const rest = name.slice(root.length + 1);
    const end = rest.indexOf(SEPARATOR);
    const address = end < 0 ? rest : rest.slice(0, end);
    if (!address.includes("@")) continue;
    return { namespace, address, ownName: end < 0 ? "INBOX" : rest.slice(end + 1) };
  }
  return null;
}

/** The name under which others see a mailbox; null where its namespace is off or the address does not fit in a name. */
export function foreignName(
  namespaces: Namespaces,
  owner: { readonly address: string; readonly shared: boolean },
  ownName: string,
): string | null {
  const root = owner.shared ? namespaces.shared : namespaces.otherUsers;
  if (root === "" || /[/*%]/.test(owner.address)) return null;
  const inbox = `${root}${SEPARATOR}${owner.address}`;
  return ownName === "INBOX" ? inbox : `${inbox}${SEPARATOR}${ownName}`;
}

/** `* NAMESPACE` (RFC 2342 5). */
export function formatNamespaces({ otherUsers, shared }: Namespaces, utf8: boolean): string {
  const part = (root: string) =>
    root === "" ? "NIL" : `((${formatMailbox(root + SEPARATOR, utf8)} "${SEPARATOR}"))`;
  return `* NAMESPACE (("" "${SEPARATOR}")) ${part(otherUsers)} ${part(shared)}\r\n`;
}

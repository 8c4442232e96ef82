/**
 * What a reply says about one name and type: records, an alias, or that there is nothing.
 *
 * Only sets owned by the name, or by a DNAME above it, count, whatever else a server puts in (RFC 5452 6). RFC 1034
 * 3.6.2 (CNAME), RFC 6672 2.2 and 3.1 (DNAME: the CNAME that comes with it is made here, not believed), RFC 2308 2 and 5
 * (negative answers and their TTL). Pure.
 */
import { RCODES } from "./message.ts";
import { childName, isWithin, nameOctets } from "./name.ts";
import { TYPE_CODES } from "./rdata.ts";
import type { RrSet } from "./rrset.ts";
import type { Reply } from "./source.ts";

export type Link =
  | { readonly kind: "records"; readonly set: RrSet }
  /** `set` is the CNAME or the DNAME. */
  | { readonly kind: "alias"; readonly set: RrSet; readonly target: string }
  /** A DNAME leads to a name that is too long: RFC 6672 2.2 has YXDOMAIN. */
  | { readonly kind: "too-long"; readonly set: RrSet }
  /** `ttlSeconds` null: without SOA, which is not to be kept (RFC 2308 5). */
  | { readonly kind: "nothing"; readonly ttlSeconds: number | null };

export function readLink(reply: Reply, question: { readonly name: string; readonly type: number }): Link {
  const { name, type } = question;
  const dname = reply.answers.find((set) =>
    set.type === TYPE_CODES.DNAME && set.name !== name && isWithin(name, set.name)
  );
  const [renaming] = dname?.records ?? [];
  if (dname !== undefined && renaming?.type === "DNAME") {
    const rest = name.slice(0, name.length - (dname.name === "." ? 0 : dname.name.length + 1));
    const target = childName(rest, renaming.target);
    return nameOctets(target) === null
      ? { kind: "too-long", set: dname }
      : { kind: "alias", set: dname, target };
  }
  const set = reply.answers.find((one) => one.name === name && one.type === type);
  if (set !== undefined) return { kind: "records", set };
  const alias = reply.answers.find((one) => one.name === name && one.type === TYPE_CODES.CNAME);
  // RFC 1034 3.6.2: a name has one CNAME; the first one counts.
  const [first] = alias?.records ?? [];
  if (alias !== undefined && first?.type === "CNAME") {
    return { kind: "alias", set: alias, target: first.target };
  }
  const soa = reply.authorities.find((one) => one.type === TYPE_CODES.SOA && isWithin(name, one.name));
  const [start] = soa?.records ?? [];
  return {
    kind: "nothing",
    ttlSeconds: soa !== undefined && start?.type === "SOA"
      ? Math.min(soa.ttlSeconds, start.minimumSeconds)
      : null,
  };
}

/** True when a reply that has led to `name` by an alias says nothing about it (RFC 1034 4.3.2). */
export function endsAtAlias(reply: Reply, link: Link): boolean {
  return link.kind === "nothing" && link.ttlSeconds === null && reply.rcode !== RCODES.NXDOMAIN;
}

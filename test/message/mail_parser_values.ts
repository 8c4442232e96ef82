/** Values of our header parsers in the forms of mail-parser's suite. */
import { parseAddressList } from "../../message/address.ts";
import { decodeHeaderText, decodeRaw } from "../../message/encoded_word.ts";
import { parameter, parseParameterized } from "../../message/parameter.ts";

export interface DateOfSuite {
  readonly year: number;
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
  readonly tz_before_gmt: boolean;
  readonly tz_hour: number;
  readonly tz_minute: number;
}

/** Milliseconds since the epoch, as ours are. */
export function timeOf(date: DateOfSuite | null): number | null {
  if (date === null) return null;
  const { year, month, day, hour, minute, second, tz_hour, tz_minute } = date;
  const zone = (tz_hour * 60 + tz_minute) * (date.tz_before_gmt ? -1 : 1);
  return Date.UTC(year, month - 1, day, hour, minute - zone, second);
}

export interface MailboxOfSuite {
  readonly name: string | null;
  readonly address: string | null;
}

export interface AddressesOfSuite {
  readonly List?: readonly MailboxOfSuite[];
  /** What is in no group is in one without a name. */
  readonly Group?: readonly { readonly name: string | null; readonly addresses: readonly MailboxOfSuite[] }[];
}

export function addressesOf(value: string): AddressesOfSuite {
  const groups: { name: string | null; addresses: MailboxOfSuite[] }[] = [{ name: null, addresses: [] }];
  for (const item of parseAddressList(value)) {
    if (item.kind === "mailbox") {
      const address = item.domain === "" ? item.localPart : `${item.localPart}@${item.domain}`;
      const name = item.name === null ? null : decodeHeaderText(item.name);
      groups.at(-1)!.addresses.push({ name, address: decodeRaw(address) });
    } else {
      const name = item.kind === "group-start" ? decodeHeaderText(item.name) : null;
      groups.push({ name, addresses: [] });
    }
  }
  const used = groups.filter(({ name, addresses }) => name !== null || addresses.length > 0);
  return used.some(({ name }) => name !== null) ? { Group: used } : { List: used[0]?.addresses ?? [] };
}

export interface TypeOfSuite {
  readonly c_type: string;
  readonly c_subtype: string | null;
  /** In the suite's files a list, null or missing. */
  readonly attributes?: Readonly<Record<string, string>> | readonly (readonly [string, string])[] | null;
}

export function pairsOf({ attributes }: TypeOfSuite): [string, string][] {
  return (Array.isArray(attributes) ? attributes : Object.entries(attributes ?? {})) as [string, string][];
}

/** A type and its decoded parameters in lower case; parameters without name or value are left out. */
export function typeOf(value: string): TypeOfSuite | null {
  const parsed = parseParameterized(value);
  const [type = "", ...rest] = decodeRaw(parsed.value).toLowerCase().split("/").map((text) => text.trim());
  if (type === "") return null;
  const attributes: Record<string, string> = {};
  for (const [written] of parsed.parameters) {
    const name = written.replace(/\*.*$/, "");
    const decoded = parameter(parsed, name.toLowerCase());
    if (name !== "" && decoded) attributes[decodeRaw(name).toLowerCase()] = decoded;
  }
  return { c_type: type, c_subtype: rest.join("/") || null, attributes };
}

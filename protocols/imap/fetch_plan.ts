/**
 * FETCH attributes, compiled once per command: what is needed of each message, and what is written in which order.
 *
 * RFC 3501 6.4.5 and 7.4.2. The plan says which columns of the store and which octets a message costs, so that
 * FLAGS and UID never touch more than the index. Pure.
 */

/** The part of a message that BODY[...] names. */
export interface Section {
  /** Part numbers from the outside in; empty is the message itself. */
  readonly part: readonly number[];
  readonly text: "" | "HEADER" | "TEXT" | "MIME" | "HEADER.FIELDS" | "HEADER.FIELDS.NOT";
  /** Field names in lower case, for HEADER.FIELDS and HEADER.FIELDS.NOT. */
  readonly fields: ReadonlySet<string>;
}

export interface SectionItem {
  readonly kind: "section";
  /** The name in the response, as in `BODY[1.MIME]<0>`. */
  readonly label: string;
  readonly peek: boolean;
  readonly section: Section;
  readonly partial: { readonly offset: number; readonly length: number } | null;
}

/** The octets of a part with its transfer encoding undone, or how many they are (RFC 3516 4). */
export interface BinaryItem {
  readonly kind: "binary" | "binary-size";
  readonly label: string;
  readonly peek: boolean;
  readonly part: readonly number[];
  readonly partial: { readonly offset: number; readonly length: number } | null;
}

export type SimpleItem =
  | "UID"
  | "FLAGS"
  | "MODSEQ"
  | "INTERNALDATE"
  | "RFC822.SIZE"
  | "ENVELOPE"
  | "BODY"
  | "BODYSTRUCTURE"
  | FactItem;

/** Answered from the columns that copies share: RFC 8970, RFC 8514, RFC 8474. */
export type FactItem = "PREVIEW" | "SAVEDATE" | "EMAILID" | "THREADID";
const FACTS: ReadonlySet<string> = new Set(
  ["PREVIEW", "SAVEDATE", "EMAILID", "THREADID"] satisfies FactItem[],
);

export type FetchItem = { readonly kind: SimpleItem } | SectionItem | BinaryItem;

/** The same attributes, none of which sets `\\Seen`. */
export function peeking(items: readonly FetchItem[]): FetchItem[] {
  return items.map((item) => "peek" in item ? { ...item, peek: true } : item);
}

export interface FetchPlan {
  /** In the order of the request, each once; UID first when the command is UID FETCH. */
  readonly items: readonly FetchItem[];
  /** Dates, sizes or octets: a row of the store. Without it the index answers alone. */
  readonly needsRow: boolean;
  /** ENVELOPE, BODYSTRUCTURE, BODY or a part: the packed column. */
  readonly needsImap: boolean;
  /** Chosen fields of the header of the whole message. */
  readonly headers: readonly SectionItem[];
  /** A section other than those: octets as many as there are. */
  readonly needsBody: boolean;
  /** PREVIEW, SAVEDATE or object ids. */
  readonly needsFacts: boolean;
  /** Some section is not PEEK: `\Seen` is set. */
  readonly setsSeen: boolean;
  readonly hasFlags: boolean;
  readonly hasModSeq: boolean;
}

/** `changedSince` also asks for MODSEQ (RFC 7162 3.1.4.1). */
export function compileFetch(
  requested: readonly FetchItem[],
  options: { readonly uid: boolean; readonly changedSince: boolean },
): FetchPlan {
  const { uid } = options;
  const items: readonly FetchItem[] = options.changedSince ? [...requested, { kind: "MODSEQ" }] : requested;
  const all: FetchItem[] = uid ? [{ kind: "UID" }] : [];
  const seen = new Set<string>(uid ? ["UID"] : []);
  for (const item of items) {
    const label = "label" in item ? item.label : item.kind;
    if (seen.has(label)) continue;
    seen.add(label);
    all.push(item);
  }
  const sections = all.filter((item) => item.kind === "section");
  const headers = sections.filter(({ section }) =>
    section.part.length === 0 && section.text.startsWith("HEADER.FIELDS")
  );
  const binaries = all.some((item) => item.kind === "binary" || item.kind === "binary-size");
  const needsFacts = all.some(({ kind }) => FACTS.has(kind));
  const structure = all.some((item) =>
    item.kind === "ENVELOPE" || item.kind === "BODY" || item.kind === "BODYSTRUCTURE"
  );
  return {
    items: all,
    needsRow: sections.length > 0 || binaries || needsFacts || structure || seen.has("INTERNALDATE") ||
      seen.has("RFC822.SIZE"),
    needsImap: structure || binaries || sections.some(({ section }) => section.part.length > 0),
    headers,
    needsBody: sections.length > headers.length || binaries,
    needsFacts,
    setsSeen: items.some((item) => "peek" in item && !item.peek),
    hasFlags: seen.has("FLAGS"),
    hasModSeq: seen.has("MODSEQ"),
  };
}

/**
 * Which values of a header a test looks at: by name, by place (`:index`, RFC 5260 6.), in which part (`:mime`, RFC 5703 4.).
 */
import { parameter, parseParameterized } from "../message/parameter.ts";
import { type Call, has, tagNumber, type TagSpecs, tagTexts } from "./grammar.ts";
import { everyPart, type HeaderField } from "./message_view.ts";
import type { Run } from "./run.ts";
import type { Text } from "./text.ts";

export const INDEX_TAGS: TagSpecs = {
  index: { extension: "index", value: "number" },
  last: { extension: "index" },
};

export const MIME_TAGS: TagSpecs = {
  mime: { extension: "mime" },
  anychild: { extension: "mime" },
};

/** What of a MIME field is compared (RFC 5703 4.1). */
export const MIME_VALUE_TAGS: TagSpecs = {
  type: { extension: "mime", group: "mime" },
  subtype: { extension: "mime", group: "mime" },
  contenttype: { extension: "mime", group: "mime" },
  param: { extension: "mime", group: "mime", value: "strings" },
};

/** Names of fields, RFC 5322 2.2; others match nothing. */
export function isFieldName(name: string): boolean {
  return /^[!-9;-~]+$/.test(name);
}

/** The occurrence that `:index` asks for; null for all, undefined where the call is wrong. */
export interface Occurrence {
  readonly index: number;
  readonly last: boolean;
}

export function occurrenceOf(call: Call): Occurrence | null {
  const index = tagNumber(call, "index");
  if (index === null) {
    const last = call.tags.get("last");
    if (last !== undefined) call.place.fault(last.at, ":last needs :index");
    return null;
  }
  if (index === 0) call.place.fault(call.tags.get("index")!.at, ":index counts from 1");
  return { index, last: has(call, "last") };
}

export function choose<T>(all: readonly T[], occurrence: Occurrence | null): readonly T[] {
  if (occurrence === null) return all;
  const { index, last } = occurrence;
  const found = all[last ? all.length - index : index - 1];
  return found === undefined ? [] : [found];
}

/** The fields of these names, in the order of the names. */
export type FieldSource = (run: Run, names: readonly Text[]) => readonly HeaderField[];

/** By the call's tags: of the message, or of the parts that `:mime` means. */
export function fieldSource(call: Call): FieldSource {
  const occurrence = occurrenceOf(call);
  const mime = has(call, "mime");
  const anyChild = has(call, "anychild");
  const place = call.tags.get("anychild");
  if (anyChild && !mime) call.place.fault(place!.at, ":anychild needs :mime");
  if (mime) call.place.needBody();
  return (run, names) => {
    const result: HeaderField[] = [];
    for (const text of names) {
      const name = (text.constant ?? text.expand(run)).toLowerCase();
      if (!isFieldName(name)) continue;
      for (const fields of mime ? partFields(run, anyChild) : [run.fields]) {
        run.spend();
        const named = fields.filter((field) => field.name === name);
        result.push(...choose(named, occurrence));
      }
    }
    return result;
  };
}

/** RFC 5703 4.: the part that a loop is at, or the message; with `:anychild` those inside it too. */
function partFields(run: Run, anyChild: boolean): (readonly HeaderField[])[] {
  const part = run.parts[run.parts.length - 1];
  const root = part ?? run.message.root;
  const own = part === undefined ? run.fields : root.fields;
  if (!anyChild) return [own];
  return [own, ...[...everyPart(root)].slice(1).map(({ fields }) => fields)];
}

/** What of each field is compared. */
export function fieldText(call: Call): (run: Run, field: HeaderField) => readonly string[] {
  const place = call.tags.get("type") ?? call.tags.get("subtype") ?? call.tags.get("contenttype") ??
    call.tags.get("param");
  if (place !== undefined && !has(call, "mime")) call.place.fault(place.at, "this tag needs :mime");
  if (has(call, "type")) return (_, field) => [mimeValue(field, 0)];
  if (has(call, "subtype")) return (_, field) => [mimeValue(field, 1)];
  if (has(call, "contenttype")) return (_, field) => [mimeValue(field, null)];
  const names = tagTexts(call, "param");
  if (names === null) return (_, field) => [field.text];
  return (run, field) => {
    const parsed = parseParameterized(field.value);
    return names.flatMap((name) => parameter(parsed, name.expand(run).toLowerCase()) ?? []);
  };
}

/** Side 0 is in front of the slash; null is both, or what a disposition says. */
function mimeValue({ name, value }: HeaderField, side: 0 | 1 | null): string {
  const whole = parseParameterized(value).value;
  if (side === null) return whole;
  // RFC 5703 4.1: Content-Disposition has a type and no subtype.
  if (name === "content-disposition") return side === 0 ? whole : "";
  return whole.split("/")[side]?.trim() ?? "";
}

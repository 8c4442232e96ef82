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

/** The fields that a call looks at, in the order of their names. */
export type FieldSource = (run: Run) => readonly HeaderField[];
const NOTHING: readonly HeaderField[] = [];

/** By the call's tags: of the message, or of the parts that `:mime` means. */
export function fieldSource(call: Call, names: readonly Text[]): FieldSource {
  const occurrence = occurrenceOf(call);
  const mime = has(call, "mime");
  const anyChild = has(call, "anychild");
  const place = call.tags.get("anychild");
  if (anyChild && !mime) call.place.fault(place!.at, ":anychild needs :mime");
  if (mime) call.place.needBody();
  const constants = names.map(({ constant }) => constant?.toLowerCase() ?? null);
  const nameOf = (run: Run, i: number) => constants[i] ?? names[i]!.expand(run).toLowerCase();
  if (mime) {
    return (run) => {
      const result: HeaderField[] = [];
      for (let i = 0; i < names.length; i++) {
        const name = nameOf(run, i);
        for (const fields of partFields(run, anyChild)) {
          run.spend();
          result.push(...choose(fields.filter((field) => field.name === name), occurrence));
        }
      }
      return result;
    };
  }
  return (run) => {
    let result = NOTHING;
    for (let i = 0; i < names.length; i++) {
      run.spend();
      const found = choose(run.named(nameOf(run, i)), occurrence);
      if (found.length > 0) result = result.length === 0 ? found : [...result, ...found];
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

/** What of the fields is compared. */
export function fieldTexts(call: Call): (run: Run, fields: readonly HeaderField[]) => readonly string[] {
  const place = call.tags.get("type") ?? call.tags.get("subtype") ?? call.tags.get("contenttype") ??
    call.tags.get("param");
  if (place !== undefined && !has(call, "mime")) call.place.fault(place.at, "this tag needs :mime");
  if (has(call, "type")) return (_, fields) => fields.map((field) => mimeValue(field, 0));
  if (has(call, "subtype")) return (_, fields) => fields.map((field) => mimeValue(field, 1));
  if (has(call, "contenttype")) return (_, fields) => fields.map((field) => mimeValue(field, null));
  const names = tagTexts(call, "param");
  if (names === null) return (_, fields) => fields.map(({ text }) => text);
  return (run, fields) =>
    fields.flatMap(({ value }) => {
      const parsed = parseParameterized(value);
      return names.flatMap((name) => parameter(parsed, name.expand(run).toLowerCase()) ?? []);
    });
}

/** Side 0 is in front of the slash; null is both, or what a disposition says. */
function mimeValue({ name, value }: HeaderField, side: 0 | 1 | null): string {
  const whole = parseParameterized(value).value;
  if (side === null) return whole;
  // RFC 5703 4.1: Content-Disposition has a type and no subtype.
  if (name === "content-disposition") return side === 0 ? whole : "";
  return whole.split("/")[side]?.trim() ?? "";
}

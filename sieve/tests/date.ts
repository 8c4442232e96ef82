/** date and currentdate (RFC 5260 4. and 5.). */
import { parseDate } from "../../message/date.ts";
import { fieldSource, INDEX_TAGS } from "../fields.ts";
import { type Call, constantAt, has, tagText, type TestSpec, textAt, textsAt } from "../grammar.ts";
import { MATCH_TAGS, matcherOf } from "../match.ts";
import type { Run } from "../run.ts";
import { DATE_PARTS, datePart, zoneMinutesOf } from "../date_part.ts";

const ZONE_TAGS = { zone: { value: "string", group: "zone" }, originalzone: { group: "zone" } } as const;

export const date: TestSpec = {
  extensions: ["date"],
  tags: { ...MATCH_TAGS, ...INDEX_TAGS, ...ZONE_TAGS },
  positional: ["string", "string", "strings"],
  compile(call) {
    const name = textAt(call, 0);
    const part = partOf(call, 1);
    const source = fieldSource(call, [name]);
    const zone = zoneOf(call);
    const original = has(call, "originalzone");
    const matches = matcherOf(call, textsAt(call, 2));
    return {
      holds: (run) => {
        const values: string[] = [];
        for (const field of source(run)) {
          // RFC 5260 4.: the date of a Received field stands behind its last semicolon.
          const text = field.value.slice(field.value.lastIndexOf(";") + 1);
          const time = parseDate(text);
          if (time === null) continue;
          values.push(datePart(time, part, original ? zoneMinutesOf(text) ?? 0 : zone(run)));
        }
        return matches(run, values);
      },
    };
  },
};

export const currentdate: TestSpec = {
  extensions: ["date"],
  tags: { ...MATCH_TAGS, zone: ZONE_TAGS.zone },
  positional: ["string", "strings"],
  compile(call) {
    const part = partOf(call, 0);
    const zone = zoneOf(call);
    const matches = matcherOf(call, textsAt(call, 1));
    return { holds: (run) => matches(run, [datePart(run.host.now, part, zone(run))]) };
  },
};

function partOf(call: Call, index: number): string {
  const text = textAt(call, index);
  const part = constantAt(call, text).toLowerCase();
  if (!DATE_PARTS.has(part)) call.place.fault(text.at, `"${part}" is no part of a date`);
  return part;
}

function zoneOf(call: Call): (run: Run) => number {
  const text = tagText(call, "zone");
  if (text === null) return ({ host }) => host.zoneMinutes;
  if (text.constant === null) return (run) => zoneMinutesOf(text.expand(run)) ?? 0;
  const minutes = zoneMinutesOf(text.constant);
  if (minutes === null) call.place.fault(text.at, 'a zone is written like "+0100"');
  return () => minutes ?? 0;
}

/** The header fields that tell a recipient, in plain words, why a message is where it is. */
import type { Hit, Score } from "../../filter/spam/score.ts";
import type { SpamAction, SpamRules } from "./rules.ts";

const MAX_HITS = 12;
const MIN_POINTS = 0.1;
/** RFC 5322 2.1.1: within the recommended length where words allow it. */
const NOT_PRINTABLE = /[^\x20-\x7e]+/g;

export interface Verdict {
  readonly score: Score;
  readonly action: SpamAction;
  readonly rules: SpamRules;
}

export function spamFields({ score, action, rules }: Verdict): string {
  const spam = action === "junk" || action === "quarantine" || action === "refuse";
  const hits = score.hits.filter(({ points }) => Math.abs(points) >= MIN_POINTS);
  const names = hits.slice(0, MAX_HITS * 2).map(({ name }) => name).join(",\r\n\t");
  const required = rules.junk === null ? "" : ` required=${rules.junk.toFixed(1)}`;
  const reasons = [
    headline(action, rules),
    ...hits.slice(0, MAX_HITS).map(reason),
    ...(hits.length > MAX_HITS ? [`and ${hits.length - MAX_HITS} smaller ones`] : []),
    ...score.marks.map((mark) => mark.replace(NOT_PRINTABLE, "?")),
  ];
  return `X-Spam-Flag: ${spam ? "YES" : "NO"}\r\n` +
    `X-Spam-Score: ${score.points.toFixed(1)}\r\n` +
    `X-Spam-Status: ${spam ? "Yes" : "No"}, score=${score.points.toFixed(1)}${required} tests=${
      names === "" ? "none" : names
    }\r\n` +
    `X-Spam-Reason: ${reasons.join(";\r\n\t")}\r\n`;
}

/** One line for trace and log. */
export function spamLine({ score, action }: Verdict): string {
  const hits = score.hits.slice(0, 5).map(({ name, points }) => `${name} ${signed(points)}`);
  return [`${score.points.toFixed(1)} ${action}`, ...hits, ...score.marks].join(", ");
}

function headline(action: SpamAction, { mark, junk, quarantine, refuse }: SpamRules): string {
  const from = { deliver: null, mark, junk, quarantine, refuse }[action];
  const what = {
    deliver: "nothing to speak of",
    mark: "marked",
    junk: "Junk",
    quarantine: "quarantine",
    refuse: "Junk in place of a refusal",
  }[action];
  return from === null ? what : `${what}, from ${from} points on`;
}

function reason({ explain, points }: Hit): string {
  return `${explain} (${signed(points)})`;
}

function signed(points: number): string {
  return `${points > 0 ? "+" : ""}${points.toFixed(1)}`;
}

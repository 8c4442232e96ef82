/**
 * Simple rules for forms, as Sieve and back: if these conditions, then those actions; and an answer while away.
 *
 * A script made here begins with a line that carries its rules; it is a form's to edit only as long as the rest is what
 * the rules give, so what people wrote or changed by hand stays theirs. Pure.
 */
import { quoted } from "./printer.ts";

export interface Rules {
  readonly rules: readonly Rule[];
  readonly vacation: Away | null;
}

export interface Rule {
  readonly name: string;
  readonly enabled: boolean;
  readonly match: "all" | "any";
  /** None holds always. */
  readonly conditions: readonly Condition[];
  readonly actions: readonly RuleAction[];
  /** Later rules are left out where this one applied. */
  readonly stop: boolean;
}

export type Condition =
  | {
    /** A field of the header; `recipient` is To or Cc. */
    readonly field: "from" | "to" | "cc" | "recipient" | "subject" | "list-id" | "header";
    /** Of `header`. */
    readonly name?: string | undefined;
    readonly is: "contains" | "is" | "begins" | "ends" | "exists";
    readonly not?: boolean | undefined;
    readonly value: string;
  }
  | { readonly field: "size"; readonly is: "over" | "under"; readonly octets: number }
  | { readonly field: "body"; readonly is: "contains"; readonly value: string };

export type RuleAction =
  | { readonly do: "file" | "copy"; readonly mailbox: string }
  | { readonly do: "flag"; readonly flag: string }
  | { readonly do: "redirect" | "redirect-copy"; readonly address: string }
  | { readonly do: "reject"; readonly text: string }
  | { readonly do: "keep" | "discard" };

export interface Away {
  /** `YYYY-MM-DD`, both included; null is open. */
  readonly from: string | null;
  readonly until: string | null;
  readonly days: number;
  readonly subject: string | null;
  readonly text: string;
}

const MARK = "# rules:";
const MATCH = { contains: ":contains", is: ":is", begins: ":matches", ends: ":matches", exists: "" } as const;

export function rulesToScript(rules: Rules): string {
  const needs = new Set<string>();
  const blocks = [
    ...(rules.vacation === null ? [] : [vacationText(rules.vacation, needs)]),
    ...rules.rules.filter(({ enabled }) => enabled).map((rule) => ruleText(rule, needs)),
  ];
  const mark = `${MARK}${escapedJson(rules)}`;
  const require = needs.size === 0 ? [] : [`require [${[...needs].sort().map(quoted).join(", ")}];`];
  return [mark, ...require, ...blocks, ""].join("\r\n");
}

/** The rules that a form wrote into a script, as it stands there; null for a script of another origin. */
export function rulesIn(script: string): unknown {
  const end = script.indexOf("\r\n");
  if (!script.startsWith(MARK) || end < 0) return null;
  try {
    return JSON.parse(script.slice(MARK.length, end));
  } catch {
    return null; // somebody wrote such a line by hand
  }
}

/** One line of ASCII. */
function escapedJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[^\x20-\x7e]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function ruleText(rule: Rule, needs: Set<string>): string {
  const tests = rule.conditions.map((condition) => conditionText(condition, needs));
  const test = tests.length === 0
    ? "true"
    : tests.length === 1
    ? tests[0]!
    : `${rule.match === "all" ? "allof" : "anyof"} (${tests.join(", ")})`;
  // Flags first: they are those of the copies that follow.
  const ordered = [...rule.actions].sort((a, b) => Number(b.do === "flag") - Number(a.do === "flag"));
  const steps = ordered.map((action) => actionText(action, needs));
  if (rule.stop) steps.push("stop;");
  return [`if ${test} {`, ...steps.map((step) => `  ${step}`), "}"].join("\r\n");
}

function conditionText(condition: Condition, needs: Set<string>): string {
  switch (condition.field) {
    case "size":
      return `size :${condition.is} ${condition.octets}`;
    case "body":
      needs.add("body");
      return `body :contains ${quoted(condition.value)}`;
    default: {
      const names = condition.field === "recipient"
        ? ["to", "cc"]
        : [condition.field === "header" ? condition.name ?? "subject" : condition.field];
      const list = `[${names.map(quoted).join(", ")}]`;
      const not = condition.not === true ? "not " : "";
      if (condition.is === "exists") return `${not}exists ${list}`;
      const wild = condition.value.replace(/[*?\\]/g, "\\$&");
      const value = condition.is === "begins"
        ? `${wild}*`
        : condition.is === "ends"
        ? `*${wild}`
        : condition.value;
      return `${not}header ${MATCH[condition.is]} ${list} ${quoted(value)}`;
    }
  }
}

function actionText(action: RuleAction, needs: Set<string>): string {
  switch (action.do) {
    case "file":
    case "copy":
      needs.add("fileinto").add("mailbox");
      if (action.do === "copy") needs.add("copy");
      return `fileinto ${action.do === "copy" ? ":copy " : ""}:create ${quoted(action.mailbox)};`;
    case "flag":
      needs.add("imap4flags");
      return `addflag ${quoted(action.flag)};`;
    case "redirect":
      return `redirect ${quoted(action.address)};`;
    case "redirect-copy":
      needs.add("copy");
      return `redirect :copy ${quoted(action.address)};`;
    case "reject":
      needs.add("reject");
      return `reject ${quoted(action.text)};`;
    case "keep":
    case "discard":
      return `${action.do};`;
    default:
      return action satisfies never;
  }
}

function vacationText({ from, until, days, subject, text }: Away, needs: Set<string>): string {
  needs.add("vacation");
  const answer = `vacation :days ${days}${subject === null ? "" : ` :subject ${quoted(subject)}`} ${
    quoted(text)
  };`;
  const limits = [
    ...(from === null ? [] : [`currentdate :value "ge" "date" ${quoted(from)}`]),
    ...(until === null ? [] : [`currentdate :value "le" "date" ${quoted(until)}`]),
  ];
  if (limits.length === 0) return answer;
  needs.add("date").add("relational");
  return [`if allof (${limits.join(", ")}) {`, `  ${answer}`, "}"].join("\r\n");
}

/** Metrics of mail on its way in. Labels come from closed sets; each is looked up once. */
import { counter, histogram, SECONDS_BUCKETS } from "../telemetry/metrics.ts";
import type { RecipientWay, RefusalReason } from "./recipients.ts";

/** How a message ended: `accepted` by 2xx, `refused` by 5xx, `deferred` by 4xx. */
export type MessageOutcome = "accepted" | "refused" | "deferred";
/** What RCPT was answered. */
export type RecipientOutcome =
  | "local"
  | "remote"
  | "agent"
  | "captured"
  | "too-many"
  | "check"
  | "needs-smtputf8"
  | RefusalReason;

const messages = counter(
  "veredus_messages_received_total",
  "Messages that were begun, by outcome of the whole and service",
  ["outcome", "service"],
);
const recipients = counter("veredus_recipients_total", "Recipients asked for, by outcome", ["outcome"]);
const ways = counter("veredus_recipient_ways_total", "Recipients taken, by how they were found", ["way"]);
const seconds = histogram("veredus_reception_seconds", "From the first octet of a message to its reply", {
  buckets: SECONDS_BUCKETS,
});
const mended = counter("veredus_submissions_mended_total", "Submitted messages changed on their way in", [
  "what",
]);
const senderRefused = counter(
  "veredus_mail_refused_total",
  "MAIL commands refused, by enhanced status code",
  [
    "status",
  ],
);

const copies = counter("veredus_copies_total", "Copies that the operator wants (copies), made or not", [
  "result",
]);

interface Child {
  inc(): void;
}
const children = new Map<string, Child>();

function child(key: string, make: () => Child): Child {
  let known = children.get(key);
  if (known === undefined) {
    known = make();
    children.set(key, known);
  }
  return known;
}

export function countMessage(outcome: MessageOutcome, service: string): void {
  child(`m ${outcome} ${service}`, () => messages.labels({ outcome, service })).inc();
}

export function countRecipient(outcome: RecipientOutcome): void {
  child(`r ${outcome}`, () => recipients.labels({ outcome })).inc();
}

export function countWay(way: RecipientWay): void {
  child(way, () => ways.labels({ way })).inc();
}

export function countMended(what: "header" | "long-lines" | "binary"): void {
  child(`h ${what}`, () => mended.labels({ what })).inc();
}

export function countMailRefused(status: string): void {
  child(`s ${status}`, () => senderRefused.labels({ status })).inc();
}

export function observeAccepted(tookMs: number): void {
  seconds.observe(tookMs / 1000);
}

export function countCopy(made: boolean): void {
  const result = made ? "made" : "failed";
  child(`c ${result}`, () => copies.labels({ result })).inc();
}

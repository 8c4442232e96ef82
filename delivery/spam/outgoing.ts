/** Mail of logins: what looks like spam waits for the operator, who is told. A stolen password shows itself here first. */
import { MAIL_LIMITS } from "../../filter/spam/limits.ts";
import { verdicts } from "../../filter/spam/metrics.ts";
import { administratorNotice } from "../administrator_notice.ts";
import type { OwnMail } from "../post.ts";
import { spamLine } from "./fields.ts";
import {
  type Judged,
  late,
  LINKS_NOT_ASKED,
  NO_ANSWER,
  NOT_JUDGED,
  type SpamOutcome,
  type SpamParts,
  withLinks,
} from "./judge.ts";

/** Mail without a verdict in time goes, with a mark in the trace, or is put off. */
export async function judgeOutgoing(
  { filter, config, linkHits }: SpamParts,
  given: Pick<Judged, "hand" | "octets" | "time">,
): Promise<SpamOutcome> {
  const { outgoingHold, weights, rules } = config;
  if (outgoingHold === null) return NOT_JUDGED;
  const assessment = await filter.assess({
    octets: await given.hand(MAIL_LIMITS.octets),
    total: given.octets,
    // Hops and signatures are ours: only the content is judged.
    around: null,
    recipients: [],
    weights: { ...weights, ...UNSENT },
  }, given.time.left);
  const [first] = assessment?.scores ?? [];
  if (first === undefined) return late(given.time, NO_ANSWER);
  const listed = await given.time.within(linkHits(assessment!.linkDomains), () => null);
  const score = withLinks(first.score, listed);
  if (score.points < outgoingHold) return listed === null ? late(given.time, LINKS_NOT_ASKED) : NOT_JUDGED;
  verdicts.inc({ action: "hold" });
  const line = spamLine({ score, action: "quarantine", rules: rules.server });
  return { ...NOT_JUDGED, heldFor: `spam: ${line}`, trace: [line] };
}

/** Signals about how a message came, which say nothing of one that begins here. */
const UNSENT = Object.fromEntries(
  [
    ..."forged-hop nameless-hop literal-hello provider-not-seen path-elsewhere no-date no-message-id date-ahead"
      .split(" "),
    ..."date-behind odd-message-id forged-outlook".split(" "),
  ].map((name) => [name, 0]),
);

export interface HeldMail {
  readonly login: string;
  readonly reason: string;
  readonly traceId: string;
  readonly now: number;
}

export function heldNotice(
  { hostname, administrator }: { readonly hostname: string; readonly administrator: string },
  { login, reason, traceId, now }: HeldMail,
): OwnMail {
  return administratorNotice({ hostname, administrator }, {
    kind: "held",
    id: traceId,
    subject: `Mail of ${login} is held`,
    text: [
      `A message that ${login} sent looks like spam and waits for you: ${reason}.`,
      "",
      `Look at it with \`veredus trace ${traceId}\` and \`veredus quarantine list\`; let it go or delete it there.`,
      "If its owner did not write it, the password is known to somebody else: change it.",
    ],
    now,
  });
}

/** Mail of logins: what looks like spam waits for the operator, who is told. A stolen password shows itself here first. */
import { MAIL_LIMITS } from "../../filter/spam/limits.ts";
import { verdicts } from "../../filter/spam/metrics.ts";
import { administratorNotice } from "../administrator_notice.ts";
import type { OwnMail } from "../post.ts";
import { spamLine } from "./fields.ts";
import type { Judged, SpamParts } from "./judge.ts";

/** Why it waits; "" it does not. Mail without a verdict in time goes. */
export async function judgeOutgoing(
  { filter, config, linkHits }: SpamParts,
  given: Pick<Judged, "hand" | "octets" | "time">,
): Promise<string> {
  const { outgoingHold, weights, rules } = config;
  if (outgoingHold === null) return "";
  const assessment = await filter.assess({
    octets: await given.hand(MAIL_LIMITS.octets),
    total: given.octets,
    // Hops and signatures are ours: only the content is judged.
    around: null,
    recipients: [],
    weights: { ...weights, ...UNSENT },
  }, given.time.left);
  const [first] = assessment?.scores ?? [];
  if (first === undefined) return "";
  const listed = await given.time.within(linkHits(assessment!.linkDomains), () => []);
  const points = listed.reduce((sum, hit) => sum + hit.points, first.score.points);
  if (points < outgoingHold) return "";
  verdicts.inc({ action: "hold" });
  return `spam: ${
    spamLine({ score: { ...first.score, points }, action: "quarantine", rules: rules.server })
  }`;
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

/** Clients that speak before the greeting: they do not read what servers say (RFC 5321 3.1, RFC 5321 4.3.1). */
import type { Check } from "../check.ts";
import { type Action, CONTINUE } from "../verdict.ts";

const EARLY = { code: 550, enhanced: "5.5.1", text: "Wait for the greeting before you speak" };

export function earlyTalker({ action }: { action: Action }): Check {
  return {
    name: "early-talker",
    stages: ["ehlo"],
    run: ({ client }) =>
      client.spokeEarly ? { action, reason: "spoke before the greeting", reply: EARLY } : CONTINUE,
  };
}

/**
 * ETRN (RFC 1985): mail that is held for a relay domain is tried at once, because its server says that it is there.
 *
 * Nothing is given to the client: the mail goes where it always goes. Only recipients that were tried before are moved
 * up; what is new is tried anyway, and what its sender holds back (RFC 4865) stays. Other domains are refused.
 */
import { type Reply, reply } from "../protocols/smtp/reply.ts";
import { normalizeDomain } from "../storage/address_form.ts";
import type { Store } from "../storage/store.ts";
import { counter } from "../telemetry/metrics.ts";

const starts = counter("veredus_etrn_total", "ETRN commands by result", ["result"]);

const NO_QUALIFIERS = reply(501, "5.5.4", "Only whole domain names are taken");
const NOT_ALLOWED = reply(459, "4.7.1", "Node not allowed: this is no relay domain of ours");
const NOTHING_WAITS = reply(251, "2.0.0", "OK, no messages waiting");
const UNABLE = reply(458, "4.3.0", "Unable to queue messages now");

export async function startQueue(store: Store, text: string, now: number): Promise<Reply> {
  const name = /^[@#]/.test(text) ? null : normalizeDomain(text.replace(/\.$/, ""));
  if (name === null) return counted("malformed", NO_QUALIFIERS);
  if (store.directory.domain(name)?.kind !== "relay") return counted("refused", NOT_ALLOWED);
  const recipientIds = store.queue.waitingFor([name]);
  if (recipientIds.length === 0) return counted("nothing", NOTHING_WAITS);
  const result = await store.write({ kind: "queue-control", action: "retry", recipientIds, at: now });
  if (!result.ok) return counted("failed", UNABLE);
  return counted("started", reply(253, "2.0.0", `OK, ${recipientIds.length} pending messages started`));
}

function counted(result: string, answer: Reply): Reply {
  starts.inc({ result });
  return answer;
}

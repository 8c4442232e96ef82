/**
 * Mail that its sender held back (RFC 4865) and that ends in mailboxes here: the queue gives it to this agent when its
 * time has come, and it is filed as if it had come then. At least once, like every agent.
 */
import type { AgentJob } from "./agents.ts";
import { agentVerdict } from "./agents.ts";
import { faultReply } from "./faults.ts";
import { type PostOptions, prepareOwnMail } from "./post.ts";
import type { Verdict } from "./settle.ts";

export async function fileHeld(
  post: PostOptions,
  { message, recipient, source }: AgentJob,
): Promise<Verdict> {
  const prepared = await prepareOwnMail(post, {
    octets: await source.read(0, source.octets),
    sender: message.sender,
    recipients: [recipient.recipient],
  });
  if ("refused" in prepared) return agentVerdict("permanent", "5.1.1", prepared.refused);
  const result = await post.store.write(prepared.operation);
  if (result.ok) return { ...agentVerdict("delivered", "2.0.0", "filed"), success: "final" };
  const { code, enhanced, text } = faultReply(result.fault);
  return agentVerdict(code < 500 ? "temporary" : "permanent", enhanced, text);
}

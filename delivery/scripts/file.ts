/**
 * Files a message whose recipients have scripts: decides, makes everything durable, and gives back one operation.
 *
 * What the scripts want and what the delivery does anyway commit together or not at all.
 */
import type { WriteOp } from "../../storage/ops.ts";
import { oneLine } from "../../filter/verdict.ts";
import type { SenderFindings } from "../../mailauth/sender_check.ts";
import { type Reply, reply } from "../../protocols/smtp/reply.ts";
import { domainOf } from "../../storage/address_form.ts";
import type { Store } from "../../storage/store.ts";
import type { Filing, FilingFacts } from "../filing.ts";
import type { PostOptions } from "../post.ts";
import { type RedirectFront, ScriptDelivery } from "./carry_out.ts";
import type { ScriptedMessage } from "./scripted.ts";

export type Filed =
  /** Null: nothing is left to do. */
  | { readonly operation: WriteOp | null; readonly trace: readonly string[] }
  /** All recipients refuse it, for this reason. The operation is for what is learnt of it. */
  | { readonly rejected: string; readonly operation: WriteOp | null; readonly trace: readonly string[] };

/** True where a recipient has scripts: one look into a cache for each. */
export function hasScripts({ scripts }: Pick<Store, "scripts">, filing: Filing): boolean {
  for (const { owner } of filing.targets()) if (scripts.chain(owner).length > 0) return true;
  return false;
}

/** Rejects with StorageError. */
export async function fileByScripts(
  { post, hostname, frontOf }: {
    readonly post: PostOptions;
    readonly hostname: string;
    readonly frontOf: RedirectFront;
  },
  given: ScriptedMessage,
  facts: FilingFacts,
): Promise<Filed> {
  const { filing, spool, message } = given;
  await filing.makeFolders(post.store);
  const delivery = new ScriptDelivery(post, hostname, given);
  const reason = await delivery.decide();
  const { trace } = delivery;
  const { trapped = false } = facts;
  if (reason !== null) {
    return {
      rejected: reason,
      operation: trapped ? await filing.operation(spool, message, facts) : null,
      trace,
    };
  }
  const ops: WriteOp[] = await delivery.operations({ ...facts, trapped: false }, frontOf);
  const left = filing.mailboxes + filing.remote > 0;
  // What came to a trap is learnt once, as it came, whatever its scripts do.
  if (left || trapped) {
    const operation = await filing.operation(spool, message, facts);
    const beside = left ? await facts.beside?.(operation.content.blob) ?? null : null;
    ops.unshift(operation, ...(beside === null ? [] : [beside]));
  }
  return { operation: ops.length === 0 ? null : { kind: "batch", ops }, trace };
}

/** Redirected mail that nobody vouches for. */
export const NO_FRONT: RedirectFront = () => Promise.resolve("");

const MAX_REASON = 400;

/** RFC 5429 2.1.1: refused in the session, with the words of the script as far as a reply can say them. */
export function rejection(reason: string): Reply {
  const text = oneLine(reason.replace(/\s+/g, " ").trim()).slice(0, MAX_REASON);
  return reply(550, "5.7.1", text === "" ? "Refused by the recipient" : text);
}

/** SPF or DKIM say that the domain of the envelope's sender sent it: a notice reaches who wrote. */
export function provesSender(findings: SenderFindings | null, sender: string): boolean {
  if (findings === null || sender === "") return false;
  if (findings.spf?.result === "pass") return true;
  const domain = domainOf(sender).toLowerCase();
  return findings.dkim?.some((one) =>
    one.result === "pass" && (one.domain === domain || domain.endsWith(`.${one.domain}`))
  ) ?? false;
}

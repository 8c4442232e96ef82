/**
 * Groups: one message for every member, with the marks of a list.
 *
 * In front of the message stand List-Id (RFC 2919), List-Post, List-Owner and List-Unsubscribe (RFC 2369), `Precedence:
 * list` (RFC 3834 2. asks for such a sign), and a Delivered-To of the group, which is how a loop is seen: a message that
 * has been here is refused. Bounces go to the first owner (RFC 5321 3.9.2), never to the author, by an address of ours (srs.ts) where he
 * is elsewhere; a null reverse-path stays null. The author's octets follow unchanged, so that signatures survive. Members are read and filed in pages, so
 * memory does not grow with their number. A page is noted in the transaction that files it: who is asked again, because a
 * later page failed or the server died before the outcome was written, passes over those that are done.
 */
import { getLogger } from "@logtape/logtape";
import { encode, latin1 } from "../bytes/decode.ts";
import { FactsBuilder, type MessageFacts } from "../message/facts.ts";
import type { PolicyRow, WriteOp } from "../storage/ops.ts";
import type { GroupRow } from "../storage/directory_view.ts";
import { domainOf } from "../storage/address_form.ts";
import type { Spool } from "../storage/store.ts";
import { type AgentJob, agentVerdict } from "./agents.ts";
import { Filing, type FilingFacts } from "./filing.ts";
import { forwardedSender, freshKeys } from "./forwarding.ts";
import type { PostOptions } from "./post.ts";
import type { ScriptedMessage } from "./scripts/scripted.ts";
import { fileByScripts, hasScripts, NO_FRONT } from "./scripts/file.ts";
import type { Verdict } from "./settle.ts";

const log = getLogger(["veredus", "delivery"]);
/** Members filed in one transaction. */
export const PAGE_MEMBERS = 1_000;
const PIECE_OCTETS = 64 * 1024;
/** A page is remembered so long behind the end of the message. */
const REMEMBERED_MS = 86_400_000;

export class GroupAgent {
  readonly #options: PostOptions;
  readonly #hostname: string;

  constructor(options: PostOptions, hostname: string) {
    this.#options = options;
    this.#hostname = hostname;
  }

  async deliver(address: string, job: AgentJob): Promise<Verdict> {
    const { store } = this.#options;
    const group = store.directory.group(address);
    if (group === null) return agentVerdict("permanent", "5.1.1", `there is no group ${address}`);
    if (group.members === 0) return agentVerdict("permanent", "5.2.4", `the group ${address} has no members`);
    let filed = 0;
    for (let after = "";;) {
      const members = store.directory.members(address, { after, limit: PAGE_MEMBERS });
      const last = members.at(-1);
      if (last === undefined) break;
      const page = this.#pageRow(job, { after, count: members.length });
      if (store.policy.get(page.kind, page.key, page.lastAt) === null) {
        const verdict = await this.#page(group, { members, row: page }, job);
        if (verdict !== null) return verdict;
      }
      filed += members.length;
      after = last;
    }
    return agentVerdict("delivered", "2.0.0", `filed for ${filed} members of ${address}`);
  }

  #pageRow({ recipient, message }: AgentJob, page: { after: string; count: number }): PolicyRow {
    const at = this.#options.clock();
    return {
      ...{ kind: "group-page", key: `${recipient.recipientId} ${page.after}`, count: page.count, note: "" },
      ...{ firstAt: at, lastAt: at, expiresAt: Math.max(at, message.expiresAt) + REMEMBERED_MS },
    };
  }

  /** Null when the members of one page have it. */
  async #page(
    group: GroupRow,
    { members, row }: { readonly members: readonly string[]; readonly row: PolicyRow },
    job: AgentJob,
  ): Promise<Verdict | null> {
    const { store, resolver, clock } = this.#options;
    const { message } = job;
    const filing = new Filing();
    for (const member of members) {
      const resolution = resolver.resolveAddress(member);
      const taken = resolution.kind === "accepted" && filing.add(resolution.targets);
      if (!taken) {
        log.warn("a member of a group takes no mail: {reason}", {
          trace: message.traceId,
          group: group.address,
          member,
          reason: resolution.kind === "refused" ? resolution.reason : "too many addresses",
        });
      }
    }
    if (filing.mailboxes + filing.remote === 0) return null;
    const spool = store.spool();
    try {
      const facts = await copyOf(group, job, spool);
      // In the spelling of MessageFacts; the first one is ours.
      const mark = latin1(encode(group.address)).toLowerCase();
      if (facts.deliveredTo.filter((address) => address === mark).length > 1) {
        return agentVerdict("permanent", "5.4.6", `the message has been in ${group.address} before`);
      }
      const at = clock();
      const sender = message.sender === "" ? "" : await this.#bouncesTo(group, at);
      const filingFacts: FilingFacts = {
        traceId: message.traceId,
        sender,
        accountId: null,
        eightBit: message.eightBit,
        smtputf8: message.smtputf8,
        at,
        expiresAt: at + this.#options.queueLifetimeMs,
        senderFor: () => sender,
      };
      const operation = hasScripts(store, filing)
        ? await this.#byScripts(
          { filing, spool, message: facts, traceId: message.traceId, sender },
          filingFacts,
        )
        : await filing.operation(spool, facts, filingFacts);
      if (operation === null) return null;
      const result = await store.write({ kind: "once", row, ops: [operation] });
      return result.ok ? null : agentVerdict("temporary", "4.3.0", "the message could not be stored");
    } finally {
      spool.discard();
    }
  }

  /** An owner elsewhere gets bounces by an address of ours: mail of ours in his domain's name would fail SPF. */
  async #bouncesTo(group: GroupRow, now: number): Promise<string> {
    const { store, resolver } = this.#options;
    const sender = ownerOf(group);
    const isLocal = (address: string) => resolver.isLocal(address);
    if (!isLocal(sender)) await freshKeys(store, now);
    return forwardedSender(store, { sender, domain: domainOf(group.address), now, isLocal });
  }

  /** Null where no member wants it: a refusal of members is not told to those who write to a group. */
  async #byScripts(post: Post, facts: FilingFacts): Promise<WriteOp | null> {
    const filed = await fileByScripts(
      { post: this.#options, hostname: this.#hostname, frontOf: NO_FRONT },
      { ...post, senderProven: false, junk: false, client: { address: "", name: "" }, front: "" },
      facts,
    );
    return "rejected" in filed ? null : filed.operation;
  }
}

/** What a delivery to members is, less what is the same for all groups. */
type Post = Pick<ScriptedMessage, "filing" | "spool" | "message" | "traceId" | "sender">;

function ownerOf({ owners, address }: GroupRow): string {
  return owners[0] ?? `postmaster@${domainOf(address)}`;
}

/** The header fields of a group in front of every message. */
export function listFields(group: GroupRow): string {
  const { address, displayName, posting } = group;
  const id = address.replace(/[^A-Za-z0-9@._-]/g, "_").replace("@", ".");
  const phrase = /^[A-Za-z0-9 ]+$/.test(displayName) ? `${displayName} ` : "";
  const owner = encodeURI(ownerOf(group));
  return `Delivered-To: ${address}\r\n` +
    `List-Id: ${phrase}<${id}>\r\n` +
    `List-Post: ${posting === "owners" ? "NO" : `<mailto:${encodeURI(address)}>`}\r\n` +
    `List-Owner: <mailto:${owner}>\r\n` +
    `List-Unsubscribe: <mailto:${owner}?subject=unsubscribe>\r\n` +
    "Precedence: list\r\n";
}

/** The message with the group's fields in front, in the spool. */
async function copyOf(group: GroupRow, { source }: AgentJob, spool: Spool): Promise<MessageFacts> {
  const facts = new FactsBuilder();
  const take = async (octets: Uint8Array) => {
    facts.push(octets, 0, octets.length);
    await spool.write(octets, 0, octets.length);
  };
  await take(encode(listFields(group)));
  for (let at = 0; at < source.octets; at += PIECE_OCTETS) {
    await take(await source.read(at, Math.min(source.octets, at + PIECE_OCTETS)));
  }
  return facts.finish();
}

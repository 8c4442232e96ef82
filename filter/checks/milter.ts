/**
 * Milters: filters beside the server that speak Sendmail's protocol, version 6 (rspamd, opendkim, clamav-milter).
 *
 * One connection a session, opened with the first step; steps follow one another, also where the client does not wait for what
 * one stage says before the next begins. Milters see every stage, the header and body as the client sent
 * them, and may refuse, discard, quarantine, change the header and the envelope and replace the body. What one has accepted or lost is
 * done with for the message (or the session); other checks go on. Trouble is `on_failure`, once for a message that goes on,
 * and the session's next message gets a new connection.
 */
import { getLogger } from "@logtape/logtape";
import { CR, LF } from "../../bytes/ascii.ts";
import { latin1 } from "../../bytes/decode.ts";
import { scanFields } from "../../message/header.ts";
import { Breaker } from "../breaker.ts";
import { type Check, type CheckFacts, placeOf } from "../check.ts";
import type { MessageChanges } from "../message_source.ts";
import { failures } from "../metrics.ts";
import { Conversation, MilterFault } from "../milter/conversation.ts";
import { macrosFor, type MacroStep } from "../milter/macros.ts";
import { CHUNK_OCTETS, type MilterReply, STEP, strings, utf8Strings } from "../milter/packet.ts";
import type { ByteStream } from "../stream.ts";
import { failureVerdict, type OnFailure } from "../outside.ts";
import { CONTINUE, oneLine, type Stage, STAGES, type Verdict } from "../verdict.ts";

const log = getLogger(["veredus", "filter"]);
const MAX_SESSIONS = 10_000;
const MAX_HEADER_OCTETS = 1024 * 1024;
/** A new body may be so much larger than the old. */
const MAX_BODY_GROWTH = 16 * 1024 * 1024;
const LATE = new MilterFault("the time for a verdict was over");
const LEFT_ALONE = new MilterFault("it is left alone for a while");

export interface MilterOptions {
  readonly name: string;
  readonly hostname: string;
  readonly timeoutMs: number;
  readonly onFailure: OnFailure;
  /** Rejects when it cannot be reached. */
  readonly connect: () => Promise<ByteStream>;
  readonly now: () => number;
}

interface Session {
  conversation: Conversation | null;
  /** It has accepted the client, or failed for good: nothing more is asked. */
  done: boolean;
  /** The same of the message. */
  messageDone: boolean;
  inMessage: boolean;
  greeted: boolean;
  /** The client is gone. */
  ended: boolean;
  /** Settles when the steps before are done; never rejects. */
  turn: Promise<unknown>;
}

export function milter(options: MilterOptions): Check {
  const { name, onFailure } = options;
  const sessions = new Map<string, Session>();
  const breaker = new Breaker(options.now);

  const sessionOf = (id: string): Session => {
    let session = sessions.get(id);
    if (session === undefined) {
      if (sessions.size >= MAX_SESSIONS) throw new MilterFault("too many sessions");
      session = {
        ...{ conversation: null, done: false, messageDone: false, inMessage: false, greeted: false },
        ...{ ended: false, turn: Promise.resolve() },
      };
      sessions.set(id, session);
    }
    return session;
  };

  /** A message that goes on without it: a new connection in its middle would hear of half of it. */
  const passed = (session: Session | undefined): void => {
    if (session?.inMessage === true && onFailure === "continue") session.messageDone = true;
  };

  const failed = (session: Session | undefined, error: unknown, facts: CheckFacts | null = null): Verdict => {
    const what = error instanceof Error ? error.message : String(error);
    session?.conversation?.close();
    if (session !== undefined) session.conversation = null;
    passed(session);
    breaker.failed();
    failures.inc({ check: name });
    log.warn("the milter {check} failed: {what}", {
      ...{ check: name, what: oneLine(what) },
      ...(facts !== null && placeOf(facts)),
    });
    return failureVerdict(onFailure, error);
  };

  const step = async (session: Session, facts: CheckFacts): Promise<Verdict> => {
    try {
      if (facts.stage === "mail") {
        session.messageDone = false;
        session.inMessage = true;
      }
      if (session.ended || session.done || (session.messageDone && facts.stage !== "connect")) {
        return CONTINUE;
      }
      if (session.conversation === null) {
        if (breaker.open) {
          passed(session);
          return failureVerdict(onFailure, LEFT_ALONE);
        }
        const conversation = await Conversation.open(await options.connect(), options.timeoutMs);
        if (session.ended) {
          conversation.close();
          return CONTINUE;
        }
        session.conversation = conversation;
        session.greeted = false;
      }
      const verdict = await stepOf(session, facts, options);
      breaker.worked();
      return verdict;
    } catch (error) {
      return failed(session, error, facts);
    }
  };

  return {
    name,
    stages: STAGES,
    async run(facts) {
      let session: Session;
      try {
        session = sessionOf(facts.client.sessionId);
      } catch (error) {
        return failed(undefined, error, facts);
      }
      const verdict = session.turn.then(() => step(session, facts));
      session.turn = verdict;
      return await verdict;
    },
    // It may be in the middle of a message: what it says from now on is about nothing.
    late: (facts) => failed(sessions.get(facts.client.sessionId), LATE, facts),
    aborted(id) {
      const session = sessions.get(id);
      if (session === undefined) return;
      session.turn = session.turn.then(() => {
        if (session.conversation === null || !session.inMessage) return;
        session.inMessage = false;
        return session.conversation.abort();
      }).catch((error) => failed(session, error));
    },
    ended(id) {
      const session = sessions.get(id);
      if (session === undefined) return;
      session.ended = true;
      session.conversation?.close();
      sessions.delete(id);
    },
    close() {
      for (const session of sessions.values()) {
        session.ended = true;
        session.conversation?.close();
      }
      sessions.clear();
    },
  };
}

async function stepOf(session: Session, facts: CheckFacts, options: MilterOptions): Promise<Verdict> {
  const { stage, client } = facts;
  const conversation = session.conversation!;
  // A connection that was opened late hears what it has missed.
  if (stage !== "connect" && !session.greeted) {
    const missed = await connectStep(conversation, facts, options);
    if (missed.kind !== "continue") return settle(session, missed, "connect");
  }
  const macros = (step: MacroStep) => tell(conversation, step, { facts, options });
  if (stage === "connect") {
    const reply = await connectStep(conversation, facts, options);
    session.greeted = true;
    return settle(session, reply, stage);
  }
  session.greeted = true;
  switch (stage) {
    case "ehlo":
      if (!conversation.wants(STEP.NO_HELO)) return CONTINUE;
      await macros("H");
      return settle(
        session,
        await conversation.step("H", utf8Strings(client.heloName), STEP.NO_REPLY_HELO),
        stage,
      );
    case "mail": {
      if (!conversation.wants(STEP.NO_MAIL)) return CONTINUE;
      await macros("M");
      return settle(
        session,
        await conversation.step("M", utf8Strings(`<${facts.sender ?? ""}>`), STEP.NO_REPLY_MAIL),
        stage,
      );
    }
    case "rcpt": {
      if (!conversation.wants(STEP.NO_RCPT)) return CONTINUE;
      await macros("R");
      return settle(
        session,
        await conversation.step("R", utf8Strings(`<${facts.recipient}>`), STEP.NO_REPLY_RCPT),
        stage,
      );
    }
    case "data":
      if (!conversation.wants(STEP.NO_DATA)) return CONTINUE;
      await macros("T");
      return settle(session, await conversation.step("T", NOTHING, STEP.NO_REPLY_DATA), stage);
    case "message":
      return await messageStep(session, facts, macros);
    default:
      return stage satisfies never;
  }
}

const NOTHING = new Uint8Array(0);

async function tell(
  conversation: Conversation,
  step: MacroStep,
  { facts, options: { hostname } }: { readonly facts: CheckFacts; readonly options: MilterOptions },
): Promise<void> {
  const values = macrosFor(step, conversation.macroLists, { ...facts, hostname });
  if (values.length > 0) await conversation.macros(step, values);
}

async function connectStep(
  conversation: Conversation,
  facts: CheckFacts,
  options: MilterOptions,
): Promise<MilterReply> {
  if (!conversation.wants(STEP.NO_CONNECT)) return { kind: "continue" };
  await tell(conversation, "C", { facts, options });
  const { address, port } = facts.client;
  const family = address.includes(":") ? "6" : "4";
  const name = strings(`[${address}]`);
  const rest = strings(address);
  const data = new Uint8Array(name.length + 3 + rest.length);
  data.set(name);
  data[name.length] = family.charCodeAt(0);
  new DataView(data.buffer).setUint16(name.length + 1, port);
  data.set(rest, name.length + 3);
  return await conversation.step("C", data, STEP.NO_REPLY_CONNECT);
}

async function messageStep(
  session: Session,
  facts: CheckFacts,
  macros: (step: MacroStep) => Promise<void>,
): Promise<Verdict> {
  const conversation = session.conversation!;
  const message = facts.message!;
  if (conversation.wants(STEP.NO_HEADERS)) {
    const block = await message.read(0, Math.min(message.headerOctets, MAX_HEADER_OCTETS));
    for (const { value, start, end } of scanFields(block, 0, block.length)) {
      const name = latin1(block, start, value - 1).trim();
      const data = strings(name, headerValue(block, value, end));
      const reply = await conversation.step("L", data, STEP.NO_REPLY_HEADER);
      if (reply.kind !== "continue") return settle(session, reply, "message");
    }
  }
  if (conversation.wants(STEP.NO_EOH)) {
    await macros("N");
    const reply = await conversation.step("N", NOTHING, STEP.NO_REPLY_EOH);
    if (reply.kind !== "continue") return settle(session, reply, "message");
  }
  if (conversation.wants(STEP.NO_BODY)) {
    for (let at = message.headerOctets; at < message.octets; at += CHUNK_OCTETS) {
      const reply = await conversation.step("B", await message.read(at, CHUNK_OCTETS), STEP.NO_REPLY_BODY);
      if (reply.kind === "skip") break;
      if (reply.kind !== "continue") return settle(session, reply, "message");
    }
  }
  let quarantine: string | null = null;
  let bodyOctets = 0;
  await macros("E");
  const last = await conversation.end((reply) => {
    if (reply.kind === "quarantine") quarantine = reply.reason;
    else if (reply.kind === "body") {
      bodyOctets += reply.octets.length;
      if (bodyOctets > message.octets + MAX_BODY_GROWTH) throw new MilterFault("the new body is too large");
      (facts.changes!.body ??= []).push(reply.octets);
    } else if (!noteChange(facts.changes!, reply)) throw new MilterFault("too many changes");
  });
  session.inMessage = false;
  const verdict = settle(session, last, "message");
  session.messageDone = true;
  return quarantine !== null && verdict.action === "continue"
    ? { action: "quarantine", reason: quarantine }
    : verdict;
}

/** False when there are too many already. */
function noteChange(changes: MessageChanges, reply: MilterReply): boolean {
  switch (reply.kind) {
    case "add-header":
      return changes.add({ kind: "add", name: reply.name, value: reply.value });
    case "insert-header":
      return changes.add({ kind: "insert", at: reply.index, name: reply.name, value: reply.value });
    case "change-header":
      return changes.add({ kind: "change", index: reply.index, name: reply.name, value: reply.value });
    case "sender":
    case "add-recipient":
    case "remove-recipient":
      return changes.addToEnvelope(reply);
    default:
      return true;
  }
}

/** Without the last line end, lines parted by LF, one leading space gone, as libmilter has it. */
function headerValue(block: Uint8Array, start: number, end: number): string {
  let last = end;
  while (last > start && (block[last - 1] === CR || block[last - 1] === LF)) last--;
  return latin1(block, start, last).replaceAll("\r\n", "\n").replace(/^ /, "");
}

function settle(session: Session, reply: MilterReply, stage: Stage): Verdict {
  const done = () => {
    if (stage === "connect" || stage === "ehlo") session.done = true;
    else if (stage !== "rcpt") session.messageDone = true;
  };
  switch (reply.kind) {
    case "continue":
    case "skip":
    case "progress":
      return CONTINUE;
    case "accept":
      if (stage === "rcpt") session.messageDone = true;
      done();
      return CONTINUE;
    case "reject":
      done();
      return { action: "reject", reason: "rejected" };
    case "tempfail":
      done();
      return { action: "defer", reason: "put off" };
    case "discard":
      session.messageDone = true;
      return { action: "discard", reason: "discarded" };
    case "reply": {
      done();
      const { code, enhanced, text } = reply;
      const words = oneLine(text);
      return {
        action: code < 500 ? "defer" : "reject",
        reason: words,
        // 421 would promise an end that does not come.
        reply: {
          code: code === 421 ? 451 : code,
          enhanced,
          text: words === "" ? "Refused by policy" : words,
        },
      };
    }
    default:
      throw new MilterFault(`${reply.kind} out of place`);
  }
}

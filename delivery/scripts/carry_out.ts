/**
 * Carries out what filter scripts decided: copies, flags, redirects and mail of their own, as parts of one delivery.
 *
 * `decide` runs the scripts of every recipient that has some before anything happens, and moves the copies of a filing
 * accordingly; `operations` makes what goes beside it durable and returns it for the delivery's own transaction: copies
 * with a changed header, redirected mail, answers, and what is remembered of them. A redirect leads through the
 * directory like any recipient, so mail sent on to a mailbox here runs through the scripts of its owner too, each
 * mailbox once. Where nobody has a script nothing is read and nothing awaited.
 */
import { joined } from "../../bytes/joined.ts";
import { getLogger } from "@logtape/logtape";
import { CRLF } from "../../bytes/ascii.ts";
import { encode, encodeLatin1 } from "../../bytes/decode.ts";
import type { MessageFacts } from "../../message/facts.ts";
import { NO_RCPT_PARAMETERS } from "../../protocols/smtp/parameters.ts";
import { MessageView } from "../../sieve/message_view.ts";
import type { Header, Redirect } from "../../sieve/outcome.ts";
import type { WriteOp } from "../../storage/ops.ts";
import { domainOf, normalizeAddress } from "../../storage/address_form.ts";
import type { Spool } from "../../storage/store.ts";
import { type Copy, Filing, type FilingFacts, junkOf } from "../filing.ts";
import { freshKeys } from "../forwarding.ts";
import type { PostOptions } from "../post.ts";
import type { MailboxTarget } from "../recipients.ts";
import { copyPrefix } from "../trace.ts";
import { runChain } from "./chain.ts";
import { destinationOf } from "./destination.ts";
import { flagBits } from "./flag_bits.ts";
import { scriptHost } from "./host.ts";
import { remember, stateKey } from "./memory.ts";
import { OwnMail } from "./own_mail.ts";
import { isJunk, type Run, type ScriptedMessage } from "./scripted.ts";
import { fileWritten, writeAnew } from "./written.ts";

const log = getLogger(["veredus", "sieve"]);

/** Octets of a message that scripts look at. */
export const MAX_SEEN_OCTETS = 4 * 1024 * 1024;
/** Recipients of one message whose scripts are run, those of redirects included. */
const MAX_RUNS = 1_000;
/** The same message is sent on to the same address once in this time. */
const REDIRECT_MS = 86_400_000;

/** What is put in front of redirected mail: seals and signatures, which cover all that follows. */
export type RedirectFront = (domain: string, spool: Spool, message: MessageFacts) => Promise<string>;

interface SentOn {
  readonly run: Run;
  readonly redirect: Redirect;
}

export class ScriptDelivery {
  readonly #post: PostOptions;
  readonly #hostname: string;
  readonly #given: ScriptedMessage;
  readonly #now: number;
  readonly #runs: Run[];
  readonly #sentOn: SentOn[];
  /** Copies whose header a script changed. */
  readonly #edited: { readonly run: Run; readonly copy: Copy; readonly header: NonNullable<Header> }[];
  #rejections: { readonly run: Run; readonly reason: string }[];

  constructor(post: PostOptions, hostname: string, given: ScriptedMessage) {
    this.#post = post;
    this.#hostname = hostname;
    this.#given = given;
    this.#now = post.clock();
    this.#runs = [];
    this.#sentOn = [];
    this.#edited = [];
    this.#rejections = [];
  }

  /** One line for each thing that was decided, for log and trace. */
  get trace(): string[] {
    return this.#runs.flatMap(({ copy, decision }) =>
      decision.trace.map((line) => `${copy.target.account}: ${line}`)
    );
  }

  /** Runs all scripts. A text is the reason of all recipients to refuse the message. */
  async decide(): Promise<string | null> {
    const { filing } = this.#given;
    const { scripts } = this.#post.store;
    const seen = new Set<string>();
    for (;;) {
      const next = filing.copies().find(({ target }) =>
        !seen.has(idOf(target)) && scripts.chain(target.owner).length > 0
      );
      if (next === undefined || seen.size >= MAX_RUNS) break;
      seen.add(idOf(next.target));
      const run = await this.#run(next);
      this.#runs.push(run);
      await this.#place(run);
    }
    if (this.#rejections.length === 0) return null;
    const { refuseOne } = this.#given;
    if (refuseOne !== undefined) {
      this.#rejections = this.#rejections.filter(({ run, reason }) => !refuseOne(run.copy.target, reason));
      if (this.#rejections.length === 0) return null;
    }
    const others = filing.mailboxes + filing.remote + this.#sentOn.length + this.#edited.length;
    const [first] = this.#rejections;
    const { later, sender, senderProven } = this.#given;
    const unproven = sender === "" || !senderProven;
    const all = others === 0 && this.#rejections.length === this.#runs.length;
    if (all && !(later === true && unproven)) return first!.reason;
    // Who cannot be told gets no notice that strangers may have asked for: the message is kept aside (RFC 5429 2.1.2).
    if (unproven) {
      for (const { run } of this.#rejections.splice(0)) await this.#toJunk(run.copy);
    }
    return null;
  }

  async #run(copy: Copy): Promise<Run> {
    const { store } = this.#post;
    const { traceId, sender, client, front, spam, virusLevel = null } = this.#given;
    const { target } = copy;
    const trace = copyPrefix(sender, copy.deliveredTo);
    const view = this.#viewer(joined([trace, encode((copy.front ?? "") + front)]));
    const host = scriptHost({
      store,
      account: target.owner,
      envelope: { from: sender, to: target.deliveredTo },
      hostname: this.#hostname,
      now: this.#now,
      client,
      virusLevel,
      spamPercent: spam?.get(target.owner.id)?.percent ?? null,
    });
    const rows = store.scripts.chain(target.owner);
    const about = { trace: traceId, account: target.account };
    const decision = await runChain({ rows, scripts: store.scripts, host, view, about });
    log.debug("scripts done", () => ({ ...about, actions: decision.trace.join("; ") }));
    return { copy, view, traceOctets: trace.length, decision };
  }

  /** The message as the recipient will have it. */
  #viewer(prefix: Uint8Array): (needsBody: boolean) => Promise<MessageView> {
    const { spool, message } = this.#given;
    let known: { readonly view: MessageView; readonly whole: boolean } | null = null;
    return async (needsBody) => {
      if (known !== null && (known.whole || !needsBody)) return known.view;
      const most = needsBody
        ? Math.min(spool.octets, MAX_SEEN_OCTETS)
        : Math.min(message.headerOctets, spool.octets);
      const all = joined([prefix, await spool.read(0, most)]);
      known = { view: new MessageView(all, { sizeOctets: spool.octets }), whole: needsBody };
      return known.view;
    };
  }

  /** Moves the copy where the scripts want it. */
  async #place(run: Run): Promise<void> {
    const { filing } = this.#given;
    const { copy, decision } = run;
    const junk = isJunk(this.#given, copy.target.owner.id);
    filing.take(copy);
    let kept = decision.keep !== null;
    for (const action of decision.actions) {
      switch (action.kind) {
        case "fileinto": {
          const mailboxId = await destinationOf(this.#post.store, copy.target.owner, action);
          if (mailboxId === null) kept = true;
          else this.#file(run, { mailboxId, flags: action.flags, header: action.header });
          break;
        }
        case "redirect":
          if (!this.#sendOn(run, action)) kept = true;
          break;
        case "reject":
          this.#rejections.push({ run, reason: action.reason });
          break;
        case "vacation":
        case "notify":
          break; // when it is known that the message is taken
        default:
          action satisfies never;
      }
    }
    if (!kept) return;
    const { keep, explicitKeep } = decision;
    // A verdict of Junk replaces the implicit keep alone.
    const inbox = explicitKeep && junk ? this.#post.store.mailboxes.inboxOf(copy.target.owner.id) : null;
    const mailboxId = inbox ?? copy.target.mailboxId;
    this.#file(run, { mailboxId, flags: keep?.flags ?? null, header: keep?.header ?? null });
  }

  #file(
    run: Run,
    { mailboxId, flags, header }: {
      readonly mailboxId: number;
      readonly flags: readonly string[] | null;
      readonly header: Header;
    },
  ): void {
    const { target, deliveredTo } = run.copy;
    const copy = { target: { ...target, mailboxId, newFolder: "" }, deliveredTo, ...flagBits(flags ?? []) };
    const { front } = run.copy;
    if (header === null) this.#given.filing.put({ ...copy, ...(front !== undefined && { front }) });
    else this.#edited.push({ run, copy, header });
  }

  async #toJunk(copy: Copy): Promise<void> {
    const { target } = copy;
    const mailboxId = await junkOf(this.#post.store, target.owner.id) ?? target.mailboxId;
    this.#given.filing.put({ ...copy, target: { ...target, mailboxId, newFolder: "" } });
  }

  /** False where it is not sent on, and the message is kept: Junk, a loop, an address that takes no mail. */
  #sendOn(run: Run, redirect: Redirect): boolean {
    const { resolver, store } = this.#post;
    const { traceId, message, filing } = this.#given;
    const { target } = run.copy;
    const junk = isJunk(this.#given, target.owner.id);
    const refuse = (why: string) => {
      log.info("a redirect was not done: {why}", {
        trace: traceId,
        account: target.account,
        to: redirect.address,
        why,
      });
      return false;
    };
    const local = resolver.isLocal(redirect.address);
    if (junk && !local) return refuse("the message is junk");
    if (normalizeAddress(redirect.address) === target.account) return refuse("it leads back to its owner");
    if (message.messageId !== null) {
      const known = store.policy.get("duplicate", this.#redirectKey(run, redirect), this.#now);
      if (known !== null) return refuse("it was sent there before");
    }
    const resolution = resolver.resolveAddress(redirect.address);
    if (resolution.kind === "refused") return refuse(resolution.reason);
    const here = resolution.targets.filter((one): one is MailboxTarget => one.kind === "mailbox");
    for (const one of here) filing.put({ target: one, deliveredTo: [one.deliveredTo] });
    if (here.length < resolution.targets.length) this.#sentOn.push({ run, redirect });
    return true;
  }

  #redirectKey({ copy }: Run, { address }: Redirect): string {
    return stateKey(copy.target.owner.id, `redirect ${address} ${this.#given.message.messageId}`);
  }

  /** What goes beside the filing in its transaction. Rejects with StorageError. */
  async operations(facts: FilingFacts, frontOf: RedirectFront): Promise<WriteOp[]> {
    const operations: WriteOp[] = [];
    const own = new OwnMail(this.#post, { hostname: this.#hostname, given: this.#given, now: this.#now });
    for (const { run, copy, header } of this.#edited) {
      const filing = new Filing();
      filing.put(copy);
      operations.push(
        await this.#variant({ run, header, filing, front: "" }, { ...facts, ...{ front: "" } }, null),
      );
    }
    if (this.#sentOn.length > 0) await freshKeys(this.#post.store, this.#now);
    for (const { run, redirect } of this.#sentOn) {
      operations.push(...await this.#redirected(run, redirect, { facts, frontOf }));
    }
    for (const { run, reason } of this.#rejections) {
      operations.push(...await own.refusalNotice(run, reason));
    }
    for (const run of this.#runs) operations.push(...await own.of(run));
    return operations;
  }

  async #redirected(
    run: Run,
    redirect: Redirect,
    { facts, frontOf }: { readonly facts: FilingFacts; readonly frontOf: RedirectFront },
  ): Promise<WriteOp[]> {
    const domain = domainOf(run.copy.target.account);
    const resolution = this.#post.resolver.resolveAddress(redirect.address);
    if (resolution.kind === "refused") return [];
    const filing = new Filing();
    filing.add(
      resolution.targets.filter(({ kind }) => kind !== "mailbox").map((target) =>
        target.kind === "remote" ? { ...target, forwardedBy: domain } : target
      ),
      // RFC 6009: the wishes of the script; without them a failure goes back to the sender as usual.
      { ...NO_RCPT_PARAMETERS, ...(redirect.notify !== null && { notify: redirect.notify }) },
    );
    // Our mark by which a loop is seen (RFC 5321 6.3).
    const front = `Delivered-To: ${run.copy.target.deliveredTo}\r\n`;
    const operation = await this.#variant({ run, header: redirect.header, filing, front }, {
      ...facts,
      ...{ ret: redirect.ret ?? facts.ret ?? "", front: "" },
    }, (spool, message) => frontOf(domain, spool, message));
    const key = this.#redirectKey(run, redirect);
    return [operation, remember("duplicate", key, { now: this.#now, forMs: REDIRECT_MS })];
  }

  /** The message with another header, durable, and the operation that files or queues it. */
  async #variant(
    { run, header, filing, front }: {
      readonly run: Run;
      readonly header: Header;
      readonly filing: Filing;
      readonly front: string;
    },
    facts: FilingFacts,
    sealed: ((spool: Spool, message: MessageFacts) => Promise<string>) | null,
  ): Promise<WriteOp> {
    const { store } = this.#post;
    const { spool, message } = this.#given;
    const body = { spool, from: message.headerOctets };
    const head = [encode(front), await this.#headerOctets(await run.view(false), run, header)];
    const once = await writeAnew(store, head, body);
    if (sealed === null) return await fileWritten(once, filing, facts);
    const seal = await sealed(once.spool, once.message);
    if (seal === "") return await fileWritten(once, filing, facts);
    once.spool.discard();
    return await fileWritten(await writeAnew(store, [encodeLatin1(seal), ...head], body), filing, facts);
  }

  /** The header block of the message, with our own trace lines left out. */
  async #headerOctets(view: MessageView, { traceOctets }: Run, header: Header): Promise<Uint8Array> {
    const { spool, message, front } = this.#given;
    if (header === null) {
      return joined([encode(front), await spool.read(0, message.headerOctets)]);
    }
    const pieces: Uint8Array[] = [];
    for (const field of header) {
      if (field.span === null) pieces.push(encode(`${field.written}: ${field.value}\r\n`));
      else if (field.span.end > traceOctets) pieces.push(view.octetsOf(field.span));
    }
    pieces.push(CRLF);
    return joined(pieces);
  }
}

/** A recipient whose scripts run once. */
function idOf({ owner, deliveredTo }: MailboxTarget): string {
  return `${owner.id} ${deliveredTo}`;
}

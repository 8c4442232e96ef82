/**
 * Tells the owner of an account once that it is nearly full, and once that it is full.
 *
 * What was told stands beside the counters, and the notice and that note are one transaction: however many threads meet
 * the limit at once, one notice comes. When the account is below its soft limit again, the note is taken back. The
 * notice itself is mail of ours and has room in any case (RFC 3834: automatic, null reverse-path).
 */
import { getLogger } from "@logtape/logtape";
import type { QuotaLevel } from "../storage/ops.ts";
import type { Account } from "../storage/directory_view.ts";
import { counter } from "../telemetry/metrics.ts";
import { composeAutomatic } from "./auto_reply.ts";
import { type PostOptions, prepareOwnMail } from "./post.ts";
import { hasQuota, levelOf, quotaOf, type QuotaState } from "./quota.ts";

const log = getLogger(["veredus", "delivery"]);
const notices = counter("veredus_quota_notices_total", "Notices to owners about their quota, by level", [
  "level",
]);

export class QuotaNotices {
  readonly #post: PostOptions;
  readonly #hostname: string;
  /** Accounts being told at this moment. */
  readonly #telling = new Set<number>();

  constructor(post: PostOptions, hostname: string) {
    this.#post = post;
    this.#hostname = hostname;
  }

  /** After a delivery, or a refusal for want of room (`refused`). Returns at once; nothing waits for it. */
  look(account: Account, refused = false): void {
    const { directory } = this.#post.store;
    if (!hasQuota(directory, account) || this.#telling.has(account.id)) return;
    const state = quotaOf(directory, account);
    const level = refused ? 2 : levelOf(state);
    // Between nearly full and full nothing is taken back: a mailbox that hovers at its limit tells once.
    if (level === 0 ? state.noticed === 0 : level <= state.noticed) return;
    this.#telling.add(account.id);
    this.#tell(account, state, level).catch((error) => {
      log.error("a quota notice could not be written: {error}", { account: account.address, error });
    }).finally(() => this.#telling.delete(account.id));
  }

  async #tell(account: Account, state: QuotaState, level: QuotaLevel): Promise<void> {
    const { store } = this.#post;
    const note = { kind: "note-quota", accountId: account.id, level } as const;
    if (level === 0) {
      await store.write(note);
      return;
    }
    const id = this.#post.newId();
    const prepared = await prepareOwnMail(this.#post, {
      octets: composeAutomatic({
        kind: "auto-generated",
        from: `postmaster@${this.#hostname}`,
        to: `<${account.address}>`,
        subject: level === 2 ? "Your mailbox is full" : "Your mailbox is nearly full",
        date: this.#post.clock(),
        messageId: `<${id}.quota@${this.#hostname}>`,
        text: wordsOf(account, state, level),
      }),
      sender: "",
      recipients: [account.address],
    });
    if ("refused" in prepared) return;
    const result = await store.write({ kind: "batch", ops: [note, prepared.operation] });
    if (!result.ok) return; // somebody else told it
    notices.inc({ level: level === 2 ? "full" : "nearly-full" });
    log.info("quota notice to {account}", { account: account.address, level });
  }
}

function wordsOf(account: Account, { octets, messages }: QuotaState, level: QuotaLevel): string[] {
  const percent = ({ used, hard }: { used: number; hard: number }) => Math.floor(used * 100 / hard);
  return [
    level === 2
      ? `The mailbox ${account.address} is full. New mail for it is not taken until there is room again.`
      : `The mailbox ${account.address} is nearly full. When it is full, new mail is not taken any more.`,
    "",
    ...(octets.hard > 0 ? [`Octets:   ${octets.used} of ${octets.hard} (${percent(octets)} %)`] : []),
    ...(messages.hard > 0 ? [`Messages: ${messages.used} of ${messages.hard} (${percent(messages)} %)`] : []),
    "",
    "Please delete what you do not need any more, and empty the trash.",
  ];
}

/** Works through what users have said about their mail: reads each message, makes a lesson of it, folds the journal now and then. */
import { getLogger } from "@logtape/logtape";
import type { WriteOp } from "../../storage/ops.ts";
import type { BlobReader } from "../../storage/store.ts";
import type { SpamLessons, Wish } from "../../storage/spam_lessons.ts";
import type { Assessor } from "./assessor.ts";
import { MAIL_LIMITS } from "./limits.ts";
import { lessonsLearnt } from "./metrics.ts";

const log = getLogger(["veredus", "spam"]);
const BATCH = 20;
/** Rows of the journal before they are folded. */
const FOLD_AT = 50;
/** Nobody's: what came to a trap. */
const SHARED = 0;

export class Teacher {
  readonly #parts: { readonly lessons: SpamLessons; readonly blobs: BlobReader; readonly assessor: Assessor };

  constructor(
    parts: { readonly lessons: SpamLessons; readonly blobs: BlobReader; readonly assessor: Assessor },
  ) {
    this.#parts = parts;
  }

  /** What is to be written for the next wishes, or to fold; empty when all is done. */
  async next(): Promise<WriteOp[]> {
    const { lessons } = this.#parts;
    const wishes = lessons.wishes(BATCH);
    const ops: WriteOp[] = [];
    for (const wish of wishes) ops.push(await this.#lesson(wish));
    return ops.length > 0 ? ops : this.#folds();
  }

  async #lesson(wish: Wish): Promise<WriteOp> {
    const { blobs, assessor } = this.#parts;
    const { id, accountId, kind, blob, prefix } = wish;
    const gone: WriteOp = { kind: "drop-wishes", ids: [id] };
    if (blob === null) return gone;
    const length = Math.min(blob.length, MAIL_LIMITS.octets);
    let read: Uint8Array;
    try {
      read = await blobs.read(blob, 0, length);
    } catch (error) {
      log.warn("a message to learn from cannot be read: {error}", { accountId, error });
      return gone;
    }
    const octets = new Uint8Array(prefix.length + read.length);
    octets.set(prefix);
    octets.set(read, prefix.length);
    const about = accountId === SHARED ? "copies" : "all";
    const { key, tokens } = assessor.lesson(octets, prefix.length + blob.length, about);
    lessonsLearnt.inc({ kind });
    return { kind: "teach", accountId, key, as: kind, tokens, wish: id };
  }

  #folds(): WriteOp[] {
    const { lessons, assessor } = this.#parts;
    const open = lessons.unfolded().filter(({ rows }) => rows >= FOLD_AT).map(({ accountId }) => accountId);
    if (open.length === 0) return [];
    return [...new Set([...open, SHARED])].flatMap((accountId) => {
      const folded = assessor.fold(accountId);
      return folded === null ? [] : [{ kind: "put-knowledge", accountId, ...folded } as const];
    });
  }
}

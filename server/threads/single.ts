/** `threads: 0`: every part in this thread. A commit then blocks the event loop while it syncs. */
import { getLogger } from "@logtape/logtape";
import { FrontendPart } from "../frontend_part.ts";
import { MaildropLocks } from "../maildrop_locks.ts";
import { Bans } from "../bans.ts";
import { answersBuffer } from "../shared_answers.ts";
import { SharedBuckets } from "../shared_buckets.ts";
import { later } from "../later.ts";
import { SharedLimits } from "../shared_limits.ts";
import { WriterPart } from "../writer_part.ts";
import type { IndexerPart } from "../indexer_part.ts";
import type { QueuePart } from "../queue_part.ts";
import type { ThreadPart } from "./messages.ts";
import type { Shape, ShapeOptions } from "./shape.ts";

const log = getLogger(["veredus", "server"]);

export async function startSingle(options: ShapeOptions): Promise<Shape> {
  const { settings } = options;
  const writer = new WriterPart(settings.config.data, options.onFatal);
  const parts: ThreadPart[] = [];
  const answers = answersBuffer(settings.config.resolver);
  const shared = { limits: SharedLimits.buffer(2), bans: Bans.buffer(), answers, epoch: Date.now() };
  let queue: Promise<QueuePart> | null = null;
  let indexer: Promise<IndexerPart> | null = null;
  const drain = async (withinMs: number) => {
    await queue?.catch(() => {}); // told already
    await indexer?.catch(() => {});
    await Promise.all(parts.map((part) => part.drain(withinMs)));
    await writer.drain();
  };
  try {
    await options.prepare?.(writer.writer);
    parts.push(
      await FrontendPart.open(settings, {
        writer: writer.writer,
        maildropLocks: MaildropLocks.buffer(),
        buckets: SharedBuckets.buffer(),
        column: 0,
        ...shared,
      }),
    );
  } catch (error) {
    await drain(0);
    throw error;
  }
  // Its modules are loaded when the ports are open: nobody waits for the queue.
  queue = later<typeof import("../queue_part.ts")>(new URL("../queue_part.ts", import.meta.url)).then(
    ({ QueuePart }) => {
      const part = QueuePart.open(settings, { writer: writer.writer, answers });
      parts.push(part);
      return part;
    },
  );
  queue.catch((error) => {
    log.fatal("the queue cannot start: {error}", { error });
    options.onFatal(error instanceof Error ? error.message : String(error));
  });
  if (settings.config.search.index) {
    indexer = queue.catch(() => {}).then(() =>
      later<typeof import("../indexer_part.ts")>(new URL("../indexer_part.ts", import.meta.url))
    ).then(({ IndexerPart }) => {
      const part = IndexerPart.open(settings, writer.writer, { ownThread: false });
      parts.push(part);
      return part;
    });
    indexer.catch((error) => log.error("the indexer cannot start: {error}", { error }));
  }
  return {
    writer: writer.writer,
    shared,
    metrics: () => Promise.resolve([]), // main's own registry has them all
    sessions: () =>
      Promise.resolve(
        parts.flatMap((part) => part.sessions()).map((session) => ({ ...session, thread: 0 })),
      ),
    endSession: (id) => Promise.resolve(parts.some((part) => part.endSession(id))),
    failRecipients: async (ids, reason) => await (await queue).failRecipients(ids, reason),
    rebuildIndex: async (accountId) => {
      if (indexer === null) throw new Error("no full-text indexes are kept (search.index)");
      (await indexer).rebuildIndex(accountId);
    },
    setLogLevel: () => {},
    reload: (next) => {
      for (const part of parts) part.reload(next);
      return Promise.resolve();
    },
    trouble: () => Promise.resolve(null),
    drain,
  };
}

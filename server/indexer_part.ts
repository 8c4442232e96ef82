/**
 * The indexer's part: keeps the full-text indexes up, behind everything else.
 *
 * A thread of its own that runs when no other wants to, or short slices of the only one with `threads: 0`. It opens after the ports
 * do. With `search.index: false` there is none.
 */
import { getLogger } from "@logtape/logtape";
import { IndexFolder } from "../search/index_folder.ts";
import { Indexer } from "../search/indexer.ts";
import { OWN_THREAD, SHARED_THREAD } from "../search/pace.ts";
import { DataFolder } from "../storage/data_folder.ts";
import { openStore } from "../storage/open_store.ts";
import type { Store } from "../storage/store.ts";
import type { WriterPort } from "../storage/writer.ts";
import { attachmentsOf } from "./extract_process.ts";
import { lowerPriority } from "./low_priority.ts";
import type { PartSettings, SessionInfo, ThreadPart } from "./threads/messages.ts";

const log = getLogger(["veredus", "search"]);

export class IndexerPart implements ThreadPart {
  readonly #store: Store;
  readonly #indexer: Indexer;

  private constructor(settings: PartSettings, writer: WriterPort, ownThread: boolean) {
    const problem = ownThread ? lowerPriority() : "";
    // The pauses of its pace are what is left.
    if (problem !== "") log.debug("the priority of the indexer was not lowered: {problem}", { problem });
    const folder = new DataFolder(settings.config.data);
    this.#store = openStore({ folder, writer });
    this.#indexer = new Indexer({
      store: this.#store,
      folder: new IndexFolder(folder.indexes),
      pace: ownThread ? OWN_THREAD : SHARED_THREAD,
      attachments: attachmentsOf(settings.config.search),
    });
    this.#indexer.start();
  }

  static open(settings: PartSettings, writer: WriterPort, options: { ownThread: boolean }): IndexerPart {
    return new IndexerPart(settings, writer, options.ownThread);
  }

  /** Begins; how far it is stands in the file itself. */
  rebuildIndex(accountId: number): void {
    this.#indexer.rebuild(accountId);
  }

  sessions(): SessionInfo[] {
    return [];
  }

  endSession(): boolean {
    return false;
  }

  reload(): void {
    // Nothing of the indexer's is configurable while it runs.
  }

  async drain(): Promise<void> {
    await this.#indexer.stop();
    await this.#store.close();
  }
}

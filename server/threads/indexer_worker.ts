/** Entry of the indexer's Worker. */
import { connectWriter } from "../../storage/writer_port.ts";
import { IndexerPart } from "../indexer_part.ts";
import { runWorker } from "./worker_side.ts";

/** It is behind everything else anyway. */
const PATIENCE_MS = 100;

runWorker(({ settings, writer }) => {
  if (writer === null) throw new Error("the indexer needs a port to the writer");
  return IndexerPart.open(
    settings,
    connectWriter(writer, ["added", "expunged", "mailboxes", "directory"], { patienceMs: PATIENCE_MS }),
    { ownThread: true },
  );
});

/** Entry of the queue's Worker. */
import { connectWriter } from "../../storage/writer_port.ts";
import { QueuePart } from "../queue_part.ts";
import { runWorker } from "./worker_side.ts";

runWorker(({ settings, writer, answers }) => {
  if (writer === null) throw new Error("the queue needs a port to the writer");
  return QueuePart.open(settings, {
    writer: connectWriter(writer, ["queue", "mailboxes", "directory", "annotations"]),
    answers,
  });
});

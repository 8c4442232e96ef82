/** Entry of a front end's Worker. */
import { connectWriter } from "../../storage/writer_port.ts";
import { FrontendPart } from "../frontend_part.ts";
import { runWorker } from "./worker_side.ts";

runWorker(({ settings, writer, ...sharing }) => {
  if (writer === null) throw new Error("a front end needs a port to the writer");
  return FrontendPart.open(settings, { ...sharing, writer: connectWriter(writer) });
});

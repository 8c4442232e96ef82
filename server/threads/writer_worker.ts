/** Entry of the writer's Worker. */
import { WriterPart } from "../writer_part.ts";
import { runWorker } from "./worker_side.ts";

runWorker(({ settings }, fail) => new WriterPart(settings.config.data, fail));

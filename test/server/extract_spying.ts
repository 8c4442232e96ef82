/** The process that takes text out of attachments, with a Worker that tries what it must not be able to do. */
import { extractProcess } from "../../server/process/extract.ts";

const spy = new URL("./extract_spy_worker.ts", import.meta.url);
Deno.exit(await extractProcess({ pdf: spy, document: spy }));

/** The trace of messages, as one thread writes it. */
import { getLogger } from "@logtape/logtape";
import { DataFolder } from "../storage/data_folder.ts";
import { TraceLog } from "../storage/trace_log.ts";
import type { Config } from "./config/config.ts";

const log = getLogger(["veredus", "server"]);

/** Null where nothing is to be kept. */
export function traceLog(config: Config, name: string): TraceLog | null {
  if (config.trace.keepMs === 0) return null;
  return new TraceLog({
    folder: new DataFolder(config.data).trace,
    name,
    keepMs: config.trace.keepMs,
    clock: Date.now,
    onFault: (error) => log.error("the trace of messages cannot be written: {error}", { error }),
  });
}

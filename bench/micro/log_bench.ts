/** The price of one info line, as every message costs at least one. */
import { getLogger, type LogRecord } from "@logtape/logtape";
import { configureLogs, jsonLine, textLine } from "../../telemetry/log.ts";

const log = getLogger(["veredus", "smtp"]).with({ session: "6f1c2a9b7d", address: "192.0.2.1" });
const facts = { id: "4k2j9x", octets: 4096, recipients: 1, sender: "someone@example.test" };
const record: LogRecord = {
  category: ["veredus", "smtp"],
  level: "info",
  rawMessage: "message {id} accepted",
  message: [],
  timestamp: Date.now(),
  properties: { session: "6f1c2a9b7d", address: "192.0.2.1", ...facts },
};
configureLogs({ level: "info", areas: {}, format: "json" }, { write() {} });

Deno.bench("info line through the logger, JSON", () => log.info("message {id} accepted", facts));
Deno.bench("debug line that is switched off", () => log.debug("message {id} accepted", facts));
Deno.bench("format JSON", () => {
  jsonLine(record);
});
Deno.bench("format text", () => {
  textLine(record);
});

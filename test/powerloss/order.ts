/** The order that durability rests on, in the trace itself: segment sync, then the commit and its sync, then the 250. */
import type { Ledger } from "./ledger.ts";
import type { TraceEvent } from "./trace.ts";

export interface OrderReport {
  readonly checked: number;
  /** Messages whose row could not be found in the log, as when their id crosses the end of a page. */
  readonly unclear: number;
  readonly findings: readonly string[];
}

export function checkOrder(events: readonly TraceEvent[], ledger: Ledger): OrderReport {
  const findings: string[] = [];
  let unclear = 0;
  const writes = events.flatMap((event, at) =>
    event.kind === "write"
      ? [{ at, path: event.path, text: new TextDecoder("latin1").decode(event.data) }]
      : []
  );
  const isSegment = (path: string) => path.endsWith(".seg");
  const isLog = (path: string) => path.endsWith("-wal");
  /** The first sync of `path` that began after event `at`. */
  const syncAfter = (path: string, at: number) =>
    events.findIndex((event, i) =>
      i > at && event.kind === "sync" && event.path === path && event.began > at
    );
  for (const { at: replied, what } of ledger.accepted) {
    const { marker, traceId } = what;
    const add = (text: string) => findings.push(`${marker}: ${text}`);
    const octets = writes.find(({ path, text }) =>
      isSegment(path) && text.includes(`X-Crash: ${marker}\r\n`)
    );
    if (octets === undefined) {
      add("its octets were never written");
      continue;
    }
    const octetsSynced = syncAfter(octets.path, octets.at);
    if (octetsSynced < 0 || octetsSynced > replied) add("its 250 was sent before its segment was synced");
    const row = writes.find(({ path, text, at }) => isLog(path) && at > octets.at && text.includes(traceId));
    if (row === undefined) {
      unclear++;
      continue;
    }
    if (row.at < octetsSynced) add("its row was written before its segment was synced");
    const rowSynced = syncAfter(row.path, row.at);
    if (rowSynced < 0 || rowSynced > replied) add("its 250 was sent before the log was synced");
  }
  return { checked: ledger.accepted.length - unclear, unclear, findings };
}

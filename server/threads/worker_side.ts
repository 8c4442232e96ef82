/**
 * The inside of a Worker: builds its part when main says so, answers main's requests, sends log lines.
 *
 * A part that cannot start, or reports that it cannot go on, is told to main as `failed`; an error nobody caught
 * reaches main as the Worker's error event. Either way main decides what dies with it.
 */
import { configureLogs, flushLogs, setLogLevel } from "../../telemetry/log.ts";
import { metricsAsJson } from "../../telemetry/metrics.ts";
import type { FromThread, StartMessage, ThreadPart, ThreadRequest, ToThread } from "./messages.ts";

/** The part; for the writer, the way to connect threads to it, for the queue, the way to give mail up; for the indexer, to make an index anew. */
export interface WorkerPart extends ThreadPart {
  attach?(port: MessagePort): void;
  failRecipients?(recipientIds: readonly number[], reason: string): Promise<number>;
  rebuildIndex?(accountId: number): void;
}

/** How a part is made; `fail` ends the thread's usefulness with a reason. */
export type BuildPart = (
  start: StartMessage,
  fail: (reason: string) => void,
) => Promise<WorkerPart> | WorkerPart;

/** The Worker's global scope, as far as it is used here. */
interface WorkerScope {
  postMessage(message: FromThread): void;
  addEventListener(type: "message", listener: (event: MessageEvent<ToThread>) => void): void;
}

export function runWorker(build: BuildPart): void {
  const scope = globalThis as unknown as WorkerScope;
  const send = (message: FromThread) => scope.postMessage(message);
  const fail = (reason: string) => {
    flushLogs();
    send({ kind: "failed", reason });
  };
  let part: WorkerPart | null = null;

  scope.addEventListener("message", ({ data }) => {
    if (data.kind === "start") {
      configureLogs(data.logs, { write: (lines) => send({ kind: "log", lines }) });
      Promise.resolve().then(() => build(data, fail)).then((built) => {
        part = built;
        send({ kind: "ready" });
      }, (error) => fail(reasonOf(error)));
      return;
    }
    const { id, request } = data;
    answer(part, request).then(
      (value) => send({ kind: "answer", id, value }),
      (error) => send({ kind: "refusal", id, reason: reasonOf(error) }),
    );
  });
  send({ kind: "loaded" });
}

async function answer(part: WorkerPart | null, request: ThreadRequest): Promise<unknown> {
  switch (request.kind) {
    case "metrics":
      return await metricsAsJson();
    case "log-level":
      setLogLevel(request.area, request.level);
      return null;
    case "sessions":
      return part?.sessions() ?? [];
    case "end-session":
      return part?.endSession(request.id) ?? false;
    case "reload":
      part?.reload(request.settings);
      return null;
    case "attach":
      if (part?.attach === undefined) throw new Error("only the writer can be attached to");
      part.attach(request.port);
      return null;
    case "fail-recipients":
      if (part?.failRecipients === undefined) throw new Error("only the queue can give mail up");
      return await part.failRecipients(request.recipientIds, request.reason);
    case "rebuild-index":
      if (part?.rebuildIndex === undefined) throw new Error("only the indexer can make an index");
      part.rebuildIndex(request.accountId);
      return null;
    case "drain":
      await part?.drain(request.withinMs);
      flushLogs();
      return null;
    default: {
      const never: never = request;
      return never;
    }
  }
}

export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.stack ?? `${error.name}: ${error.message}` : String(error);
}

/**
 * The thread that judges messages and learns from what users said, so that no protocol waits for it. Reads the store; what is to
 * be written goes back to the front end that started it.
 */
import { openReadOnlyStore } from "../storage/open_store.ts";
import { DataFolder } from "../storage/data_folder.ts";
import { type Assessment, Assessor, type AssessRequest } from "../filter/spam/assessor.ts";
import { Teacher } from "../filter/spam/teacher.ts";
import type { WriteOp } from "../storage/ops.ts";

export type SpamQuestion =
  | { readonly kind: "open"; readonly data: string }
  | { readonly kind: "assess"; readonly id: number; readonly request: AssessRequest }
  | { readonly kind: "learn"; readonly id: number };

export type SpamAnswer =
  | { readonly id: number; readonly assessment: Assessment }
  | { readonly id: number; readonly ops: readonly WriteOp[] }
  | { readonly id: number; readonly fault: string };

let parts: { readonly assessor: Assessor; readonly teacher: Teacher } | null = null;

addEventListener("message", async ({ data }: MessageEvent<SpamQuestion>) => {
  if (data.kind === "open") {
    const store = openReadOnlyStore(new DataFolder(data.data));
    const assessor = new Assessor(store.spam);
    parts = { assessor, teacher: new Teacher({ lessons: store.spam, blobs: store.blobs, assessor }) };
    return;
  }
  postMessage(await answered(data));
});

async function answered(question: Exclude<SpamQuestion, { kind: "open" }>): Promise<SpamAnswer> {
  const { id } = question;
  try {
    if (parts === null) return { id, fault: "it is not open" };
    return question.kind === "assess"
      ? { id, assessment: parts.assessor.assess(question.request) }
      : { id, ops: await parts.teacher.next() };
  } catch (error) {
    return { id, fault: error instanceof Error ? error.stack ?? error.message : String(error) };
  }
}

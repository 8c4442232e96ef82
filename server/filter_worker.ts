/**
 * The filter's thread: judges messages, looks into attachments and learns from what users said, so that no protocol waits for it.
 * A message that lies on disk it reads there itself. What is to be written to the store goes back to the front end that started it.
 *
 * Attachments are looked into one message after the other: memory is that of one. Other questions get their turn between pieces.
 */
import { run } from "../bytes/steps.ts";
import { type Inspected, inspected } from "../filter/content/attachments.ts";
import type { ContentLimits } from "../filter/content/inspect.ts";
import type { Handed, MessageSource } from "../filter/message_source.ts";
import { type Assessment, Assessor, type AssessRequest } from "../filter/spam/assessor.ts";
import { Teacher } from "../filter/spam/teacher.ts";
import { DataFolder } from "../storage/data_folder.ts";
import { openReadOnlyStore } from "../storage/open_store.ts";
import type { WriteOp } from "../storage/ops.ts";
import { SpooledOctets } from "../storage/spooled_octets.ts";

export type FilterQuestion =
  | { readonly kind: "assess"; readonly request: AssessRequest<Handed> }
  | {
    readonly kind: "inspect";
    readonly message: Handed;
    readonly headerOctets: number;
    readonly limits: ContentLimits;
  }
  | { readonly kind: "learn" };

export interface FilterAnswers {
  readonly assess: Assessment;
  readonly inspect: Inspected;
  readonly learn: readonly WriteOp[];
}

export type ToFilter =
  | { readonly kind: "open"; readonly data: string }
  | { readonly kind: "ask"; readonly id: number; readonly question: FilterQuestion }
  /** Nobody waits for it any more. */
  | { readonly kind: "forget"; readonly id: number };

export type FromFilter =
  | { readonly id: number; readonly answer: FilterAnswers[keyof FilterAnswers] }
  | { readonly id: number; readonly fault: string };

interface Parts {
  readonly segments: string;
  readonly assessor: Assessor;
  readonly teacher: Teacher;
}

let parts: Parts | null = null;
/** Messages whose attachments wait for their turn. */
const inLine = new Set<number>();
let line: Promise<void> = Promise.resolve();

addEventListener("message", ({ data }: MessageEvent<ToFilter>) => {
  switch (data.kind) {
    case "open":
      return open(data.data);
    case "forget":
      inLine.delete(data.id);
      return;
    case "ask": {
      const { id, question } = data;
      if (question.kind !== "inspect") return void answer(id, question);
      inLine.add(id);
      line = line.then(() => inLine.delete(id) ? answer(id, question) : undefined);
      return;
    }
    default:
      return data satisfies never;
  }
});

function open(data: string): void {
  const folder = new DataFolder(data);
  const store = openReadOnlyStore(folder);
  const assessor = new Assessor(store.spam);
  parts = {
    segments: folder.segments,
    assessor,
    teacher: new Teacher({ lessons: store.spam, blobs: store.blobs, assessor }),
  };
}

async function answer(id: number, question: FilterQuestion): Promise<void> {
  let said: FromFilter;
  try {
    if (parts === null) throw new Error("it is not open");
    said = { id, answer: await answered(parts, question) };
  } catch (error) {
    said = { id, fault: error instanceof Error ? error.stack ?? error.message : String(error) };
  }
  postMessage(said);
}

async function answered(
  { segments, assessor, teacher }: Parts,
  question: FilterQuestion,
): Promise<FilterAnswers[keyof FilterAnswers]> {
  switch (question.kind) {
    case "assess": {
      const { octets: handed } = question.request;
      if (handed instanceof Uint8Array) return assessor.assess({ ...question.request, octets: handed });
      using file = new SpooledOctets(segments, handed);
      return assessor.assess({ ...question.request, octets: file.read(0, handed.length) });
    }
    case "inspect": {
      const { message, headerOctets, limits } = question;
      if (message instanceof Uint8Array) return await run(inspected(inMemory(message, headerOctets), limits));
      using file = new SpooledOctets(segments, message);
      return await run(inspected(inFile(file, headerOctets), limits));
    }
    case "learn":
      return await teacher.next();
    default:
      return question satisfies never;
  }
}

function inMemory(octets: Uint8Array, headerOctets: number): MessageSource {
  return {
    octets: octets.length,
    headerOctets,
    read: (at, length) => Promise.resolve(octets.slice(at, at + length)),
    held: (at, length) => octets.subarray(at, at + length),
    onDisk: () => null,
  };
}

/** In this thread nobody is held up by a read. */
function inFile(file: SpooledOctets, headerOctets: number): MessageSource {
  return {
    octets: file.octets,
    headerOctets,
    read: (at, length) => Promise.resolve(file.read(at, length)),
    held: (at, length) => file.read(at, length),
    onDisk: () => null,
  };
}

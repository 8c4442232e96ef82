/**
 * Looks into one attachment, and into what is in it, and says what was found.
 *
 * One {@linkcode Budget} covers all attachments of a message: octets inflated, files, depth. What passes it is a finding,
 * not memory. Of packed files only the first octets are inflated, unless they are archives or documents themselves.
 */
import { isDisguised, isScriptName } from "./file_name.ts";
import { inflate } from "./inflate.ts";
import { oleFindings } from "./ole_directory.ts";
import { tarEntries } from "./tar_entries.ts";
import { HEAD_OCTETS, isClosed, isContainer, isExecutable, trueType } from "./true_type.ts";
import { zipEntries } from "../../bytes/zip_directory.ts";

const FINDING_KINDS = [
  "executable",
  "script",
  "disguised",
  "macros",
  "encrypted",
  "not-seen",
] as const;
export type FindingKind = (typeof FINDING_KINDS)[number];

export interface Finding {
  readonly kind: FindingKind;
  /** Names from the outside in, joined by "/". */
  readonly path: string;
  readonly what: string;
}

export interface ContentLimits {
  /** Archives in archives. */
  readonly depth: number;
  /** Files of a message, those in archives included. */
  readonly files: number;
  /** Octets of a message that are inflated or decoded to look at. */
  readonly octets: number;
}

const MAX_FINDINGS = 50;
const RAR4_MAIN_FLAGS = 10, RAR4_ENCRYPTED = 0x80;

export class Budget {
  readonly limits: ContentLimits;
  readonly findings: Finding[] = [];
  /** What was found in the attachment that is looked at now. */
  kinds: Set<FindingKind> = new Set();
  #octets: number;
  #files: number;

  constructor(limits: ContentLimits) {
    this.limits = limits;
    this.#octets = limits.octets;
    this.#files = limits.files;
  }

  get octets(): number {
    return this.#octets;
  }

  get files(): number {
    return this.#files;
  }

  spend(octets: number): void {
    this.#octets = Math.max(0, this.#octets - octets);
  }

  /** False when there were too many. */
  file(): boolean {
    return this.#files-- > 0;
  }

  found(kind: FindingKind, path: string, what: string): void {
    this.kinds.add(kind);
    if (this.findings.length >= MAX_FINDINGS) return;
    if (this.findings.some((one) => one.kind === kind && one.path === path)) return;
    this.findings.push({ kind, path, what });
  }
}

interface Place {
  readonly path: string;
  readonly depth: number;
}

/** What a name alone tells. */
export function inspectName(name: string, path: string, budget: Budget): void {
  if (isDisguised(name)) budget.found("disguised", path, "a name that hides what it is");
  else if (isScriptName(name)) budget.found("script", path, "a script, by its name");
}

/** True when more than the head is needed. */
export function inspectHead(head: Uint8Array, path: string, budget: Budget): boolean {
  const type = trueType(head);
  if (isExecutable(type)) budget.found("executable", path, type);
  else if (type === "rar" && rarEncrypted(head)) budget.found("encrypted", path, "an encrypted archive");
  else if (isClosed(type)) budget.found("not-seen", path, `an archive of a kind that is not opened: ${type}`);
  return isContainer(type);
}

/** All of a file. */
export async function inspectWhole(octets: Uint8Array, place: Place, budget: Budget): Promise<void> {
  const { path, depth } = place;
  const type = trueType(octets.subarray(0, Math.max(HEAD_OCTETS, 0x8100)));
  if (!isContainer(type)) return;
  if (type === "ole") {
    const { macros, encrypted, installer } = oleFindings(octets);
    if (installer) budget.found("executable", path, "installer");
    if (macros) budget.found("macros", path, "a document with macros");
    if (encrypted) budget.found("encrypted", path, "an encrypted document");
    return;
  }
  if (depth >= budget.limits.depth) return budget.found("not-seen", path, "archives within archives");
  switch (type) {
    case "zip":
      return await inspectZip(octets, place, budget);
    case "gzip":
      return await inspectPacked(octets, { form: "gzip", place: { path, depth: depth + 1 } }, budget);
    case "tar": {
      const { entries, more } = tarEntries(octets, budget.files);
      for (const { name, start, end } of entries) {
        if (!budget.file()) return budget.found("not-seen", path, "too many files");
        const inner = { path: `${path}/${name}`, depth: depth + 1 };
        inspectName(name, inner.path, budget);
        const file = octets.subarray(start, end);
        if (inspectHead(file.subarray(0, HEAD_OCTETS), inner.path, budget)) {
          await inspectWhole(file, inner, budget);
        }
      }
      if (more) budget.found("not-seen", path, "too many files");
      return;
    }
    default:
      return type satisfies never;
  }
}

async function inspectZip(octets: Uint8Array, { path, depth }: Place, budget: Budget): Promise<void> {
  const { entries, more } = zipEntries(octets, budget.files);
  for (const { name, encrypted, method, start, end } of entries) {
    if (!budget.file()) return budget.found("not-seen", path, "too many files");
    const inner = { path: `${path}/${name}`, depth: depth + 1 };
    if (/(^|\/)vbaProject\.bin$/i.test(name) || /^xl\/macrosheets\//i.test(name)) {
      budget.found("macros", path, "a document with macros");
    }
    inspectName(name, inner.path, budget);
    if (encrypted) {
      budget.found("encrypted", path, "an encrypted archive");
      continue;
    }
    if (end <= start) continue;
    const packed = octets.subarray(start, end);
    if (method === 8) await inspectPacked(packed, { form: "deflate", place: inner }, budget);
    else if (method === 0) {
      if (inspectHead(packed.subarray(0, HEAD_OCTETS), inner.path, budget)) {
        await inspectWhole(packed, inner, budget);
      }
    } else budget.found("not-seen", inner.path, `packed in a way that is not known: ${method}`);
  }
  if (more) budget.found("not-seen", path, "too many files");
}

async function inspectPacked(
  packed: Uint8Array,
  { form, place }: { readonly form: "deflate" | "gzip"; readonly place: Place },
  budget: Budget,
): Promise<void> {
  const tooMuch = () => budget.found("not-seen", place.path, "more inflated than is looked at");
  if (budget.octets === 0) return tooMuch();
  const head = await inflate(packed, { form, most: Math.min(HEAD_OCTETS, budget.octets) });
  budget.spend(head.octets.length);
  if (!inspectHead(head.octets, place.path, budget)) return;
  let whole = head;
  if (head.end === "cut") {
    whole = await inflate(packed, { form, most: budget.octets });
    budget.spend(whole.octets.length);
    if (whole.end === "cut") return tooMuch();
  }
  await inspectWhole(whole.octets, place, budget);
}

/** Headers that are encrypted themselves: of version 4 by a flag, of version 5 by their own header (type 4). */
function rarEncrypted(head: Uint8Array): boolean {
  if (head[6] === 0) return ((head[RAR4_MAIN_FLAGS] ?? 0) & RAR4_ENCRYPTED) !== 0;
  return head[6] === 1 && head[13] === 4;
}

/** The segment files: what kind of file each is, and how many of its records nothing points at. */
import type { DataFolder } from "../data_folder.ts";
import { FILE_HEADER_OCTETS, readAt, scanSegment, sealedLength, segmentNumber } from "../segment.ts";
import { type Findings, giveWay } from "./findings.ts";

export async function checkSegments(
  folder: DataFolder,
  parts: { readonly findings: Findings; readonly referenced: ReadonlyMap<number, number> },
): Promise<void> {
  const { findings, referenced } = parts;
  for (const name of [...Deno.readDirSync(folder.segments)].map((entry) => entry.name).sort()) {
    const number = segmentNumber(name);
    if (number === null) continue;
    let file: Deno.FsFile;
    try {
      file = Deno.openSync(`${folder.segments}/${name}`);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) continue; // removed by compaction, or a large message given up
      throw error;
    }
    using _ = file;
    const add = (detail: string) => findings.add({ kind: "segment", subject: name, detail, fixed: false });
    const header = new Uint8Array(FILE_HEADER_OCTETS);
    const sealed = readAt(file, 0, header) < header.length ? null : sealedLength(header);
    const { size } = file.statSync();
    if (sealed === null && size > 0) add("the file header is damaged");
    else if (sealed !== null && sealed > size) add(`${size} octets, it was sealed with ${sealed}`);
    let records = 0;
    for (const _ of scanSegment(file, { checkPayloads: false })) records++;
    findings.count("segments", 1);
    findings.count("records", records);
    findings.count("records nothing points at", Math.max(0, records - (referenced.get(number) ?? 0)));
    await giveWay();
  }
}

/**
 * A message of the quarantine as text that does no harm to whoever looks: its header, the words of its first texts
 * without marks, names and sizes of what is attached. Nothing of it is a link, a picture or a control character.
 */
import { parameter, parseParameterized } from "../../message/parameter.ts";
import { everyPart, MessageView, type PartView } from "../../sieve/message_view.ts";
import type { Store } from "../../storage/store.ts";
import type { QuarantineRow } from "../../storage/quarantine.ts";

/** Octets of a message that are looked at. */
const MAX_SEEN_OCTETS = 4 * 1024 * 1024;
const MAX_FIELDS = 200;
const MAX_TEXT = 64 * 1024;
const MAX_ATTACHMENTS = 200;
const MAX_VALUE = 2_000;

export interface QuarantinedView {
  readonly header: readonly { readonly name: string; readonly value: string }[];
  readonly text: string;
  readonly attachments: readonly { readonly name: string; readonly type: string }[];
}

/** Rejects where the octets cannot be read. */
export async function lookAt({ blobs }: Pick<Store, "blobs">, row: QuarantineRow): Promise<QuarantinedView> {
  const octets = await blobs.read(row.blob, 0, Math.min(row.blob.length, MAX_SEEN_OCTETS));
  const view = new MessageView(octets, { sizeOctets: row.blob.length });
  const leaves = [...everyPart(view.root)].filter(({ children }) => children.length === 0);
  const attached = leaves.filter((part) => part.type !== "text" || nameOf(part) !== "");
  const texts = leaves.filter((part) => part.type === "text" && nameOf(part) === "");
  const plain = texts.filter(({ subtype }) => subtype === "plain");
  let text = "";
  for (const part of plain.length > 0 ? plain : texts) {
    if (text.length < MAX_TEXT) text += `${part.plain().trim()}\n`;
  }
  return {
    header: view.fields.slice(0, MAX_FIELDS).map(({ name, text }) => ({
      name,
      value: harmless(text, MAX_VALUE),
    })),
    text: harmless(text, MAX_TEXT, true),
    attachments: attached.slice(0, MAX_ATTACHMENTS).map((part) => ({
      name: harmless(nameOf(part), MAX_VALUE),
      type: harmless(`${part.type}/${part.subtype}`, MAX_VALUE),
    })),
  };
}

function nameOf(part: PartView): string {
  const disposition = part.fields.find(({ name }) => name === "content-disposition")?.value;
  const name = disposition === undefined ? null : parameter(parseParameterized(disposition), "filename");
  return name ?? parameter(part.contentType, "name") ?? "";
}

/** Without control characters and those that turn or hide writing; with its line ends where it has lines. */
export function harmless(text: string, most: number, lines = false): string {
  const cut = text.slice(0, most).toWellFormed().replace(/\r\n?/g, "\n");
  const clean = cut.replace(/[^\P{C}\n\t]/gu, "").replace(/[\u2028\u2029]/g, " ");
  return lines ? clean : clean.replace(/[\n\t]+/g, " ");
}

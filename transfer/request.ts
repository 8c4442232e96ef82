/** What an import is asked for, and the source that it means. */
import type { ImapServer } from "./imap.ts";
import type { Source } from "./source.ts";

export type SourceRequest =
  | ({ readonly kind: "imap" } & ImapServer)
  /** Paths are absolute, on the machine of the server. */
  | { readonly kind: "maildir" | "mbox" | "zip"; readonly path: string };

/** Loads what reads the source. Throws SourceError. */
export async function openSource(request: SourceRequest): Promise<Source> {
  switch (request.kind) {
    case "imap":
      return (await import("./imap.ts")).openImap(request);
    case "maildir":
      return (await import("./maildir.ts")).openMaildir(request.path);
    case "mbox":
      return (await import("./mbox.ts")).openMbox(request.path);
    case "zip":
      return (await import("./zip.ts")).openZip(request.path);
    default:
      return request satisfies never;
  }
}

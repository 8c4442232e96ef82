/** What stands in the way of a copy, or of putting one back; the message is for the operator and says what to do. */
export class BackupError extends Error {
  override readonly name = "BackupError";
}

/** Trouble of the disk in words that say which. */
export function diskFault(error: unknown, place: string): unknown {
  if (!(error instanceof Error) || error instanceof BackupError) return error;
  const code = "code" in error ? String(error.code) : "";
  if (code === "SQLITE_FULL" || /No space left|ENOSPC|quota exceeded|EDQUOT/i.test(error.message)) {
    return new BackupError(`${place} is full: ${error.message}`);
  }
  const refused = [Deno.errors.PermissionDenied, Deno.errors.NotADirectory, Deno.errors.FilesystemLoop];
  if (code === "EROFS" || refused.some((kind) => error instanceof kind)) {
    return new BackupError(`${place}: ${error.message}`);
  }
  return error;
}

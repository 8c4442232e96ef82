/** How this program was started, to start it again: as an executable of its own, or from its source by Deno. */
import { fileURLToPath } from "node:url";

/**
 * Flags of the engine, which it takes at its start only. The space for young objects of each thread grows to 16 MB and
 * stays there unless it is told less; what a session leaves behind fits into a fraction of it.
 */
export const ENGINE_FLAGS = "--v8-flags=--max-semi-space-size=8";

export function ownCommand(): string[] {
  return Deno.build.standalone
    ? [Deno.execPath()]
    : [Deno.execPath(), "run", "-A", ENGINE_FLAGS, fileURLToPath(Deno.mainModule)];
}

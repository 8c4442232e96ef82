/** How this program was started, to start it again: as an executable of its own, or from its source by Deno. */
import { fileURLToPath } from "node:url";

export function ownCommand(): string[] {
  return Deno.build.standalone
    ? [Deno.execPath()]
    : [Deno.execPath(), "run", "-A", fileURLToPath(Deno.mainModule)];
}

/**
 * A path of a unix socket that the kernel takes: at most {@linkcode MAX_SOCKET_PATH} octets (sun_path holds 108).
 *
 * A socket in a data folder with a longer name is reached through a short symbolic link to its folder, in a folder of
 * its own that only we can enter; the link is needed only while binding or connecting.
 */
import { dirname, join } from "node:path";

const MAX_SOCKET_PATH = 107;

export interface SocketPath {
  readonly path: string;
  /** Removes the link, when there is one. */
  release(): void;
}

/** `shortFolder` is where the link is made; it is short on every system that matters. */
export function socketPath(path: string, shortFolder = "/tmp"): SocketPath {
  if (octets(path) <= MAX_SOCKET_PATH) return { path, release: () => {} };
  let folder: string;
  try {
    folder = Deno.makeTempDirSync({ dir: shortFolder, prefix: "veredus-" });
  } catch (error) {
    throw new Error(
      `the control socket ${path} has ${
        octets(path)
      } octets, the system takes ${MAX_SOCKET_PATH}, and no short link ` +
        `to it can be made in ${shortFolder} (${
          error instanceof Error ? error.message : error
        }): use a data folder with ` +
        "a shorter name",
    );
  }
  const link = join(folder, "run");
  Deno.symlinkSync(dirname(path), link);
  return {
    path: `${link}${path.slice(dirname(path).length)}`,
    release: () => Deno.removeSync(folder, { recursive: true }),
  };
}

function octets(path: string): number {
  return new TextEncoder().encode(path).length;
}

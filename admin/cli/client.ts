/**
 * The API as the command line reaches it: by the control socket of the server that holds the data folder, or in this
 * process when none runs.
 *
 * While somebody holds the folder without answering (a server that starts, another command), it waits up to
 * {@linkcode WAIT_MS}.
 */
import { request as httpRequest } from "node:http";
import { Readable } from "node:stream";
import { DataFolder } from "../../storage/data_folder.ts";
import { DataFolderLocked, DataLock } from "../../storage/lock.ts";
import { socketPath } from "../socket_path.ts";
import { type CliContext, CliFailure } from "./context.ts";

const WAIT_MS = 20_000;
const RETRY_MS = 50;

export interface AdminRequest {
  readonly method: string;
  /** Below `/api/v1`, as in `/domains`. */
  readonly path: string;
  readonly body?: unknown;
}

export interface AdminClient {
  /** Throws {@linkcode CliFailure} with the API's own words when it refuses. */
  send(request: AdminRequest): Promise<Response>;
  close(): Promise<void>;
}

export interface Place {
  readonly data: string;
  /** Makes the data folder when it is missing. */
  readonly create: boolean;
}

export async function openClient(place: Place, context: CliContext): Promise<AdminClient> {
  const folder = new DataFolder(place.data);
  checkFolder(folder, place);
  const deadline = Date.now() + WAIT_MS;
  for (;;) {
    const held = lockHeld(folder);
    if (held && await answers(folder)) return new SocketClient(folder.controlSocket);
    if (!held) {
      await leaveRoot(folder, context);
      try {
        const { openDirect } = await import("./direct.ts");
        return await openDirect(folder, context.version);
      } catch (error) {
        if (!(error instanceof DataFolderLocked)) throw error; // somebody was faster: ask them
      }
    }
    if (Date.now() > deadline) {
      const holder = Deno.readTextFileSync(folder.lock).trim() || "another process";
      throw new CliFailure(`${holder} holds ${folder.path} and does not answer; try again in a moment`, {
        exit: "unavailable",
      });
    }
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}

function checkFolder(folder: DataFolder, place: Place): void {
  try {
    Deno.statSync(folder.lock);
  } catch (error) {
    if (error instanceof Deno.errors.PermissionDenied) throw notOurs(folder);
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    if (place.create) return folder.create();
    throw new CliFailure(
      `${folder.path} is not a data folder: --data DIR or --config FILE says which server is meant`,
      { exit: "unavailable" },
    );
  }
}

function lockHeld(folder: DataFolder): boolean {
  try {
    return DataLock.held(folder.lock);
  } catch (error) {
    if (error instanceof Deno.errors.PermissionDenied) throw notOurs(folder);
    throw error;
  }
}

function notOurs(folder: DataFolder): CliFailure {
  return new CliFailure(`only the owner of ${folder.path} and root may do this: sudo -u OWNER veredus ...`, {
    exit: "unavailable",
  });
}

/** Files that root makes here would be closed to the server. */
export async function leaveRoot(folder: DataFolder, context: CliContext): Promise<void> {
  const { uid, gid } = Deno.statSync(folder.path);
  if (Deno.uid() === 0 && uid !== 0 && uid !== null && gid !== null) await context.becomeOwner({ uid, gid });
}

async function answers(folder: DataFolder): Promise<boolean> {
  const short = socketPath(folder.controlSocket);
  try {
    (await Deno.connect({ transport: "unix", path: short.path })).close();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.ConnectionRefused) return false;
    throw error;
  } finally {
    short.release();
  }
}

/** The response when it is a success; the problem as a failure otherwise. */
export async function succeeded(response: Response): Promise<Response> {
  if (response.ok) return response;
  const text = await response.text();
  let problem: { detail?: unknown } = {};
  try {
    problem = JSON.parse(text) as { detail?: unknown };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  const detail = typeof problem.detail === "string" ? problem.detail : `${response.status} ${text.trim()}`;
  throw new CliFailure(detail, { problem });
}

class SocketClient implements AdminClient {
  #socket: string;

  constructor(socket: string) {
    this.#socket = socket;
  }

  async send({ method, path, body }: AdminRequest): Promise<Response> {
    const short = socketPath(this.#socket);
    const text = body === undefined ? null : new TextEncoder().encode(JSON.stringify(body));
    try {
      const response = await new Promise<Response>((resolve, reject) => {
        const request = httpRequest({
          socketPath: short.path,
          method,
          path: `/api/v1${path}`,
          headers: {
            host: "control",
            connection: "close",
            "content-length": text?.length ?? 0,
            ...(text !== null && { "content-type": "application/json" }),
          },
        }, (message) => {
          const status = message.statusCode ?? 500;
          const type = message.headers["content-type"] ?? "";
          const stream = status === 204
            ? null
            : Readable.toWeb(message) as unknown as ReadableStream<Uint8Array>;
          resolve(new Response(stream, { status, headers: { "content-type": type } }));
        });
        request.on("error", (error) => {
          reject(new CliFailure(`the server went away: ${error.message}`, { exit: "unavailable" }));
        });
        request.end(text ?? undefined);
      });
      return await succeeded(response);
    } finally {
      short.release();
    }
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/**
 * Serves the admin API of a running server: on its `http` and `https` listeners, and on the control socket in the data
 * folder.
 *
 * Both are opened at once and cost nothing until somebody asks: the API is loaded at the first request. The socket
 * (mode 0600 in a folder of mode 0700) gives its owner everything without a token.
 */
import { getLogger } from "@logtape/logtape";
import type { Certificate } from "../server/certificate.ts";
import type { ListenerConfig } from "../server/config/config.ts";
import type { Setting } from "../server/config/settings.ts";
import type { OpenInner, ProxiedHttp } from "../server/proxied_http.ts";
import type { Server } from "../server/run.ts";
import type { AdminEnv } from "./api/access.ts";
import type { RunningServices } from "./running.ts";
import { socketPath } from "./socket_path.ts";

const log = getLogger(["veredus", "admin"]);
/** Milliseconds that requests may take to end at the stop. */
const DRAIN_MS = 2_000;

export interface AdminOptions {
  readonly version: string;
  /** Only this machine's own users try this server: `/metrics` asks for no token. */
  readonly local: boolean;
  readonly reload: (() => Promise<string[]>) | null;
  /** Left out: there is no configuration file. */
  readonly settings?: () => readonly Setting[];
}

type Fetch = (request: Request, bindings: AdminEnv["Bindings"]) => Response | Promise<Response>;
interface Loaded {
  readonly services: RunningServices;
  readonly tokens: Fetch;
  readonly owner: Fetch;
}

/** Opens both; throws when a port or the socket cannot be had. */
export async function administer(server: Server, options: AdminOptions): Promise<{ close(): Promise<void> }> {
  let loading: Promise<Loaded> | null = null;
  const loaded = () => loading ??= load(server, options);
  const servers: Pick<Deno.HttpServer, "shutdown">[] = [];
  const close = async () => {
    const ends = Promise.all(servers.map((one) => one.shutdown()));
    await Promise.race([ends, new Promise((resolve) => setTimeout(resolve, DRAIN_MS))]);
    if (loading !== null) await (await loading).services.close();
  };
  try {
    servers.push(
      serveSocket(server.folder.controlSocket, async (request) => (await loaded()).owner(request, {})),
    );
    for (const listener of server.config.listeners) {
      if (listener.protocol !== "http" && listener.protocol !== "https") continue;
      const handle: Handle = async (request, remoteAddress) =>
        (await loaded()).tokens(request, { remoteAddress });
      const secure = listener.protocol === "https";
      const certificate = () => secure ? server.certificates[0]! : null;
      const proxied = await serveProxied(server, listener, { handle, certificate });
      if (proxied !== null) {
        servers.push(proxied);
        if (secure) server.onReload(() => proxied.renew().catch(oldDidNotEnd));
        continue;
      }
      const open = () => serveTcp(listener, { handle, certificate: certificate() });
      let one = open();
      servers.push({ shutdown: () => one.shutdown() });
      if (!secure) continue;
      server.onReload(() => {
        const old = one;
        one = open(); // beside the old one, which ends when its requests have
        old.shutdown().catch(oldDidNotEnd);
      });
    }
    return { close };
  } catch (error) {
    await close();
    throw error;
  }
}

function oldDidNotEnd(error: unknown): void {
  log.warn("the old https listener did not end: {error}", { error });
}

async function load(server: Server, options: AdminOptions): Promise<Loaded> {
  const [{ adminApp }, { runningServices }] = await Promise.all([
    import("./api/app.ts"),
    import("./running.ts"),
  ]);
  const services = runningServices(server, options);
  const tokens = adminApp(services, { access: "tokens", openMetrics: options.local });
  const owner = adminApp(services, { access: "owner" });
  return {
    services,
    tokens: (request, bindings) => tokens.fetch(request, bindings),
    owner: (request, bindings) => owner.fetch(request, bindings),
  };
}

function serveSocket(path: string, handle: (request: Request) => Promise<Response>): Deno.HttpServer {
  removeStale(path);
  const short = socketPath(path);
  try {
    const server = Deno.serve({ path: short.path, onListen: () => {}, onError: failed }, handle);
    Deno.chmodSync(path, 0o600);
    return server as unknown as Deno.HttpServer;
  } finally {
    short.release();
  }
}

/** What a killed server left. The lock of the data folder is ours, so nobody serves it. */
function removeStale(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

type Handle = (request: Request, remoteAddress: string) => Promise<Response>;
type TcpListener = Pick<ListenerConfig, "protocol" | "address" | "port">;

/** In clear without a certificate. */
function serveTcp(
  listener: TcpListener,
  { handle, certificate }: { readonly handle: Handle; readonly certificate: Certificate | null },
): Deno.HttpServer {
  const { port } = listener;
  if (certificate === null) warnOfClear(listener);
  const serve = (hostname: string) =>
    Deno.serve(
      {
        ...{ hostname, port, onListen: () => {}, onError: failed },
        ...(certificate !== null && {
          ...keyPairOf(certificate),
          reusePort: true, // a reload opens the next one beside this one
        }),
      },
      (request, { remoteAddr }) => handle(request, remoteAddr.hostname),
    );
  try {
    if (listener.address !== "*") return serve(listener.address);
    try {
      return serve("::");
    } catch (error) {
      if (error instanceof Deno.errors.AddrInUse || error instanceof Deno.errors.PermissionDenied) {
        throw error;
      }
      return serve("0.0.0.0"); // a machine without IPv6
    }
  } catch (error) {
    throw openFault(error, listener);
  }
}

/** Null where no proxies are listed. `certificate`: that of now, null in clear. */
async function serveProxied(
  server: Server,
  listener: TcpListener,
  { handle, certificate }: { readonly handle: Handle; readonly certificate: () => Certificate | null },
): Promise<ProxiedHttp | null> {
  const openInner: OpenInner = (answer) => {
    const now = certificate();
    return Deno.serve(
      {
        ...{ hostname: "127.0.0.1", port: 0, onListen: () => {}, onError: failed },
        ...(now !== null && keyPairOf(now)),
      },
      (request, { remoteAddr }) => answer(request, remoteAddr.port),
    );
  };
  try {
    const proxied = await server.proxiedHttp(listener, { handle, openInner });
    if (proxied !== null && certificate() === null) warnOfClear(listener);
    return proxied;
  } catch (error) {
    throw openFault(error, listener);
  }
}

function keyPairOf({ certificatePem: cert, keyPem: key }: Certificate): { cert: string; key: string } {
  return { cert, key };
}

function warnOfClear({ address, port }: TcpListener): void {
  if (/^127\.|^::1$/.test(address)) return;
  log.warn("tokens pass in clear on {address}:{port}: put a proxy with TLS in front of it", {
    address,
    port,
  });
}

/** What an operator is told of a listener that could not be opened. */
function openFault(error: unknown, { protocol, address, port }: TcpListener): unknown {
  return error instanceof Deno.errors.AddrInUse
    ? new Deno.errors.AddrInUse(`${protocol}: port ${port} on ${address} is in use by another process`)
    : error;
}

function failed(error: unknown): Response {
  log.error("a request failed before the API: {error}", { error });
  return new Response("the server has a fault; its log tells more\n", { status: 500 });
}

/**
 * The HTTPS requests that mail itself asks for: MTA-STS policies (RFC 8461 3.3) and TLS reports (RFC 8460 5.4).
 *
 * By our own resolver and sockets, so that no name of a stranger leads into this machine or the network behind it: only
 * public addresses are connected to. A trusted certificate for the host, no redirects, one time limit for everything.
 */
import { encode } from "../bytes/decode.ts";
import type { Connector, OutgoingConnection, Timers } from "../delivery/connector.ts";
import { certificateProblem } from "../delivery/security/certificate_check.ts";
import { isPublicAddress } from "../dns/ip_address.ts";
import { lookupAddresses, type Random } from "../dns/mx.ts";
import type { Resolver } from "../dns/resolver.ts";
import { type HttpResponse, HttpResponseReader } from "../protocols/http/response.ts";

export interface HttpsParts {
  readonly connector: Connector;
  readonly resolver: Resolver;
  readonly timers: Timers;
  readonly random: Random;
  /** Local mode and tests: any address, another port. */
  readonly anyAddress?: boolean;
  readonly port?: number;
}

export interface HttpsRequest {
  readonly method: "GET" | "POST";
  readonly host: string;
  /** Begins with a slash; printable ASCII. */
  readonly path: string;
  readonly body?: { readonly type: string; readonly octets: Uint8Array };
  readonly timeoutMs: number;
  readonly bodyOctets: number;
}

export class HttpsError extends Error {
  override readonly name = "HttpsError";
  /** The certificate, and nothing else, was the obstacle. */
  readonly certificate: boolean;

  constructor(detail: string, certificate = false) {
    super(detail);
    this.certificate = certificate;
  }
}

const HTTPS_PORT = 443;
const HEADER_OCTETS = 16_384;
const READ_OCTETS = 8_192;
const MAX_ADDRESSES = 4;

/** Rejects with {@linkcode HttpsError} where there is no response; any status is one. */
export async function httpsRequest(parts: HttpsParts, request: HttpsRequest): Promise<HttpResponse> {
  const found = await lookupAddresses(parts.resolver, request.host, parts.random);
  if (found.kind === "failed") throw new HttpsError(found.reason);
  if (found.kind === "none") throw new HttpsError(`${request.host} has no address`);
  const addresses = found.addresses.filter((address) =>
    parts.anyAddress === true || isPublicAddress(address)
  );
  if (addresses.length === 0) throw new HttpsError(`${request.host} has no public address`);
  const end = parts.timers.now() + request.timeoutMs;
  let failure = new HttpsError("no answer in time");
  for (const address of addresses.slice(0, MAX_ADDRESSES)) {
    const left = end - parts.timers.now();
    if (left <= 0) break;
    try {
      return await exchange(parts, { request, address, left });
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      failure = error instanceof HttpsError ? error : new HttpsError(error.message);
    }
  }
  throw failure;
}

async function exchange(
  { connector, timers, port = HTTPS_PORT }: HttpsParts,
  { request, address, left }: {
    readonly request: HttpsRequest;
    readonly address: string;
    readonly left: number;
  },
): Promise<HttpResponse> {
  let connection: OutgoingConnection = await connector.connect({ address, port, timeoutMs: left });
  let late = false;
  const cancel = timers.after(left, () => {
    late = true;
    connection.close();
  });
  try {
    connection = await connection.startTls({ serverName: request.host });
    const check = { kind: "pkix", names: [request.host] } as const;
    const problem = certificateProblem(check, connection.tls!.certificates(), timers.now());
    if (problem !== null) throw new HttpsError(problem.text, true);
    await connection.write(requestHead(request));
    if (request.body !== undefined) await connection.write(request.body.octets);
    return await read(connection, request.bodyOctets);
  } catch (error) {
    throw late ? new HttpsError("no answer in time") : error;
  } finally {
    cancel();
    connection.close();
  }
}

function requestHead({ method, host, path, body }: HttpsRequest): Uint8Array {
  const lines = [
    `${method} ${path} HTTP/1.1`,
    `Host: ${host}`,
    "User-Agent: Veredus",
    "Accept: */*",
    "Connection: close",
    ...(body === undefined ? [] : [`Content-Type: ${body.type}`, `Content-Length: ${body.octets.length}`]),
  ];
  return encode(lines.map((line) => `${line}\r\n`).join("") + "\r\n");
}

async function read(connection: OutgoingConnection, bodyOctets: number): Promise<HttpResponse> {
  const reader = new HttpResponseReader({ headerOctets: HEADER_OCTETS, bodyOctets });
  for (const buffer = new Uint8Array(READ_OCTETS);;) {
    const octets = await connection.read(buffer);
    const step = octets === null ? reader.finish() : reader.push(buffer.subarray(0, octets));
    if (step.kind === "done") return step.response;
    if (step.kind === "fault") throw new HttpsError(step.text);
  }
}

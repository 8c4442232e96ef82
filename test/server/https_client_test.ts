/** HTTPS requests of our own: who is talked to, what is taken, and when it ends. */
import assert from "node:assert/strict";
import { DENO_TIMERS } from "../../server/deno_timers.ts";
import { denoConnector } from "../../server/outgoing.ts";
import { type HttpsParts, httpsRequest } from "../../server/https_client.ts";
import { stsFetch, tlsReportPost } from "../../server/mail_web.ts";
import { a, type MockEntry, MockResolver } from "../lib/mock_resolver.ts";
import { issue } from "../lib/test_ca.ts";

const root = await issue({ name: "root.test", by: null, ca: true });
const web = await issue({ name: "web", dns: ["mta-sts.one.test", "report.test"], by: root });

/** A web server, and what the client needs to find it. */
function bed(
  handler: (request: Request) => Response | Promise<Response>,
  parts: Partial<HttpsParts> & { readonly entries?: Readonly<Record<string, MockEntry>> } = {},
) {
  const server = Deno.serve({
    hostname: "127.0.0.1",
    port: 0,
    cert: web.pem,
    key: web.keyPem,
    onListen: () => {},
  }, handler);
  const resolver = new MockResolver({
    "mta-sts.one.test A": [a("127.0.0.1")],
    "mta-sts.two.test A": [a("127.0.0.1")],
    "report.test A": [a("127.0.0.1")],
    ...parts.entries,
  });
  const client: HttpsParts = {
    connector: denoConnector({ extraRoots: [root.pem] }),
    timers: DENO_TIMERS,
    random: () => 0,
    resolver,
    anyAddress: true,
    port: server.addr.port,
    ...parts,
  };
  return { client, [Symbol.asyncDispose]: () => server.shutdown() };
}

const PLAIN = { headers: { "content-type": "text/plain; charset=utf-8" } };

Deno.test("a policy is fetched from its place, and nothing else counts as one", async () => {
  const asked: string[] = [];
  const cases: [string, Response | null, RegExp | null][] = [
    ["one.test", new Response("version: STSv1", PLAIN), null],
    ["one.test", new Response("x", { status: 404, ...PLAIN }), /fetch-error.* answers 404/],
    ["one.test", Response.redirect("https://elsewhere.test/", 302), /fetch-error.* answers 302/],
    [
      "one.test",
      new Response("<p>", { headers: { "content-type": "text/html" } }),
      /fetch-error.*is text\/html/,
    ],
    ["one.test", new Response("x".repeat(70_000), PLAIN), /fetch-error.*longer than 65536/],
    ["two.test", null, /webpki-invalid.*the certificate is not for mta-sts\.two\.test/],
    ["three.test", null, /fetch-error.*has no address/],
  ];
  for (const [domain, response, fault] of cases) {
    await using t = bed((request) => {
      asked.push(`${request.method} ${new URL(request.url).pathname} ${request.headers.get("host")}`);
      return response!;
    });
    const told = await stsFetch(t.client)(domain).catch((error) => `${error.result}: ${error.message}`);
    if (fault === null) assert.equal(told, "version: STSv1");
    else assert.match(told, fault, domain);
  }
  assert.deepEqual(new Set(asked), new Set(["GET /.well-known/mta-sts.txt mta-sts.one.test"]));
});

Deno.test("a certificate of nobody known is told apart", async () => {
  await using t = bed(() => new Response("x"), { connector: denoConnector() });
  await assert.rejects(stsFetch(t.client)("one.test"), { result: "sts-webpki-invalid" });
});

Deno.test("only public addresses are talked to", async () => {
  for (const address of ["127.0.0.1", "10.1.2.3", "169.254.169.254", "192.168.0.1"]) {
    await using t = bed(() => new Response("x"), {
      anyAddress: false,
      entries: { "report.test A": [a(address)] },
    });
    await assert.rejects(
      httpsRequest(t.client, {
        method: "GET",
        host: "report.test",
        path: "/",
        timeoutMs: 1_000,
        bodyOctets: 9,
      }),
      /no public address/,
    );
  }
});

Deno.test("a server that says nothing ends the request in time", async () => {
  const hold = Promise.withResolvers<Response>();
  await using t = bed(() => hold.promise);
  const request = { method: "GET", host: "report.test", path: "/", timeoutMs: 300, bodyOctets: 9 } as const;
  await assert.rejects(httpsRequest(t.client, request), /no answer in time/);
  hold.resolve(new Response("late"));
});

Deno.test("a report is posted whole", async () => {
  const got: [string, Uint8Array][] = [];
  await using t = bed(async (request) => {
    got.push([request.headers.get("content-type")!, new Uint8Array(await request.arrayBuffer())]);
    return new Response(null, { status: got.length === 1 ? 201 : 500 });
  });
  const post = tlsReportPost(t.client);
  const octets = crypto.getRandomValues(new Uint8Array(60_000));
  assert.equal(await post({ host: "report.test", path: "/v1" }, octets), true);
  assert.equal(await post({ host: "report.test", path: "/v1" }, octets), false);
  assert.deepEqual(got[0], ["application/tlsrpt+gzip", octets]);
});

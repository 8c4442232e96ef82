/** The admin API over TLS, also after a reload that brings another certificate. */
import assert from "node:assert/strict";
import { administer } from "../../admin/serve.ts";
import { until } from "../lib/program.ts";
import { RunningServer } from "../lib/running_server.ts";

async function health(port: number, authority: string): Promise<number> {
  using client = Deno.createHttpClient({ caCerts: [authority] });
  const response = await fetch(`https://127.0.0.1:${port}/healthz`, { client });
  await response.body?.cancel();
  return response.status;
}

Deno.test("https serves the API, and the certificate of the last reload", async () => {
  await using running = await RunningServer.start({ threads: 0 });
  const { server } = running;
  const administration = await administer(server, { version: "0", local: true, reload: null });
  try {
    const port = running.port("https");
    const first = server.certificates[0]!.certificatePem;
    assert.equal(await health(port, first), 200);
    const other = await running.renewCertificate();
    // A connection that the closing listener still had in its queue is reset: clients try again.
    await until("the new certificate", () => health(port, other).catch(() => null));
    const refusal = await health(port, first).then(() => null, (error) => error as Error);
    assert.match(String(refusal?.cause ?? refusal), /certificate/i);
  } finally {
    await administration.close();
  }
});

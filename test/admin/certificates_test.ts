/** Client certificates through the API: by fingerprint and as PEM, one owner each; a password brings its SCRAM verifier. */
import { strict as assert } from "node:assert";
import { createHash } from "node:crypto";
import { makeSelfSigned } from "../../server/certificate.ts";
import { Harness } from "./harness.ts";

Deno.test("client certificates: given as PEM or fingerprint, listed, with one owner, taken away", async () => {
  const h = await Harness.open();
  try {
    const path = "/accounts/alice@example.test/certificates";
    const { certificatePem } = await makeSelfSigned({ names: ["alice.test"], now: Date.now() });
    const der = Uint8Array.fromBase64(certificatePem.replace(/-----[^-]+-----|\s/g, ""));
    const fingerprint = createHash("sha256").update(der).digest("hex");
    const added = await h.send("POST", path, { body: { certificate: certificatePem, note: "laptop" } });
    assert.deepEqual([added.status, added.body.fingerprint, added.body.note], [201, fingerprint, "laptop"]);
    const colons = fingerprint.toUpperCase().replace(/..(?=.)/g, "$&:");
    const taken = await h.send("POST", "/accounts/bob@example.test/certificates", {
      body: { fingerprint: colons },
    });
    assert.equal(taken.status, 409);
    for (
      const body of [{}, { certificate: "x" }, { fingerprint: "ab" }, {
        fingerprint,
        certificate: certificatePem,
      }]
    ) {
      assert.equal((await h.send("POST", path, { body })).status, 400);
    }
    assert.equal((await h.get(path)).body.items.length, 1);
    assert.equal(
      (await h.send("DELETE", `/accounts/bob@example.test/certificates/${fingerprint}`)).status,
      404,
    );
    assert.equal((await h.send("DELETE", `${path}/${fingerprint}`)).status, 204);
    assert.equal((await h.get(path)).body.items.length, 0);
  } finally {
    await h.close();
  }
});

/** Whose turn it is to report: what an address of ours hands on with the mail that it forwards. RFC 3461 5.2, RFC 6533 3 */
import assert from "node:assert/strict";
import { dsnDuty } from "../../delivery/dsn_request.ts";
import type { RecipientTarget } from "../../delivery/recipients.ts";

function forwarded(address: string, originalRecipient = "") {
  const target = {
    kind: "remote",
    recipient: "x@far.test",
    forwardedBy: "example.test",
  } as unknown as RecipientTarget;
  return dsnDuty({ notify: "FAILURE", originalRecipient }, address, { targets: [target], held: false })
    .request;
}

Deno.test("the first address goes along as ORCPT, in ASCII whatever it is made of", () => {
  assert.equal(forwarded("a+b@example.test").originalRecipient, "rfc822;a+2Bb@example.test");
  assert.equal(
    forwarded("j\u00f6rg+b@example.test").originalRecipient,
    "utf-8;j\\x{F6}rg\\x{2B}b@example.test",
  );
});

Deno.test("who stated one before is not overruled", () => {
  const stated = "rfc822;first@elsewhere.test";
  assert.equal(forwarded("a@example.test", stated).originalRecipient, stated);
});

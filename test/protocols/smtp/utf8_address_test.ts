/** Addresses of the type utf-8: each form, the way between them, and what is none. RFC 6533 3 */
import fc from "fast-check";
import assert from "node:assert/strict";
import { encode, isAscii } from "../../../bytes/decode.ts";
import { addrXtext, mailboxOf, unitextForm, xtextForm } from "../../../protocols/smtp/utf8_address.ts";
import { NO_EXTENSIONS } from "../../../protocols/smtp/client_extensions.ts";
import { rcptCommand } from "../../../protocols/smtp/client_transaction.ts";

const ADDRESS = "j\u00f6rg+a=\\b@b\u00fccher.test";
const XTEXT = "j\\x{F6}rg\\x{2B}a\\x{3D}\\x{5C}b@b\\x{FC}cher.test";

Deno.test("a mailbox in ASCII, in UTF-8 with what ORCPT cannot hold escaped, and back", () => {
  assert.equal(addrXtext(ADDRESS), XTEXT);
  assert.equal(mailboxOf(XTEXT), ADDRESS);
  assert.equal(unitextForm(XTEXT), "j\u00f6rg\\x{2B}a\\x{3D}\\x{5C}b@b\u00fccher.test");
  assert.equal(xtextForm(unitextForm(XTEXT)!), XTEXT);
  assert.equal(xtextForm("\u7528\u6237@\u4f8b\u3048.test"), "\\x{7528}\\x{6237}@\\x{4F8B}\\x{3048}.test");
  assert.equal(addrXtext("\u{1f600}@x.test"), "\\x{1F600}@x.test");
});

Deno.test("escapes of surrogates, of nothing, and of what needs none are none", () => {
  for (
    const text of [
      "a\\x{D800}",
      "a\\x{110000}",
      "a\\x{41}",
      "a\\x{f6}",
      "a\\x{}",
      "a\\y",
      "a\\",
      "a+b",
      "a b",
      "",
    ]
  ) {
    assert.equal(mailboxOf(text), null, text);
  }
});

Deno.test("what is written is read back, whatever it is", () => {
  fc.assert(fc.property(fc.string({ unit: "binary", minLength: 1, maxLength: 20 }), (text) => {
    const address = text.toWellFormed();
    const ascii = addrXtext(address);
    assert.ok(isAscii(encode(ascii)));
    assert.equal(mailboxOf(ascii), address);
    assert.equal(mailboxOf(unitextForm(ascii)!), address);
  }));
});

Deno.test("ORCPT goes out in UTF-8 in a transaction that is, in ASCII else, and not at all when it is too long", () => {
  const rcpt = (originalRecipient: string, smtputf8: boolean) =>
    rcptCommand({ address: "x@y.test", notify: "", originalRecipient }, { ...NO_EXTENSIONS, dsn: true }, {
      smtputf8,
    });
  assert.equal(rcpt(`utf-8;${XTEXT}`, false), `RCPT TO:<x@y.test> ORCPT=utf-8;${XTEXT}`);
  assert.equal(rcpt(`utf-8;${XTEXT}`, true), `RCPT TO:<x@y.test> ORCPT=utf-8;${unitextForm(XTEXT)}`);
  assert.equal(rcpt("utf-8;odd\\x{41}", true), "RCPT TO:<x@y.test> ORCPT=utf-8;odd\\x{41}");
  assert.equal(rcpt("rfc822;a+2Bb@c.test", true), "RCPT TO:<x@y.test> ORCPT=rfc822;a+2Bb@c.test");
  const long = addrXtext(`${"\u00f6".repeat(120)}@y.test`);
  assert.equal(rcpt(`utf-8;${long}`, false), "RCPT TO:<x@y.test>");
  assert.match(rcpt(`utf-8;${long}`, true), / ORCPT=utf-8;\u00f6{120}@y\.test$/);
});

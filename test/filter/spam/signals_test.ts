/** Each signal on a message that has it; a plain letter has none of those that speak against it. */
import assert from "node:assert/strict";
import { encode } from "../../../bytes/decode.ts";
import { Mail } from "../../../filter/spam/mail.ts";
import { LEARNER } from "../../../filter/spam/hits.ts";
import { SIGNAL_NAMES } from "../../../filter/spam/names.ts";
import type { Surroundings } from "../../../filter/spam/surroundings.ts";
import { SIGNALS } from "../../../filter/spam/signals.ts";

interface Example {
  /** Fields in place of those of the plain letter; null leaves one out. */
  readonly fields?: Readonly<Record<string, string | null>>;
  readonly body?: string;
}

const PLAIN: Readonly<Record<string, string>> = {
  "Received":
    "from mail.friends.test (mail.friends.test [192.0.2.7]) by mx.example.test; Mon, 23 Nov 2026 10:00:05 +0000",
  "Return-Path": "<ann@friends.test>",
  "From": "Ann Friend <ann@friends.test>",
  "To": "Bob <bob@example.test>",
  "Subject": "Lunch on Tuesday",
  "Date": "Mon, 23 Nov 2026 10:00:00 +0000",
  "Message-ID": "<20261123100000.ab12@friends.test>",
  "MIME-Version": "1.0",
  "Content-Type": "text/plain; charset=utf-8",
};
const LETTER =
  "Hi Bob,\r\n\r\nshall we meet at the usual place around noon? Bring the photos.\r\n\r\nAnn\r\n";
const html = (body: string): Example => ({ fields: { "Content-Type": "text/html; charset=utf-8" }, body });
const link = (target: string, text = "here") =>
  html(`<html><body><p>Look</p><a href="${target}">${text}</a></body></html>`);
const says = (body: string): Example => ({ body });
const attached = (name: string): Example => ({
  fields: { "Content-Type": "multipart/mixed; boundary=b" },
  body: `--b\r\nContent-Type: text/plain\r\n\r\nsee it\r\n--b\r\nContent-Type: application/octet-stream\r\n` +
    `Content-Disposition: attachment; filename="${name}"\r\n\r\nxx\r\n--b--\r\n`,
});

const EXAMPLES: Readonly<Record<string, Example>> = {
  "answer": { fields: { "Subject": "Re: Lunch", "In-Reply-To": "<a@b.test>" } },
  "attached-page": attached("invoice.html"),
  "attached-program": attached("setup.exe"),
  "bad-date": { fields: { "Date": "Mon, 23 Nov 2026 10:00:00 -1900" } },
  "broken-html": html("<b>a</b><i>b</i><u>c</u><p>d</p><p>e</p>"),
  "bulk-no-way-out": says("To unsubscribe write a letter to our office."),
  "date-ahead": { fields: { "Date": "Tue, 24 Nov 2026 10:00:00 +0000" } },
  "date-behind": { fields: { "Date": "Mon, 2 Nov 2026 10:00:00 +0000" } },
  "double-extension": attached("report.pdf.exe"),
  "encoded-text": {
    fields: { "Content-Transfer-Encoding": "base64" },
    body: btoa("Hello, how are you?") + "\r\n",
  },
  "foreign-charset": { fields: { "Content-Type": "text/plain; charset=koi8-r" } },
  "forged-hop": {
    fields: {
      "Received":
        "from yahoo.com (dialup-7.isp.test [198.51.100.7]) by mx.example.test; Mon, 23 Nov 2026 10:00:05 +0000",
    },
  },
  "forged-outlook": { fields: { "X-Mailer": "Microsoft Outlook Express 5.00.2919.6700" } },
  "from-broken": { fields: { "From": "nobody" } },
  "from-digits": { fields: { "From": "<x8472qq1@friends.test>" } },
  "from-pretends": { fields: { "From": '"service@bank.test" <x@friends.test>' } },
  "hidden-text": html(
    `<html><body>Hi<div style="display:none">${"weather and harvest ".repeat(20)}</div></body></html>`,
  ),
  "html-active": html("<html><body>Hi<script>go()</script></body></html>"),
  "html-form": html("<html><body>Hi<form action=x><input name=y></form></body></html>"),
  "html-only": html("<html><body><p>Hello Bob, how are you today?</p></body></html>"),
  "images-only": html('<html><body><img src="http://pictures.test/a.gif"></body></html>'),
  "labelled-advert": { fields: { "Subject": "ADV: Garden tools" } },
  "link-cheap": link("http://shop.top/"),
  "link-elsewhere": link("http://evil.test/", "www.bank.test"),
  "link-escaped": link("http://%77%77%77%2e%65%76%69%6c.test/"),
  "link-file": link("http://files.test/update.exe"),
  "link-lookalike": link("http://xn--80ak6aa92e.com/"),
  "link-mail": link("mailto:orders@shop.test?subject=order"),
  "link-number": link("http://198.51.100.7/a"),
  "link-port": link("http://shop.test:8765/"),
  "link-shortened": link("http://bit.ly/abc"),
  "link-user": link("http://www.bank.test@evil.test/"),
  "list-mail": { fields: { "List-Id": "<talk.lists.test>" } },
  "literal-hello": {
    fields: {
      "Received":
        "from 198.51.100.7 (a.isp.test [198.51.100.7]) by mx.example.test; Mon, 23 Nov 2026 10:00:05 +0000",
    },
  },
  "loud-html": html(
    '<html><body><font color="#ff0000">A</font><font size=7>B</font><font color=red>C</font></body></html>',
  ),
  "mass-mailer": { fields: { "X-Mailer": "Bulk Mailer 2.1" } },
  "misspelt-fields": { fields: { "MIME-Version": null, "MiME-Version": "1.0" } },
  "mixed-scripts": says("Your p\u0430yment of the m\u043enth"),
  "nameless-hop": {
    fields: {
      "Received": "from sender ([198.51.100.7]) by mx.example.test; Mon, 23 Nov 2026 10:00:05 +0000",
    },
  },
  "no-charset": { fields: { "Content-Type": "text/plain" }, body: "Sch\u00f6ne Gr\u00fc\u00dfe\r\n" },
  "no-date": { fields: { "Date": null } },
  "no-message-id": { fields: { "Message-ID": null } },
  "no-recipient": { fields: { "To": null } },
  "odd-message-id": { fields: { "Message-ID": "<000019342305@.>" } },
  "odd-recipient": { fields: { "To": "All our friends" } },
  "path-elsewhere": { fields: { "Return-Path": "<bounce@sender.example>" } },
  "plain-text": {},
  "provider-not-seen": { fields: { "From": "<ann@yahoo.com>" } },
  "quoting": says("> shall we?\r\n> at noon\r\nYes.\r\n"),
  "raw-header": { fields: { "Subject": "Sch\u00f6\u00f6\u00f6ne" } },
  "reply-elsewhere": { fields: { "Reply-To": "<box@elsewhere.example>" } },
  "says-adult": says("xxx hardcore webcam"),
  "says-capitals": says("THIS OFFER WILL CHANGE YOUR LIFE ".repeat(6)),
  "says-click": says("Please click here now"),
  "says-cure": says("Lose weight with herbal pills"),
  "says-dear": says("Dear friend,\r\nhello"),
  "says-exclaiming": says("Wow!! Now!! $$$"),
  "says-lists": says("One million email addresses on CD-ROM for your bulk email"),
  "says-loan": says("Refinance your mortgage at low interest rates despite bad credit"),
  "says-money": says("Earn money, extra income, profit: $500 a day, $5,000 per month, no investment"),
  "says-no-spam": says("This is not spam"),
  "says-offer": says("Absolutely free, no obligation, act now, money back"),
  "says-removal": says("To be removed from our list send a mail"),
  "says-transfer": says(
    "The late president left 20 million United States dollars; as next of kin, the beneficiary is strictly confidential",
  ),
  "signed": { body: "-----BEGIN PGP SIGNED MESSAGE-----\r\nHash: SHA256\r\n\r\nHello\r\n" },
  "sorted-recipients": {
    fields: { "To": "anna@a.test, annb@a.test, annc@a.test, annd@a.test, anne@a.test, annf@a.test" },
  },
  "split-words": html("<html><body>Vi<!-- x -->ag<!-- y -->ra or<zq>der</body></html>"),
  "subject-addressed": { fields: { "Subject": "bob, a word with you" } },
  "subject-capitals": { fields: { "Subject": "LUNCH ON TUESDAY" } },
  "subject-gaps": { fields: { "Subject": "V i a g r a today" } },
  "subject-marks": { fields: { "Subject": "Save $500!!" } },
  "subject-missing": { fields: { "Subject": null } },
  "subject-serial": { fields: { "Subject": "Lunch                 24344" } },
  "technical": says("diff --git a/x b/x\r\n--- a/x\r\n+++ b/x\r\n"),
  "unknown-tags": html("<html><body><qzw>a</qzw><kkk>b</kkk><ppp>c</ppp></body></html>"),
  "unseen-characters": says("a\u200bb\u200bc\u200bd\u200be\u200bf"),
  "urgent": { fields: { "X-Priority": "1 (Highest)" } },
  "watched-images": html('<html><body>Hi<img src="http://pictures.test/a.gif?id=8472011"></body></html>'),
};

function mailOf({ fields = {}, body = LETTER }: Example): Mail {
  const header = Object.entries({ ...PLAIN, ...fields }).filter(([, value]) => value !== null)
    .map(([name, value]) => `${name}: ${value}\r\n`).join("");
  return new Mail(encode(`${header}\r\n${body}`));
}

const AROUND: Surroundings = {
  client: { address: "192.0.2.1", heloName: "mail.friends.test" },
  ...{
    sender: "ann@friends.test",
    reverseName: null,
    spf: "",
    dmarc: "",
    signers: [],
    brokenSignature: false,
  },
  ...{ aligned: false, tags: [], known: false, firstContact: null, reportedCopies: 0 },
  reputation: { address: null, network: null, domain: null, signer: null },
};
/** Those that look at nothing but what is around a message; the last test has them. */
const NO_EXAMPLE: ReadonlySet<string> = new Set([
  ..."forged-author path-refused broken-signature proven-author listed known-author first-contact".split(" "),
  ..."reputation-address reputation-network reputation-domain reputation-signer reported-copy".split(" "),
]);

for (const signal of SIGNALS) {
  const example = EXAMPLES[signal.name];
  if (example === undefined) {
    Deno.test(`${signal.name} looks at what is around a message, or has an example`, () =>
      assert.ok(NO_EXAMPLE.has(signal.name)));
    continue;
  }
  Deno.test(`${signal.name} is found where it is`, () => {
    const strength = Number(signal.find({ mail: mailOf(example), around: null }));
    assert.ok(strength > 0 && strength <= 1, `strength ${strength}`);
  });
}

Deno.test("a plain letter has nothing against it", () => {
  const mail = mailOf({});
  const found = SIGNALS.filter(({ weight, find }) => weight > 0 && Number(find({ mail, around: null })) > 0);
  assert.deepEqual(found.map(({ name }) => name), []);
});

Deno.test("names are unique, weights small, explanations in plain words", () => {
  assert.equal(new Set(SIGNALS.map(({ name }) => name)).size, SIGNALS.length);
  for (const { name, weight, explain } of SIGNALS) {
    assert.match(name, /^[a-z0-9-]+$/);
    assert.ok(Math.abs(weight) <= 4 && weight !== 0, name);
    assert.match(explain, /^[a-z][ -~]{5,90}$/i, name);
  }
});

Deno.test("the names of the settings are those of the signals", () => {
  assert.deepEqual([...SIGNAL_NAMES].sort(), [...SIGNALS.map(({ name }) => name), LEARNER].sort());
});

Deno.test("what is around a message speaks for and against it", () => {
  const mail = mailOf({});
  const points = (name: string, more: Partial<Surroundings>) =>
    Number(SIGNALS.find((one) => one.name === name)!.find({ mail, around: { ...AROUND, ...more } }));
  const standing = { ...AROUND.reputation };
  const cases: readonly (readonly [name: string, more: Partial<Surroundings>, strength: number])[] = [
    ["forged-author", { dmarc: "fail" }, 1],
    ["path-refused", { spf: "fail" }, 1],
    ["path-refused", { spf: "softfail" }, 0.5],
    ["broken-signature", { brokenSignature: true }, 1],
    ["proven-author", { aligned: true }, 1],
    ["listed", { tags: [{ check: "dnsbl", points: 6 }] }, 1],
    ["listed", { tags: [{ check: "dnsbl", points: -2 }] }, -0.5],
    ["known-author", { known: true, aligned: true }, 1],
    ["known-author", { known: true }, 0], // anybody can write a name into From
    ["first-contact", { firstContact: true }, 1],
    ["first-contact", { firstContact: null }, 0],
    ["reputation-address", { reputation: { ...standing, address: { spam: 3, ham: 0 } } }, 0.5],
    [
      "reputation-address",
      { reputation: { ...standing, address: { spam: 0, ham: 3 } }, aligned: true },
      -0.5,
    ],
    ["reputation-address", { reputation: { ...standing, address: { spam: 0, ham: 3 } } }, 0],
    ["reputation-network", { reputation: { ...standing, network: { spam: 9, ham: 0 } } }, 0.75],
    ["reputation-domain", { reputation: { ...standing, domain: { spam: 1, ham: 1 } } }, 0],
    ["reputation-signer", { reputation: { ...standing, signer: { spam: 3, ham: 0 } } }, 0.5],
    ["reported-copy", { reportedCopies: 1 }, 0.5],
    ["nameless-hop", { reverseName: "" }, 1],
    ["nameless-hop", { reverseName: null }, 0],
    ["literal-hello", { client: { address: "192.0.2.1", heloName: "192.0.2.1" } }, 1],
  ];
  for (const [name, more, strength] of cases) assert.equal(points(name, more), strength, name);
});

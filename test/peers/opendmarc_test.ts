/**
 * DMARC by RFC 7489 beside opendmarc's library: the same records, from a real DNS server, and the same SPF and DKIM
 * passes give the same policy and the same alignment. One difference is left to it: in strict mode it takes a sub-domain of
 * the author's for the same domain, where RFC 7489 3.1.1 asks for an exact match.
 */
import assert from "node:assert/strict";
import { checkDmarc, type DmarcInput, type DmarcOutcome } from "../../mailauth/dmarc.ts";
import { MockResolver, txt } from "../lib/mock_resolver.ts";
import { Nsd } from "../lib/nsd.ts";

/** By the numbers of opendmarc's dmarc.h. */
const POLICY: Readonly<Record<number, string>> = {
  14: "no record",
  15: "pass",
  16: "fail: reject",
  17: "fail: quarantine",
  18: "fail: none",
};
const ALIGNED = 4, PASS = 1, MAIL_FROM = 1, IPV4 = 4;
/** MAXPATHLEN of the library, and what its settings are made of. */
const PATH_OCTETS = 4_096, SOCKET_OCTETS = 16, SERVERS = 3;

/** Records of `_dmarc` at an organizational domain; "" is none. */
const RECORDS = [
  "",
  "v=DMARC1; p=none",
  "v=DMARC1; p=quarantine",
  "v=DMARC1; p=reject",
  "v=DMARC1; p=reject; sp=none",
  "v=DMARC1; p=none; sp=reject",
  "v=DMARC1;p=reject;adkim=s",
  "v=DMARC1; p=reject; aspf=s",
  "v=DMARC1; p=quarantine; sp=reject; adkim=s; aspf=s; fo=1; rua=mailto:r@b.test!10m",
  "v=DMARC1; p=reject; pct=100; ri=3600; ruf=mailto:r@b.test",
  "v=DMARC1; p=reject; x_unknown=1",
];
/** A domain below it with a record of its own. */
const OWN = "v=DMARC1; p=quarantine; aspf=s";
const SUFFIXES = ["com", "co.uk"];

function library() {
  return Deno.dlopen("libopendmarc.so.2", {
    opendmarc_policy_library_init: { parameters: ["buffer"], result: "i32" },
    opendmarc_policy_connect_init: { parameters: ["buffer", "i32"], result: "pointer" },
    opendmarc_policy_connect_shutdown: { parameters: ["pointer"], result: "pointer" },
    opendmarc_policy_store_from_domain: { parameters: ["pointer", "buffer"], result: "i32" },
    opendmarc_policy_store_dkim: {
      parameters: ["pointer", "buffer", "buffer", "i32", "buffer"],
      result: "i32",
    },
    opendmarc_policy_store_spf: { parameters: ["pointer", "buffer", "i32", "i32", "buffer"], result: "i32" },
    opendmarc_policy_query_dmarc: { parameters: ["pointer", "buffer"], result: "i32" },
    opendmarc_get_policy_to_enforce: { parameters: ["pointer"], result: "i32" },
    opendmarc_policy_fetch_alignment: { parameters: ["pointer", "buffer", "buffer"], result: "i32" },
  });
}

function text(value: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`${value}\0`);
}

class OpenDmarc {
  #symbols: ReturnType<typeof library>["symbols"];

  constructor(
    { symbols }: ReturnType<typeof library>,
    { port, suffixes }: { port: number; suffixes: string },
  ) {
    this.#symbols = symbols;
    const settings = new Uint8Array(4 + PATH_OCTETS + 4 + SERVERS * SOCKET_OCTETS);
    const view = new DataView(settings.buffer);
    view.setInt32(0, 1, true); // a list of public suffixes
    settings.set(text(suffixes), 4);
    view.setInt32(4 + PATH_OCTETS, 1, true); // one server
    view.setUint16(8 + PATH_OCTETS, 2, true); // AF_INET
    view.setUint16(10 + PATH_OCTETS, port, false);
    settings.set([127, 0, 0, 1], 12 + PATH_OCTETS);
    assert.equal(symbols.opendmarc_policy_library_init(settings), 0);
  }

  judge({ authorDomains, spfDomain, dkimDomains }: DmarcInput): string {
    const library = this.#symbols;
    const context = library.opendmarc_policy_connect_init(text("192.0.2.1"), IPV4);
    assert.equal(library.opendmarc_policy_store_from_domain(context, text(authorDomains[0]!)), 0);
    if (spfDomain !== null) {
      assert.equal(library.opendmarc_policy_store_spf(context, text(spfDomain), PASS, MAIL_FROM, null), 0);
    }
    for (const domain of dkimDomains) {
      assert.equal(library.opendmarc_policy_store_dkim(context, text(domain), text("s"), PASS, null), 0);
    }
    library.opendmarc_policy_query_dmarc(context, null);
    const policy = POLICY[library.opendmarc_get_policy_to_enforce(context)] ?? "?";
    const [dkim, spf] = [new Int32Array(1), new Int32Array(1)];
    library.opendmarc_policy_fetch_alignment(
      context,
      dkim as unknown as Uint8Array<ArrayBuffer>,
      spf as unknown as Uint8Array<ArrayBuffer>,
    );
    library.opendmarc_policy_connect_shutdown(context);
    return `${policy}, dkim ${dkim[0] === ALIGNED}, spf ${spf[0] === ALIGNED}`;
  }
}

function ours({ result, policy, dkimAligned, spfAligned }: DmarcOutcome): string {
  const said = result === "none" ? "no record" : result === "fail" ? `fail: ${policy}` : result;
  return `${said}, dkim ${dkimAligned}, spf ${spfAligned}`;
}

Deno.test("opendmarc: the same policy and alignment for each record, author, SPF and DKIM domain", async () => {
  const zones: Record<string, string> = { "evil.com": "@ A 192.0.2.66" };
  const known: Record<string, ReturnType<typeof txt>[]> = {};
  for (const suffix of SUFFIXES) {
    for (const [at, record] of RECORDS.entries()) {
      const domain = `d${at}.${suffix}`;
      const lines = ["@ A 192.0.2.1", "sub A 192.0.2.1", "a.b A 192.0.2.1", "own A 192.0.2.1"];
      lines.push(`_dmarc.own TXT "${OWN}"`);
      known[`_dmarc.own.${domain} TXT`] = [txt(OWN)];
      if (record !== "") {
        lines.push(`_dmarc TXT "${record}"`);
        known[`_dmarc.${domain} TXT`] = [txt(record)];
      }
      zones[domain] = lines.join("\n");
    }
  }
  const folder = await Deno.makeTempDir({ prefix: "veredus-opendmarc-" });
  const suffixes = `${folder}/suffixes`;
  await Deno.writeTextFile(suffixes, SUFFIXES.join("\n") + "\nuk\n");
  const nsd = await Nsd.start(zones);
  const lib = library();
  let compared = 0;
  try {
    const other = new OpenDmarc(lib, { port: nsd.port, suffixes });
    const resolver = new MockResolver(known);
    for (const domain of Object.keys(zones).filter((name) => name.startsWith("d"))) {
      for (const author of [domain, `sub.${domain}`, `a.b.${domain}`, `own.${domain}`]) {
        const passes = [null, domain, `sub.${domain}`, author, "evil.com"];
        for (const spfDomain of passes) {
          for (const dkim of passes) {
            const input: DmarcInput = {
              ...{ authorDomains: [author], spfDomain, spfTemporary: false, dkimTemporary: [] },
              dkimDomains: dkim === null ? [] : [dkim],
            };
            const outcome = await checkDmarc(resolver, input, { standard: "rfc7489", random: () => 0 });
            const about = `${author}, spf ${spfDomain}, dkim ${dkim}, record of ${domain}`;
            compared++;
            const strict = {
              dkim: outcome.record?.dkimAlignment === "strict",
              spf: outcome.record?.spfAlignment === "strict",
            };
            const below = (one: string | null) => one?.endsWith(`.${author}`) ?? false;
            if ((strict.dkim && below(dkim)) || (strict.spf && below(spfDomain))) {
              if (strict.dkim && below(dkim)) assert.equal(outcome.dkimAligned, false, about);
              if (strict.spf && below(spfDomain)) assert.equal(outcome.spfAligned, false, about);
              continue;
            }
            assert.equal(ours(outcome), other.judge(input), about);
          }
        }
      }
    }
  } finally {
    lib.close();
    await nsd.stop();
    await Deno.remove(folder, { recursive: true });
  }
  assert.equal(compared, SUFFIXES.length * RECORDS.length * 4 * 25);
});

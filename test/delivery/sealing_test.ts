/** What is handed on to others, by alias, script or group, is sealed behind its last change. */
import assert from "node:assert/strict";
import { listFields } from "../../delivery/group.ts";
import { Chain } from "../../filter/chain.ts";
import { SessionScreen } from "../../filter/screen.ts";
import { DkimVerifier } from "../../mailauth/dkim_verify.ts";
import { MockResolver } from "../lib/mock_resolver.ts";
import {
  GOOD,
  letter,
  OWN_KEY,
  read,
  SEALING,
  sealsOf,
  send,
  signed,
  withBed,
} from "./authentication_bed.ts";
import { CHANGER, NOW, STRANGER } from "./reception_bed.ts";

Deno.test("what is handed on is sealed behind all changes that checks want", async () => {
  const chain = new Chain([CHANGER]);
  await withBed(SEALING, {}, async (bed) => {
    await bed.ok({ kind: "put-alias", address: "fwd@example.test", targets: ["far@away.test"] }, OWN_KEY);
    const client = { ...STRANGER, screen: new SessionScreen({ strangers: chain, logins: chain }) };
    const message = letter("a@good.test", "Authentication-Results: mx.example.test; dmarc=pass\r\n");
    await bed.send({ client, from: "a@good.test", to: ["fwd@example.test", "bob@example.test"], message });
    for (const copy of [bed.queuedOctets(bed.queued()[0]!), bed.stored("bob")[0]!]) {
      assert.match(copy, /^ARC-Seal: i=1; /m);
      assert.equal(copy.match(/^Authentication-Results: mx\.example\.test/gm)?.length, 1);
      assert.match(copy, /^subject: changed\r$/im);
      const chain = await sealsOf(copy.slice(copy.indexOf("ARC-Seal:")));
      assert.equal(chain.result, "pass", chain.text);
    }
  });
});

Deno.test("what a script redirects is sealed, its sender rewritten", async () => {
  await withBed(SEALING, {}, async (bed) => {
    const owner = String(bed.account("bob").id);
    await bed.ok(OWN_KEY, {
      ...{ kind: "put-script", scope: "user", owner, name: "main" },
      content:
        'require ["copy", "editheader"]; redirect :copy "far@away.test"; addheader "X-Mine" "1"; redirect "off@away.test";',
    }, { kind: "activate-script", scope: "user", owner, name: "main" });
    assert.equal((await send(bed, "a@good.test", await signed(letter("a@good.test"), GOOD))).data?.code, 250);
    const rows = bed.queued();
    assert.deepEqual(rows.map(({ recipient }) => recipient), ["far@away.test", "off@away.test"]);
    for (const [at, row] of rows.entries()) {
      assert.match(row.sender, /^SRS0=[^=]+=[^=]+=good\.test=a@example\.test$/);
      const message = bed.queuedOctets(row);
      assert.equal(/^X-Mine: 1\r$/m.test(message), at === 1);
      const { result, text: why, sets } = await sealsOf(message);
      assert.deepEqual([result, sets.map(({ seal }) => seal.domain)], ["pass", ["example.test"]], why);
      assert.match(message, /^ARC-Authentication-Results: i=1; mx\.example\.test;[^]*?dmarc=pass/m);
    }
  });
});

Deno.test("posts to a group are sealed, and the group's own fields in front break neither seal nor signature", async () => {
  await withBed(SEALING, {}, async (bed) => {
    const group = { address: "team@example.test", displayName: "", posting: "anyone", owners: [] } as const;
    await bed.ok({ kind: "put-group", group }, {
      ...{ kind: "change-members", group: group.address, add: ["far@away.test"], remove: [] },
    }, OWN_KEY);
    const fields = listFields(bed.test.store.directory.group(group.address)!);
    const posted = async (from: string, client = STRANGER): Promise<string> => {
      await bed.send({ client, from, to: [group.address], message: letter(from) });
      return fields + bed.queuedOctets(bed.queued().at(-1)!);
    };
    assert.equal((await sealsOf(await posted("a@good.test"))).result, "pass");
    const own = await posted("bob@example.test", bed.login("bob"));
    const signature = read(own, DkimVerifier);
    assert.deepEqual((await signature.finish(new MockResolver(SEALING), NOW)).map(({ result }) => result), [
      "pass",
    ]);
  });
});

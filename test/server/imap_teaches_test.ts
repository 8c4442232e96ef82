/** What changes of a client's say to the spam filter, case by case. */
import assert from "node:assert/strict";
import { copyTeaches, flagsTeach } from "../../server/imap/teaches.ts";
import type { NamedMailbox } from "../../server/imap/names.ts";
import { FLAG_ANSWERED, FLAG_DELETED } from "../../storage/changes.ts";

const mailbox = (specialUse: string | null, own = true) => ({ specialUse, own }) as unknown as NamedMailbox;
const INBOX = mailbox(null), JUNK = mailbox("\\Junk"), TRASH = mailbox("\\Trash"), SENT = mailbox("\\Sent");
const OTHERS_JUNK = mailbox("\\Junk", false), OTHERS = mailbox(null, false);

Deno.test("moving and copying: into Junk, out of it, and what says nothing", () => {
  const table: [from: NamedMailbox | null, to: NamedMailbox, says: string | undefined][] = [
    [INBOX, JUNK, "spam"],
    [SENT, JUNK, "spam"],
    [null, JUNK, "spam"], // APPEND
    [JUNK, INBOX, "ham"],
    [JUNK, SENT, "ham"],
    [JUNK, TRASH, undefined], // thrown away
    [INBOX, TRASH, undefined],
    [TRASH, INBOX, undefined],
    [JUNK, JUNK, undefined],
    [null, INBOX, undefined],
    [INBOX, OTHERS_JUNK, undefined],
    [OTHERS_JUNK, INBOX, undefined],
    [OTHERS, JUNK, undefined],
  ];
  for (const [from, to, says] of table) {
    assert.equal(copyTeaches(from, to).teaches, says, `${from?.specialUse} to ${to.specialUse}`);
  }
});

Deno.test("marking: $Junk and $NotJunk, an answer says a little, deletion nothing", () => {
  const says = (
    keywords: readonly string[],
    { flags = 0, mode = "add", where = INBOX }: {
      flags?: number;
      mode?: "add" | "remove" | "replace";
      where?: NamedMailbox;
    } = {},
  ) => flagsTeach(where, { mode, keywords, flags }).teaches;
  assert.equal(says(["$Junk"]), "spam");
  assert.equal(says(["junk"]), "spam");
  assert.equal(says(["$NotJunk"]), "ham");
  assert.equal(says(["NonJunk"], { mode: "replace" }), "ham");
  assert.equal(says(["$Junk", "$NotJunk"]), undefined);
  assert.equal(says(["$Junk"], { mode: "remove" }), undefined);
  assert.equal(says([], { flags: FLAG_ANSWERED }), "weak-ham");
  assert.equal(says([], { flags: FLAG_ANSWERED, where: JUNK }), undefined);
  assert.equal(says([], { flags: FLAG_DELETED }), undefined);
  assert.equal(says(["$Label"]), undefined);
  assert.equal(says(["$Junk"], { where: OTHERS }), undefined);
});

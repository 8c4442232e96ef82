"""Python's imaplib over shared mailboxes: PORT OWNER READER PASSWORD; exits with what went wrong."""
import imaplib
import sys

port, owner, reader, password = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]


def ok(answer):
    assert answer[0] == "OK", answer
    return answer[1]


mine = imaplib.IMAP4("127.0.0.1", port)
ok(mine.login(owner, password))
offered = ok(mine.capability())[0].split()
assert b"ACL" in offered and b"RIGHTS=texk" in offered, offered
ok(mine.create("Shared-by-python"))
ok(mine.append("Shared-by-python", None, None, b"Subject: shared\r\n\r\nshared\r\n"))
ok(mine.setacl("Shared-by-python", reader, "lrs"))
assert reader.encode() in ok(mine.getacl("Shared-by-python"))[0]

theirs = imaplib.IMAP4("127.0.0.1", port)
ok(theirs.login(reader, password))
assert b"Other Users/" in ok(theirs.namespace())[0]
name = f'"Other Users/{owner}/Shared-by-python"'
assert b'"lrs"' in ok(theirs.myrights(name))[0]
assert any(name.encode() in line for line in ok(theirs.list('""', '"Other Users/*"')))
ok(theirs.select(name, readonly=True))
ok(theirs.close())
status, _ = theirs.append(name, None, None, b"Subject: no\r\n\r\nno\r\n")
assert status == "NO", status
assert theirs.getacl(name)[0] == "NO"
ok(mine.setacl("Shared-by-python", reader, "+iw"))
ok(theirs.append(name, r"(\Seen \Flagged)", None, b"Subject: yes\r\n\r\nyes\r\n"))
ok(theirs.select(name))
assert ok(theirs.search(None, "SEEN")) == [b"2"]
ok(mine.select("Shared-by-python"))
assert ok(mine.search(None, "SEEN")) == [b""]
assert ok(mine.search(None, "FLAGGED")) == [b"2"]
ok(theirs.close())
ok(mine.deleteacl("Shared-by-python", reader))
assert theirs.status(name, "(MESSAGES)")[0] == "NO"
ok(mine.close())
ok(mine.delete("Shared-by-python"))
mine.logout()

"""Python's imaplib as a client: PORT LOGIN PASSWORD FOLDER; every file of FOLDER goes up, comes back, and moves."""
import imaplib
import os
import sys

port, login, password, folder = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
names = sorted(os.listdir(folder))
texts = [open(os.path.join(folder, name), "rb").read() for name in names]


def ok(answer):
    kind, data = answer
    assert kind == "OK", answer
    return data


with imaplib.IMAP4("127.0.0.1", port) as imap:
    ok(imap.login(login, password))
    ok(imap.create('"from python/b&APw-cher"'))
    for text in texts:
        ok(imap.append('"from python"', r"(\Seen $Python)", imaplib.Time2Internaldate(1_700_000_000), text))
    assert ok(imap.select('"from python"')) == [str(len(texts)).encode()]
    numbers = ok(imap.search(None, "KEYWORD", "$Python", "SEEN", "SENTBEFORE", "1-Jan-2100"))
    assert len(numbers) == 1, numbers
    for number, text in enumerate(texts, 1):
        parts = ok(imap.fetch(str(number), "(UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])"))
        head, octets = parts[0]
        assert octets == text, (names[number - 1], octets)
        assert f"RFC822.SIZE {len(text)} ".encode() in head + b" ", head
        assert set(imaplib.ParseFlags(head)) - {rb"\Recent"} == {rb"\Seen", b"$Python"}, head
        assert b'"14-Nov-2023 22:13:20 +0000"' in head, head
    ok(imap.store("1:*", "-FLAGS.SILENT", r"(\Seen)"))
    ok(imap.uid("COPY", "1:*", '"from python/b&APw-cher"'))
    ok(imap.store("1", "+FLAGS", r"(\Deleted)"))
    assert ok(imap.expunge()) == [b"1"]
    ok(imap.unselect())
    ok(imap.rename('"from python/b&APw-cher"', '"books of python"'))
    ok(imap.select('"books of python"', readonly=True))
    assert [ok(imap.fetch(str(n), "(RFC822)"))[0][1] for n in range(1, len(texts) + 1)] == texts
print("same", len(texts))

"""A milter over Sendmail's libmilter that says which macros it wants, notes what it is told, and changes the envelope.

Arguments: the socket, and the file that gets a line of JSON for each message.
"""
import json
import sys

import Milter


class Changer(Milter.Base):
    def __init__(self):
        self.told = {}

    def note(self, step, *names):
        self.told[step] = {name: self.getsymval(name) for name in names}

    def negotiate(self, opts):
        self._actions = opts[0]
        wants = self._ctx.setsymlist  # the wrapper in Milter.Base hands over bytes, which the library refuses
        wants(Milter.M_CONNECT, "j {client_addr}")
        wants(Milter.M_ENVRCPT, "{rcpt_host} {unheard_of}")
        wants(Milter.M_EOM, "i {nrcpts}")
        opts[1] = opts[2] = opts[3] = 0
        return Milter.CONTINUE

    def connect(self, host, family, address):
        self.note("connect", "j", "{client_addr}", "v")
        return Milter.CONTINUE

    def envfrom(self, sender, *words):
        self.sender = sender
        self.note("mail", "i", "{mail_addr}")
        return Milter.CONTINUE

    def envrcpt(self, recipient, *words):
        self.note("rcpt", "{rcpt_host}", "{rcpt_addr}")
        return Milter.CONTINUE

    def eom(self):
        self.note("end", "i", "{nrcpts}")
        if "drop" in self.sender:
            self.delrcpt("<alice@example.test>")
        elif "hold" in self.sender:
            self.quarantine("looks odd")
        else:
            self.chgfrom("<other@elsewhere.test>", "RET=HDRS ENVID=changed")
            self.addrcpt("<bob@example.test>")
            self.addrcpt("<far@elsewhere.test>", "NOTIFY=FAILURE ORCPT=rfc822;first@elsewhere.test")
            self.addrcpt("<nobody@example.test>")
            self.delrcpt("<ALICE@example.test>")
            self.addheader("X-Changed", "yes")
        with open(sys.argv[2], "a") as file:
            file.write(json.dumps(self.told) + "\n")
        return Milter.CONTINUE


Milter.factory = Changer
Milter.set_flags(Milter.ADDHDRS | Milter.ADDRCPT | Milter.DELRCPT | Milter.CHGFROM | Milter.ADDRCPT_PAR
                 | Milter.QUARANTINE | Milter.SETSYMLIST)
Milter.runmilter("changer", sys.argv[1], 60)

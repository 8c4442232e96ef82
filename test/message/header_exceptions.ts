/** Where we read a header otherwise than mail-parser's suite wants: the reason, and by header our value. */
import type { AddressesOfSuite, TypeOfSuite } from "./mail_parser_values.ts";

export type Exceptions<V> = Readonly<Record<string, Readonly<Record<string, V>>>>;

export const DATES: Exceptions<number | null> = {
  "a month has a name (RFC 5322 3.3), and a date stands alone in its field": {
    "20 11 (some \n 44 comments(more comments\n )) 79 05:34:27 -0300": null,
    " 4 8 15 16 23 42, 4 8 15 16 23 42, 4 8 15 16 23 42, ": null,
    "by 2002:aa7:cd10:0:b0:45c:2c83:1208 with SMTP id b16-20020aa7cd10000000b0045c2c831208mr4220805edw.81.1665423075119;\n\tMon, 10 Oct 2022 10:31:15 -0700 (PDT)":
      null,
  },
};

export const RECEIVED_DATES: Exceptions<number | null> = {
  "no date of mail; the suite makes the year 1910, 1915 or 1916 of them": {
    "FROM ca-ex-bridge1.nai.com BY scwsout1.nai.com ; Fri Feb 07 10:18:12 2003 -0800\n": null,
    "from TCE-E-7-182-54.bta.net.cn(202.106.182.54) via SMTP by st.tahina.priv.at, id smtpdEDUB8h; Sun Nov 13 14:50:12 2005\n":
      null,
    'from pl027.nas934.d-osaka.nttpc.ne.jp(61.197.82.27), claiming to be "foo.woas.net" via SMTP by st.tahina.priv.at, id smtpd1PBsZT; Sun Nov 13 15:38:52 2005\n':
      null,
    "from [<4124973-137966-3089@be2.maropost.com>] ([<4124973-137966-3089@be2.maropost.com>] helo=maropost.com)  by 643852-mailer2 (envelope-from 4124973-137966-3089@be2.maropost.com) Jetsend MTA 0.0.1 with ESMTP; Fri Sep 14 14:36:56 EDT 2018\n":
      null,
  },
  "an underscore stands in front of the date": {
    "from testintranator.net.vm ([unix socket])_ by testintranator.net.vm (Cyrus v2.3.14) with LMTPA;_ Tue, 21 Jul 2009 14:34:14 +0200\n":
      null,
  },
  "zones have names (RFC 5322 4.3)": {
    "from [193.220.176.134] by web40310.mail.yahoo.com via HTTP; Wed, 12 Feb 2003 14:22:21 PST\n": Date.UTC(
      2003,
      1,
      12,
      22,
      22,
      21,
    ),
    "(from vashugins@juno.com)  by m06.lax.untd.com (jqueuemail) id LRVB3JAJ; Fri, 02 Jun 2006 08:15:21 PDT\n":
      Date.UTC(2006, 5, 2, 15, 15, 21),
  },
  "years of two digits below 50 are of this century (RFC 5322 4.3)": {
    "from snake.corp.yahoo.com(216.145.52.229) by x.x.org via smap (V1.3) id xma093673; Wed, 26 Mar 03 20:43:24 -0600\n":
      Date.UTC(2003, 2, 27, 2, 43, 24),
    "from smtp.greyware.com(208.14.208.51, HELO smtp.sff.net) by x.x.org via smap (V1.3) id xma002908; Fri, 27 Feb 04 14:16:56 -0800\n":
      Date.UTC(2004, 1, 27, 22, 16, 56),
    "from olgisoft.com (127.0.0.1) by 127.0.0.1 (EzMTS MTSSmtp 1.55d5) ; Thu, 20 Mar 03 10:06:43 +0100 for <asrg@ietf.org>\n":
      Date.UTC(2003, 2, 20, 9, 6, 43),
  },
  "the suite loses seconds that have a fraction": {
    "from MjA3NDc4Mg (unknown) by ismtpd0001p1lon1.sendgrid.net (SG) with HTTP id aqHKNX2kSp-HiqspAa-uvw for <email@e.example.com>; Thu, 02 Apr 2020 07:53:55.516 +0000 (UTC)\n":
      Date.UTC(2020, 3, 2, 7, 53, 55),
  },
};

export const UNSTRUCTURED: Exceptions<string> = {
  "white space that is not there is not put in between a text and an encoded word": {
    "[SUSPECTED SPAM]=?utf-8?B?VGhpcyBpcyB0aGUgb3JpZ2luYWwgc3ViamVjdA==?=\n":
      "[SUSPECTED SPAM]This is the original subject",
    "[SUSPECTED SPAM]=?utf-8?B?VGhpcyBpcyB0aGUgb\n 3JpZ2luYWwgc3ViamVjdA==?=\n":
      "[SUSPECTED SPAM]This is the original subject",
    "[SUSPECTED SPAM]=?utf-8?B?VGhpcyBpcyB0aGUgb\r\n 3JpZ2luYWwgc3ViamVjdA==?=\r\n":
      "[SUSPECTED SPAM]This is the original subject",
  },
};

export const IDS: Exceptions<readonly string[]> = {
  "an identifier stands in angle brackets, without white space (RFC 5322 3.6.4)": {
    "<1234   @   local(blah)  .machine .example>\n": [],
    "malformed@id.machine.example\n": [],
    "   malformed2@id.machine.example \t  \n": [],
    "   m \n": [],
  },
};

export const ADDRESSES: Exceptions<AddressesOfSuite> = {
  "a comment is a name only where there is no other, and never an address (RFC 5322 3.2.2, 3.4)": {
    "Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>\n": {
      List: [{ name: "Pete", address: "pete@silly.test" }],
    },
    "A Group(Some people)\n        :Chris Jones <c@(Chris's host.)public.example>,\n            joe@example.org,\n     John <jdoe@one.test> (my dear friend); (the end of the group)\n":
      {
        Group: [{
          name: "A Group",
          addresses: [
            { name: "Chris Jones", address: "c@public.example" },
            { name: null, address: "joe@example.org" },
            { name: "John", address: "jdoe@one.test" },
          ],
        }],
      },
    "(Empty list)(start)Hidden recipients  :(nobody(that I know))  ;\n": {
      Group: [{ name: "Hidden recipients", addresses: [] }],
    },
    "Nathaniel Borenstein <nsb@thumper.bellcore.com>\n    (=?iso-8859-8?b?7eXs+SDv4SDp7Oj08A==?=)\n": {
      List: [{ name: "Nathaniel Borenstein", address: "nsb@thumper.bellcore.com" }],
    },
    "Name (comment) =?utf-8?q?Doe?= <a@b.com>\n": { List: [{ name: "Name Doe", address: "a@b.com" }] },
  },
  "a backslash at the end of a line quotes the white space that the next one begins with (RFC 5322 2.2.3, 3.2.1)":
    {
      "Pete(A nice \n \\\n ) chap) <pete(his\n account)@silly\n .test(his host)>\n": {
        List: [{ name: "Pete chap)", address: "pete@silly.test" }],
      },
    },
  "white space and comments are no part of an address (RFC 5322 4.4)": {
    "Mary Smith <@node.test:mary@example.net>, , jdoe@test  . example\n": {
      List: [{ name: "Mary Smith", address: "mary@example.net" }, {
        name: null,
        address: "jdoe@test.example",
      }],
    },
    "John Doe <jdoe@machine(comment).  example>\n": {
      List: [{ name: "John Doe", address: "jdoe@machine.example" }],
    },
  },
  "a name is shown without white space around it": {
    '"  James Smythe" <james@example.com>, Friends:\n  jane@example.com, =?UTF-8?Q?John_Sm=C3=AEth?=\n   <john@example.com>;\n':
      {
        Group: [{ name: null, addresses: [{ name: "James Smythe", address: "james@example.com" }] }, {
          name: "Friends",
          addresses: [{ name: null, address: "jane@example.com" }, {
            name: "John Smîth",
            address: "john@example.com",
          }],
        }],
      },
  },
};

export const TYPES: Exceptions<TypeOfSuite> = {
  "only the first piece of a parameter has a charset (RFC 2231 4.1)": {
    "application/pdf\n   filename*0*=iso-8859-1'es'%D1and%FA\n   filename*1*=iso-8859-1'%20r%E1pido\n   filename*2*=\"iso-8859-1' (versi%F3n \\'99 \\\"oficial\\\").pdf\"\n":
      {
        c_type: "application",
        c_subtype: "pdf",
        attributes: { filename: `Ñandúiso-8859-1' rápidoiso-8859-1' (versión '99 "oficial").pdf` },
      },
  },
  "white space between encoded words is not shown (RFC 2047 6.2)": {
    'image/jpeg;\n   name="=?iso-8859-1?B?4Q==?= =?utf-8?B?w6k=?= =?iso-8859-1?q?=ED?=.jpeg"\n': {
      c_type: "image",
      c_subtype: "jpeg",
      attributes: { name: "áéí.jpeg" },
    },
  },
  "white space at the end of a field is none of its value, though a quote is open": {
    'inva/lid; name="   \n': { c_type: "inva", c_subtype: "lid", attributes: {} },
    'inva/lid; name="   \n    \n': { c_type: "inva", c_subtype: "lid", attributes: {} },
  },
  "NUL is read as a space": {
    "test/encoded; key4*=us-ascii''foo; key*9999=ba%; key2*0=a; key3*0*=us-ascii'en'xyz; key*0=\"f\0oo\"; key2*1*=b%25; key3*1=plop%; key*1=baz; *=test; =test2;\n":
      {
        c_type: "test",
        c_subtype: "encoded",
        attributes: { key4: "foo", key: "f oobazba%", key2: "ab%", key3: "xyzplop%" },
      },
  },
  "names with more asterisks than RFC 2231 7. has are names of nothing": {
    "malicious/attempt; 1*2*=a; 3**=b; 4***=c; *5**6*=d;*****7*8*=e; 9*10*11*12*13*14=f; 15*x***fff*===g;1 * 999999999999999999 *= h; 18 *=*=*=*=*==i;\n":
      { c_type: "malicious", c_subtype: "attempt", attributes: { 1: "a", "18 ": "*=*=*=*==i" } },
  },
};

/** Messages for tests of IMAP. */

/** Encoded words in its header. */
export const MESSAGE = [
  "From: =?utf-8?q?Gr=C3=BCn?= <green@example.test>",
  "To: alice@example.test",
  "Subject: =?utf-8?b?R3LDvMOfZQ==?= to all",
  "Date: Mon, 1 Jan 2024 10:00:00 +0000",
  "Message-ID: <1@example.test>",
  "",
  "Hello,",
  "world.",
  "",
].join("\r\n");

/** Text in base64, and a message inside. */
export const MULTIPART = [
  "Subject: parts",
  "MIME-Version: 1.0",
  'Content-Type: multipart/mixed; boundary="b"',
  "",
  "--b",
  "Content-Type: text/plain; charset=utf-8",
  "Content-Transfer-Encoding: base64",
  "",
  "R3LDvMOfZSBhdXMgS8O2bG4=",
  "--b",
  "Content-Type: message/rfc822",
  "",
  "Subject: inner",
  "",
  "inner body",
  "--b--",
  "",
].join("\r\n");

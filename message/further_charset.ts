/**
 * Charsets that TextDecoder does not know, by iconv-lite: UTF-32, those of DOS and the Macintosh. Few messages are in any
 * of them, and its tables take three megabytes of a thread: they are loaded when the first text asks for them, in the
 * middle of reading it (some 10 ms, once): a header is decoded where nothing can wait.
 *
 * Names that iconv-lite cannot know either, as `x-unknown`, load nothing.
 */
import { Buffer } from "node:buffer";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

/** How the names begin that iconv-lite has beyond those of TextDecoder, in letters and digits alone. */
const FAMILIES = new RegExp(
  "^(?:cs)?(?:\\d{3,5}$|ansi|arabic|armscii|ascii|asmo|big5|celtic|cesu|cn|cp|ecma|elot|euc|gb|georgian|hebrew|hproman|" +
    "ibm|iso|jis|jp$|koi|ks|l\\d|latin|mac|mik$|ms|pc|pt154|r8$|rk1048|roman|shiftjis|strk|tcvn|thai|tis|turkish|ucs|" +
    "unicode|us|utf|viscii|win|xgbk|xroman|xsjis|xxbig5)",
);
/** What iconv-lite also takes for a charset, and is none. */
const NO_CHARSET = /^utf7imap/;

/** A decoder of that name (lower case), or null when it is unknown here too. Malformed sequences become U+FFFD. */
export function furtherDecoder(charset: string): ((bytes: Uint8Array) => string) | null {
  const name = charset.replace(/^x-/, "");
  const letters = name.replace(/[^0-9a-z]/g, "");
  if (!FAMILIES.test(letters) || NO_CHARSET.test(letters)) return null;
  const { iconv } = atOnce<typeof import("./charset_library.ts")>(
    new URL("./charset_library.ts", import.meta.url),
  );
  if (!iconv.encodingExists(name)) return null;
  return ({ buffer, byteOffset, byteLength }) =>
    iconv.decode(Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength), name);
}

/** A module without waiting for it; like those of server/later.ts it is not foreseen. */
function atOnce<Module>(address: URL): Module {
  return createRequire(import.meta.url)(fileURLToPath(address)) as Module;
}

/** What is loaded of iconv-lite when a first text asks for it (further_charset.ts). */
import iconv from "iconv-lite";

export { iconv };

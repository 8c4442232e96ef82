/** What a file's name gives away: scripts, which have no magic, and names that hide what they are. Pure. */

const SCRIPTS =
  "bat|cmd|vbs|vbe|vb|js|jse|mjs|wsf|wsh|wsc|ws|sct|hta|ps1|psm1|psd1|reg|cpl|inf|scf|msh|application|gadget|url|library-ms|settingcontent-ms";
const PROGRAMS = "exe|scr|pif|com|msi|msp|msc|jar|lnk|chm|dll|apk|app|one|iso|img|vhd|vhdx";
const HARMLESS =
  "pdf|docx?|docm|dotx?|rtf|odt|xlsx?|xlsm|xls|ods|csv|pptx?|pps|odp|txt|log|html?|xml|eml|msg|jpe?g|png|gif|bmp|tiff?|svg|webp|mp3|wav|mp4|avi|mov|zip|rar|7z";

const SCRIPT = new RegExp(`\\.(${SCRIPTS})[. ]*$`, "i");
const DOUBLE = new RegExp(`\\.(?:${HARMLESS})[\\s_.]*\\.(?:${SCRIPTS}|${PROGRAMS})[. ]*$`, "i");
/** Characters that turn the direction of writing: `gpj.exe` is shown as `exe.jpg`. */
const TURNED = /[\u202a-\u202e\u2066-\u2069]/;
const HIDING_SPACES = new RegExp(`\\s{8,}\\.(?:${SCRIPTS}|${PROGRAMS})[. ]*$`, "i");

export function isScriptName(name: string): boolean {
  return SCRIPT.test(name);
}

/** `invoice.pdf.exe`, and other ways to look harmless. */
export function isDisguised(name: string): boolean {
  return DOUBLE.test(name) || TURNED.test(name) || HIDING_SPACES.test(name);
}

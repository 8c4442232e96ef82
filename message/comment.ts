/** Comments of structured fields (RFC 5322 3.2.2), which may hold others and quoted pairs. */

/** `instead` stands where comments were; quoted strings are not looked into (the callers cut them off first). */
export function withoutComments(text: string, instead: "" | " "): string {
  if (!text.includes("(")) return text;
  let depth = 0;
  let result = "";
  for (let i = 0; i < text.length; i++) {
    const character = text[i]!;
    if (depth > 0 && character === "\\") i++;
    else if (character === "(") depth++;
    else if (character === ")" && depth > 0) {
      depth--;
      if (depth === 0) result += instead;
    } else if (depth === 0) result += character;
  }
  return result;
}

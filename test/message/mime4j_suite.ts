/** Reads the trees of Apache Mime4j's suite: XML of one shape, whose texts are octets of the message (latin1). */

/** What a part of the message should be. */
export interface ExpectedPart {
  /** Whole fields without the line end of their last line. */
  readonly fields: readonly string[];
  /** Name of the file with the decoded octets; null where the part holds others. */
  readonly file: string | null;
  /** Of message/rfc822. */
  readonly message: ExpectedPart | null;
  readonly multipart: ExpectedMultipart | null;
}

export interface ExpectedMultipart {
  readonly preamble: string;
  readonly parts: readonly ExpectedPart[];
  readonly epilogue: string;
}

interface Element {
  readonly name: string;
  /** The attribute `name`. */
  readonly file: string | null;
  readonly children: Element[];
  text: string;
}

const TAG = /<(\/?)([a-z-]+)(?: name="([^"]*)")?(\/?)>(?:\r\n)?/g;

export function expectedMessage(xml: string): ExpectedPart {
  return expectedPart(document(xml));
}

/** The first element, with the line end behind each tag taken away. */
function document(xml: string): Element {
  const root: Element = { name: "", file: null, children: [], text: "" };
  const open = [root];
  let at = 0;
  for (const tag of xml.matchAll(TAG)) {
    const [whole, closing, name = "", file, alone] = tag;
    open.at(-1)!.text += unescaped(xml.slice(at, tag.index));
    at = tag.index + whole.length;
    if (closing === "/") open.pop();
    else {
      const element: Element = { name, file: file ?? null, children: [], text: "" };
      open.at(-1)!.children.push(element);
      if (alone === "") open.push(element);
    }
  }
  return root.children[0]!;
}

function unescaped(text: string): string {
  return text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&quot;", '"').replaceAll(
    "&amp;",
    "&",
  );
}

function expectedPart({ children }: Element): ExpectedPart {
  const [header, content] = children;
  const inner = content!;
  return {
    fields: header!.children.map(({ text }) => text),
    file: inner.name.endsWith("-body") ? inner.file : null,
    message: inner.name === "message" ? expectedPart(inner) : null,
    multipart: inner.name === "multipart"
      ? {
        preamble: inner.children.find(({ name }) => name === "preamble")?.text ?? "",
        parts: inner.children.filter(({ name }) => name === "body-part").map(expectedPart),
        epilogue: inner.children.find(({ name }) => name === "epilogue")?.text ?? "",
      }
      : null,
  };
}

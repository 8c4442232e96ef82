/** body (RFC 5173): the text of a message, of its parts by type, or as it came. */
import { has, tagTexts, type TestSpec, textsAt } from "../grammar.ts";
import { MATCH_TAGS, matcherOf } from "../match.ts";
import { everyPart, type PartView } from "../message_view.ts";

export const body: TestSpec = {
  extensions: ["body"],
  tags: {
    ...MATCH_TAGS,
    raw: { group: "transform" },
    text: { group: "transform" },
    content: { group: "transform", value: "strings" },
  },
  positional: ["strings"],
  compile(call) {
    const raw = has(call, "raw");
    const types = tagTexts(call, "content");
    call.place.needBody();
    const matches = matcherOf(call, textsAt(call, 0));
    return {
      holds: (run) => {
        // 6.: match variables are not set by body.
        const { matched, message } = run;
        const values = raw
          ? [message.rawBody()]
          : types !== null
          ? contents(message.root, types.map((type) => type.expand(run).toLowerCase()))
          : texts(message.root);
        run.spend(values.length);
        const found = matches(run, values);
        run.matched = matched;
        return found;
      },
    };
  },
};

/** 5.3: what can be read, without marks of HTML. */
function texts(root: PartView): string[] {
  const values: string[] = [];
  for (const part of everyPart(root)) {
    if (part.type === "text") values.push(part.plain());
  }
  return values;
}

/** 5.2: "" is all, "text" a type with any subtype. */
function contents(root: PartView, types: readonly string[]): string[] {
  const values: string[] = [];
  for (const part of everyPart(root)) {
    const wanted = types.some((type) =>
      type === "" || type === part.type || type === `${part.type}/${part.subtype}`
    );
    if (wanted) values.push(part.text());
  }
  return values;
}

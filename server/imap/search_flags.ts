/** SEARCH by system flags alone, as UNSEEN FLAGGED: one comparison a message. Hot. */
import type { SearchKey } from "../../protocols/imap/search_program.ts";
import type { FlagMask } from "../../storage/mailbox_index.ts";
import type { Selected } from "./context.ts";
import type { Hits } from "./hits.ts";

/** Messages of a mailbox for whose hits memory is taken at once: growing takes longer than looking for them. */
const SMALL = 1_000;

/** Null for a key that asks for more than system flags, or cannot be said so. */
export function flagMask(key: SearchKey): FlagMask | null {
  switch (key.kind) {
    case "all":
      return { mask: 0, value: 0 };
    case "flag":
      return { mask: key.flags, value: key.flags };
    case "not": {
      const of = flagMask(key.key);
      const single = of !== null && of.mask !== 0 && (of.mask & (of.mask - 1)) === 0;
      return single ? { mask: of.mask, value: of.mask ^ of.value } : null;
    }
    case "and": {
      let mask = 0, value = 0;
      for (const part of key.keys) {
        const of = flagMask(part);
        if (of === null || (value & of.mask) !== (of.value & mask)) return null;
        mask |= of.mask;
        value |= of.value;
      }
      return { mask, value };
    }
    default:
      return null;
  }
}

/** All messages at once: where none is found a million take a millisecond. */
export function byFlags(
  { selected: { view, index }, hits }: { readonly selected: Selected; readonly hits: Hits },
  flags: FlagMask,
): void {
  if (flags.mask === 0 || view.exists <= SMALL) hits.reserve(view.exists);
  index.eachWithFlags(flags, view.exists, (position) => hits.push(position + 1, index.uidAt(position)));
}

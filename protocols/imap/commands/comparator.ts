/** COMPARATOR (RFC 5255 4.7). Pure. Limit: {@linkcode MAX_ORDERS} arguments. */
import { SP } from "../../../bytes/ascii.ts";
import type { Command } from "../command.ts";
import { isCollationOrder } from "../comparator.ts";
import { astring, type CommandCursor } from "../lexer.ts";

const MAX_ORDERS = 16;

export function parseComparator(cursor: CommandCursor): Command {
  const orders: string[] = [];
  while (cursor.ok && cursor.take(SP)) {
    const { at } = cursor;
    const order = astring(cursor, "a comparator");
    if (cursor.ok && (!isCollationOrder(order) || orders.length >= MAX_ORDERS)) {
      cursor.at = at;
      cursor.fail(orders.length >= MAX_ORDERS ? `at most ${MAX_ORDERS} comparators` : "a comparator");
    }
    orders.push(order);
  }
  return { name: "COMPARATOR", orders };
}

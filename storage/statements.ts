/** Prepared statements of a reading connection, made at first use and kept. */
import type { Connection, RawStatement } from "./libsql.ts";

export class Statements {
  #connection: Connection;
  #known = new Map<string, RawStatement>();

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  rows(sql: string): RawStatement {
    let statement = this.#known.get(sql);
    if (statement === undefined) this.#known.set(sql, statement = this.#connection.prepare(sql).raw());
    return statement;
  }
}

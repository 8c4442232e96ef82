/** For `deno run -A npm:drizzle-kit generate`: see docs/decisions/002-strict-tables.md. */
export default { dialect: "sqlite", schema: "./storage/schema.ts", out: "./storage/migrations" };

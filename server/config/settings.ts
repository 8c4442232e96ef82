/**
 * The settings in force, as the operator writes them: each key of the file with what it says, or its default.
 *
 * A reload changes the keys that need no restart (restart_keys.ts); the others stay as they were read at the start.
 */
import { z } from "zod";
import { AT_START_KEYS, RELOADED_KEYS } from "./restart_keys.ts";
import { configSchema } from "./schema.ts";
import { docOf, unwrap } from "./walk.ts";

export interface Setting {
  /** As in `limits.message_size`. */
  readonly key: string;
  /** As the file would say it; null where it says nothing and there is no default. */
  readonly value: unknown;
  /** The file says so. */
  readonly set: boolean;
  readonly about: string;
}

type Keys = Readonly<Record<string, unknown>>;

export class SettingsInForce {
  #written: Keys;
  #read: Keys;

  /** `written` is what the file holds. */
  constructor(written: unknown) {
    this.#written = this.#read = keysOf(written);
  }

  /** The file was read again; {@linkcode takeOver} when the server has taken it. */
  read(written: unknown): void {
    this.#read = keysOf(written);
  }

  takeOver(): void {
    const next: Record<string, unknown> = { ...this.#written };
    for (const key of RELOADED_KEYS) next[key] = this.#read[key];
    for (const path of AT_START_KEYS) {
      const [key = "", part = ""] = path.split(".");
      const kept = keysOf(this.#written[key])[part];
      const { [part]: _, ...others } = keysOf(next[key]);
      next[key] = kept === undefined ? others : { ...others, [part]: kept };
    }
    this.#written = next;
  }

  list(): Setting[] {
    return [...settingsOf(configSchema, { key: "", written: this.#written })];
  }
}

function* settingsOf(
  schema: z.ZodType,
  { key, written }: { readonly key: string; readonly written: unknown },
): Iterable<Setting> {
  const { type, fallback } = unwrap(schema);
  if (type instanceof z.ZodObject) {
    for (const [name, child] of Object.entries(type.shape as Record<string, z.ZodType>)) {
      yield* settingsOf(child, { key: key === "" ? name : `${key}.${name}`, written: keysOf(written)[name] });
    }
    return;
  }
  const set = written !== undefined;
  yield { key, value: set ? written : fallback ?? null, set, about: docOf(schema)?.doc ?? "" };
}

function keysOf(written: unknown): Keys {
  return typeof written === "object" && written !== null && !Array.isArray(written) ? written as Keys : {};
}

/** Time and waiting for what is sent: the system's. */
import type { Timers } from "../delivery/connector.ts";

export const DENO_TIMERS: Timers = {
  now: Date.now,
  after(ms, callback) {
    const id = setTimeout(callback, ms);
    return () => clearTimeout(id);
  },
};

/** Calls of the C library that the runtime has no operation for. Linux with glibc, and with permission for foreign calls. */

const SYMBOLS = {
  close: { parameters: ["i32"], result: "i32" },
  dup: { parameters: ["i32"], result: "i32" },
  recv: { parameters: ["i32", "buffer", "usize", "i32"], result: "isize" },
  sched_yield: { parameters: [], result: "i32" },
  send: { parameters: ["i32", "buffer", "usize", "i32"], result: "isize" },
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  getsockopt: { parameters: ["i32", "i32", "i32", "buffer", "buffer"], result: "i32" },
  malloc_trim: { parameters: ["usize"], result: "i32" },
  getpeername: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
} as const;

export type Libc = Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];

/** `problem`: why there is none. */
export const { libc, problem } = open();

function open(): { readonly libc: Libc | null; readonly problem: string } {
  if (Deno.build.os !== "linux") return { libc: null, problem: `not on ${Deno.build.os}` };
  try {
    return { libc: Deno.dlopen("libc.so.6", SYMBOLS).symbols, problem: "" };
  } catch (error) {
    return { libc: null, problem: error instanceof Error ? error.message : String(error) };
  }
}

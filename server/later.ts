/**
 * Imports a module when it is needed, and not a moment earlier.
 *
 * The runtime foresees `import("./x.ts")`: at the start it finds, reads and analyses x.ts and everything x.ts imports,
 * whether that line is ever reached or not. An address made at run time is not foreseen. compile.ts finds the modules
 * by the type that stands at each call, and puts them into the executable.
 */
export async function later<Module>(address: URL): Promise<Module> {
  return await import(address.href) as Module;
}

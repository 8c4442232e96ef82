/** How the process ends, for scripts and supervisors. The larger numbers are those of sysexits.h. */
export const EXIT = {
  ok: 0,
  /** The command was understood and refused, or it failed. */
  failed: 1,
  /** Arguments that make no sense. */
  usage: 2,
  /** `verify` found something, `salvage` could not read something. */
  found: 3,
  /** The data folder is in use, or no server answers. */
  unavailable: 69,
  /** A fault of ours, as the death of the writer: a supervisor starts it again. */
  fault: 70,
  /** It could not start: a port, a user, a folder. */
  cannotStart: 71,
  /** The configuration is not valid; starting again does not help. */
  config: 78,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

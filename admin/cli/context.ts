/** What the command line is given by the program around it, and how a command ends when it fails. */
import type { EXIT } from "../../server/exit_codes.ts";

export interface CliContext {
  readonly version: string;
  /** Says which server is meant where nothing else does, when it is there. */
  readonly defaultConfigFile: string;
  /** The data folder of `start`, where neither says anything. */
  readonly defaultData: string;
  /** The data folder that a configuration file names; throws with its faults. */
  dataOf(configFile: string): Promise<string>;
  /** Starts this command again as another user. */
  becomeOwner(ids: { readonly uid: number; readonly gid: number }): Promise<never>;
}

/** The command ends with this; the message is for the operator. */
export class CliFailure extends Error {
  override readonly name = "CliFailure";
  readonly exit: keyof typeof EXIT;
  /** The problem of the API, for `--json`. */
  readonly problem: unknown;

  constructor(message: string, options: { exit?: keyof typeof EXIT; problem?: unknown } = {}) {
    super(message);
    this.exit = options.exit ?? "failed";
    this.problem = options.problem ?? null;
  }
}

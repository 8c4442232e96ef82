/** The command line on one data folder, as its tests type it. */
import assert from "node:assert/strict";
import { veredus } from "./veredus.ts";

/** Commands on one data folder. */
export class Shell {
  readonly data: string;

  constructor(data: string) {
    this.data = data;
  }

  run(line: string, stdin?: string) {
    const args = [...line.split(" "), "--data", this.data];
    return veredus(args, stdin === undefined ? {} : { stdin });
  }

  /** Standard output of a command that must succeed. */
  async ok(line: string, stdin?: string): Promise<string> {
    const { code, stdout, stderr } = await this.run(line, stdin);
    assert.equal(code, 0, `${line}: ${stderr}`);
    return stdout;
  }

  // deno-lint-ignore no-explicit-any -- the tests say what they expect of it
  async json(line: string, stdin?: string): Promise<any> {
    return JSON.parse(await this.ok(`${line} --json`, stdin));
  }

  /** Code and words of a command that must fail. */
  async fails(line: string, stdin?: string): Promise<[number, string]> {
    const { code, stderr } = await this.run(line, stdin);
    assert.notEqual(code, 0, line);
    return [code, stderr.trim()];
  }
}

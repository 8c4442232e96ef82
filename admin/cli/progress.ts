/** A bar on a terminal for work that takes long; nothing elsewhere. */

export interface Progress {
  readonly done: number;
  readonly total: number;
}

export interface ProgressBar {
  update(progress: Progress): void;
  stop(): void;
}

export async function progressBar(what: string): Promise<ProgressBar> {
  if (!Deno.stderr.isTerminal()) return { update: () => {}, stop: () => {} };
  const { default: cliProgress } = await import("cli-progress");
  const bar = new cliProgress.SingleBar({
    format: `${what} {bar} {percentage}% | {eta_formatted} left`,
    hideCursor: true,
    clearOnComplete: true,
  }, cliProgress.Presets.shades_classic);
  let started = false;
  return {
    update({ done, total }) {
      if (!started) bar.start(total, done);
      else {
        bar.setTotal(total);
        bar.update(done);
      }
      started = true;
    },
    stop() {
      if (started) bar.stop();
    },
  };
}

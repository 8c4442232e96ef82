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
    formatTime: timeLeft,
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

/** Seconds in words; the bar says "INF" or "NULL" while nothing tells how fast it goes. */
export function timeLeft(seconds: number | string): string {
  if (typeof seconds !== "number") return "?";
  const rounded = seconds < 60 ? seconds : 5 * Math.round(seconds / 5);
  const parts: [number, string][] = [
    [Math.floor(rounded / 3_600), "h"],
    [Math.floor(rounded / 60) % 60, "m"],
    [rounded % 60, "s"],
  ];
  const first = parts.findIndex(([count]) => count > 0);
  return first < 0 ? "0s" : parts.slice(first, first + 2).map(([count, unit]) => `${count}${unit}`).join(" ");
}

/** The curve of the comparison: spam caught against messages learnt, a line for each filter, as SVG that needs nothing else. */
import { type Catch, type Step, STEPS } from "./contest.ts";

const WIDTH = 640, HEIGHT = 400, LEFT = 60, RIGHT = 110, TOP = 56, BOTTOM = 50;
const COLOURS = ["#159", "#c33", "#393", "#a6a"];

export function curve(results: ReadonlyMap<string, ReadonlyMap<Step, Catch>>, note: string): string {
  const across = (index: number) => LEFT + index / (STEPS.length - 1) * (WIDTH - LEFT - RIGHT);
  const up = (share: number) => round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM));
  const text = (x: number, y: number, words: string, more = "") =>
    `<text x="${round(x)}" y="${round(y)}"${more}>${words}</text>`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${HEIGHT}" viewBox="0 0 ${WIDTH} ${HEIGHT}"` +
    ` font-family="sans-serif" font-size="12" fill="#222">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    text(LEFT, 22, "Spam caught at 0.1 % false positives", ` font-size="15" font-weight="bold"`),
    text(LEFT, 40, note, ` fill="#666"`),
    ...[0, 0.2, 0.4, 0.6, 0.8, 1].flatMap((share) => [
      `<path d="M${LEFT} ${up(share)}H${WIDTH - RIGHT}" stroke="#e4e4e4"/>`,
      text(LEFT - 8, up(share) + 4, `${share * 100} %`, ` text-anchor="end"`),
    ]),
    ...STEPS.map((step, i) =>
      text(across(i), up(0) + 18, step.toLocaleString("en-US"), ` text-anchor="middle"`)
    ),
    ...[...results].flatMap(([name, of], number) => {
      const colour = COLOURS[number % COLOURS.length];
      const points = STEPS.map((step, i) => [round(across(i)), up(of.get(step)!.caught)] as const);
      const [, lastY] = points.at(-1)!;
      return [
        `<polyline fill="none" stroke="${colour}" stroke-width="2" points="${
          points.map((point) => point.join(",")).join(" ")
        }"/>`,
        ...points.map(([x, y]) => `<circle cx="${x}" cy="${y}" r="3.5" fill="${colour}"/>`),
        text(WIDTH - RIGHT + 8, lastY + 4 + number * 11 - 11, name, ` fill="${colour}"`),
      ];
    }),
    text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, "messages learnt", ` text-anchor="middle"`),
    "</svg>",
    "",
  ].join("\n");
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

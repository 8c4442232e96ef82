/** A chart of points and the straight line through them, as SVG that needs nothing else. */
import { lineThrough, type Point } from "./line.ts";

export interface Chart {
  /** Of its file, without .svg. */
  readonly name: string;
  readonly title: string;
  readonly x: string;
  readonly y: string;
  readonly points: readonly Point[];
  /** Below the title: when and on what. */
  readonly note: string;
}

const WIDTH = 640, HEIGHT = 400;
const LEFT = 70, RIGHT = 20, TOP = 56, BOTTOM = 50;
const STEPS = [1, 2, 2.5, 5, 10];

export function svg(chart: Chart): string {
  const { points } = chart;
  const across = axis(Math.max(...points.map(({ x }) => x)));
  const up = axis(Math.max(...points.map(({ y }) => y)));
  const at = (x: number) => round(LEFT + x / across.end * (WIDTH - LEFT - RIGHT));
  const of = (y: number) => round(HEIGHT - BOTTOM - y / up.end * (HEIGHT - TOP - BOTTOM));
  const { base, slope } = lineThrough(points);
  const from = Math.max(0, -base / slope), to = across.end;
  const top = Math.min(to, slope > 0 ? (up.end - base) / slope : to);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${HEIGHT}" viewBox="0 0 ${WIDTH} ${HEIGHT}"` +
    ` font-family="sans-serif" font-size="12" fill="#222">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    text({ x: LEFT, y: 22, words: chart.title, more: ` font-size="15" font-weight="bold"` }),
    text({ x: LEFT, y: 40, words: chart.note, more: ` fill="#666"` }),
    ...across.ticks.flatMap((x) => [
      `<path d="M${at(x)} ${of(0)}V${TOP}" stroke="#e4e4e4"/>`,
      text({ x: at(x), y: of(0) + 18, words: label(x), more: ` text-anchor="middle"` }),
    ]),
    ...up.ticks.flatMap((y) => [
      `<path d="M${LEFT} ${of(y)}H${WIDTH - RIGHT}" stroke="#e4e4e4"/>`,
      text({ x: LEFT - 8, y: of(y) + 4, words: label(y), more: ` text-anchor="end"` }),
    ]),
    `<path d="M${LEFT} ${TOP}V${of(0)}H${WIDTH - RIGHT}" fill="none" stroke="#222"/>`,
    `<path d="M${at(from)} ${of(base + slope * from)}L${at(top)} ${of(base + slope * top)}" stroke="#c33"` +
    ` stroke-dasharray="5 4"/>`,
    ...points.map(({ x, y }) => `<circle cx="${at(x)}" cy="${of(y)}" r="4" fill="#159"/>`),
    text({ x: (LEFT + WIDTH - RIGHT) / 2, y: HEIGHT - 10, words: chart.x, more: ` text-anchor="middle"` }),
    text({
      x: 18,
      y: (TOP + HEIGHT - BOTTOM) / 2,
      words: chart.y,
      more: ` text-anchor="middle" transform="rotate(-90 18 ${(TOP + HEIGHT - BOTTOM) / 2})"`,
    }),
    "</svg>",
    "",
  ].join("\n");
}

/** From nought to the first round number past the highest, with about five steps. */
function axis(highest: number): { readonly end: number; readonly ticks: readonly number[] } {
  const power = 10 ** Math.floor(Math.log10(highest / 5));
  const step = (STEPS.find((factor) => factor * power >= highest / 5) ?? 10) * power;
  const count = Math.max(1, Math.ceil(highest / step - 1e-9));
  return { end: count * step, ticks: Array.from({ length: count + 1 }, (_, i) => i * step) };
}

function text({ x, y, words, more }: { x: number; y: number; words: string; more: string }): string {
  const safe = words.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  return `<text x="${x}" y="${y}"${more}>${safe}</text>`;
}

function label(value: number): string {
  return Number(value.toPrecision(4)).toLocaleString("en-US");
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

// Values over time in; an SVG that needs no library out. It says little, and says it everywhere.

import { s } from "../dom.js";
import { moment, real } from "../format.js";

const WIDE = 960;
const LEFT = 70;
const RIGHT = 8;
const BOTTOM = 20;

function scale(low, high, from, to) {
  const span = high - low || Math.abs(high) || 1;
  return (value) => from + ((value - low) / span) * (to - from);
}

function frame(title, height, times, low, high) {
  const x = scale(times[0], times.at(-1), LEFT, WIDE - RIGHT);
  const y = scale(low, high, height - BOTTOM, 8);
  const steps = [0, 0.25, 0.5, 0.75, 1].map((part) => low + (high - low) * part);
  const ticks = [0, 1, 2, 3, 4].map((part) => times[0] + ((times.at(-1) - times[0]) * part) / 4);
  const marks = [
    ...steps.map((value) => s("path", { class: "grid", d: `M${LEFT} ${y(value).toFixed(1)}H${WIDE - RIGHT}` })),
    ...steps.map((value) => s("text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, real(value))),
    ...ticks.map((time, at) => s("text", { x: x(time), y: height - 4, "text-anchor": at === 0 ? "start" : at === 4 ? "end" : "middle" }, moment(Math.round(time)))),
  ];
  const svg = s("svg", { viewBox: `0 0 ${WIDE} ${height}`, class: "chart", role: "img", "aria-label": title }, marks);
  return { svg, x, y };
}

function extent(values) {
  const known = values.filter((each) => Number.isFinite(each));
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const room = (high - low) * 0.05 || Math.abs(high) * 0.01 || 1;
  return [low - room, high + room];
}

/** A line with its area; `points` are [time in ms, value]. */
export function line(title, points, { height = 180, look = 0 } = {}) {
  const [low, high] = extent(points.map(([, value]) => value));
  const { svg, x, y } = frame(title, height, points.map(([time]) => time), low, high);
  const path = points.map(([time, value], at) => `${at ? "L" : "M"}${x(time).toFixed(1)} ${y(value).toFixed(1)}`).join("");
  const [first, last] = [x(points[0][0]), x(points.at(-1)[0])];
  svg.append(s("path", { class: `area l${look}`, d: `${path}L${last} ${height - BOTTOM}L${first} ${height - BOTTOM}Z` }));
  svg.append(s("path", { class: `line l${look}`, d: path }));
  return svg;
}

/** The newest candles, and gaps behind them; bars as charts/bars.js has them. */
export function candles(title, bars, gaps, interval, { height = 320, most = 240 } = {}) {
  const shown = bars.slice(-most);
  const [low, high] = extent(shown.flatMap((bar) => [bar.low, bar.high]));
  const times = [shown[0].time, shown.at(-1).time + interval];
  const { svg, x, y } = frame(title, height, times, low, high);
  const width = Math.max(1, ((WIDE - LEFT - RIGHT) / ((times[1] - times[0]) / interval)) * 0.65);
  for (const gap of gaps) {
    if (gap.to < times[0] || gap.from > times[1]) continue;
    const [from, to] = [Math.max(times[0], gap.from), Math.min(times[1], Math.max(gap.to, gap.from + interval))];
    svg.append(s("rect", { class: "gapped", x: x(from), y: 8, width: Math.max(2, x(to) - x(from)), height: height - BOTTOM - 8 }, s("title", null, gap.reason)));
  }
  for (const bar of shown) {
    const middle = x(bar.time + interval / 2);
    const [top, bottom] = [y(Math.max(bar.open, bar.close)), y(Math.min(bar.open, bar.close))];
    const body = `M${(middle - width / 2).toFixed(1)} ${top.toFixed(1)}h${width.toFixed(1)}v${Math.max(0.8, bottom - top).toFixed(1)}h${(-width).toFixed(1)}Z`;
    const wick = `M${middle.toFixed(1)} ${y(bar.high).toFixed(1)}V${top.toFixed(1)}M${middle.toFixed(1)} ${bottom.toFixed(1)}V${y(bar.low).toFixed(1)}`;
    svg.append(s("path", { class: bar.close >= bar.open ? "rose" : "fell", d: wick + body }));
  }
  return svg;
}

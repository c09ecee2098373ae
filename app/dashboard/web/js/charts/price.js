// Bars, fills, indicators and gaps in; a chart that moves at most once a frame out.

import { fill, h, shade, soon } from "../dom.js";
import { count, dated, exact, grouped, interval as named, real, round } from "../format.js";
import { GapShade } from "./gaps.js";
import { keys, look, options } from "./library.js";

const PANE = 90; // px of an indicator's pane
const PRICE = 380;
const REDRAW = 500; // ms until bars that came late are put between the others
const ROOMY = 24; // pixels a bar from which marks have words: closer together nobody could read them
const NEAR = 60; // bars left of the view before older ones are asked for
const seconds = (milliseconds) => milliseconds / 1000;

/** A chart of candles with volume, panes of indicators, marks and shaded gaps. */
export class PriceChart {
  /**
   * @param {object} library the chart library
   * @param {import("./bars.js").Bars} bars what is drawn
   * @param {object} facts `{tick, older(), picked(bar)}`: the tick size as text; asks for older bars; a bar was chosen
   */
  constructor(library, bars, facts) {
    Object.assign(this, { library, bars, facts });
    this.legend = h("div.legend", { "aria-hidden": "true" });
    this.names = [];
    this.canvas = h("div.canvas", { role: "application", "aria-roledescription": "chart", "aria-label": "Candles; arrow keys move, plus and minus zoom, End goes to now. The table below has the numbers." });
    this.toNow = h("button.small.to-now", { type: "button", hidden: true, onclick: () => this.now() }, "To now →");
    this.element = h("div.plot", null, this.legend, this.canvas, this.toNow);
    this.dirty = new Map();
    this.lines = new Map();
    this.points = new Map();
    this.fresh = new Map();
    this.spans = [];
    this.fills = new Map();
    this.other = new Map();
    this.made = false;
  }

  /** Build the chart; its element must be in the page. */
  open(strategies) {
    const { createChart, CandlestickSeries, HistogramSeries, createSeriesMarkers } = this.library;
    this.canvas.style.height = `${PRICE}px`;
    this.chart = createChart(this.canvas, options(this.bars.base));
    this.candles = this.chart.addSeries(CandlestickSeries, { ...this.colours(), priceFormat: format(this.facts.tick) });
    this.volume = this.chart.addSeries(HistogramSeries, { priceFormat: { type: "volume" }, priceLineVisible: false, lastValueVisible: false }, 1);
    this.markers = createSeriesMarkers(this.candles, []);
    this.shade = new GapShade();
    this.candles.attachPrimitive(this.shade);
    keys(this.canvas, this.chart);
    this.chart.subscribeCrosshairMove((event) => this.cross(event));
    this.chart.subscribeClick((event) => event.time && this.facts.picked(this.bars.find(event.time * 1000)));
    this.chart.timeScale().subscribeVisibleLogicalRangeChange((range) => this.moved(range));
    this.made = true;
    this.indicators(strategies);
    this.all();
    this.now();
  }

  colours() {
    const [up, down] = [shade("--up"), shade("--down")];
    return { upColor: up, downColor: down, wickUpColor: up, wickDownColor: down, borderUpColor: up, borderDownColor: down };
  }

  /** Draw everything anew, as after loading; never on a tick. */
  all() {
    this.dirty.clear();
    this.last = this.bars.list.at(-1)?.time;
    this.candles.setData(this.bars.list.map((bar) => this.candle(bar)));
    this.volume.setData(this.bars.list.map((bar) => this.column(bar)));
    for (const [key, line] of this.lines) line.setData(this.points.get(key));
    this.fresh.clear();
    this.marks();
    this.shades();
    this.tell(null);
  }

  candle(bar) {
    const data = { time: seconds(bar.time), open: bar.open, high: bar.high, low: bar.low, close: bar.close };
    if (!bar.complete) Object.assign(data, { color: shade("--card"), borderColor: shade("--soft"), wickColor: shade("--soft") });
    return data;
  }

  column(bar) {
    const colour = bar.close >= bar.open ? shade("--up") : shade("--down");
    return { time: seconds(bar.time), value: bar.volume, color: `${colour}80` };
  }

  /** A bar changed: it is drawn with the next frame, however often it changes until then. */
  changed(bar) {
    if (!bar || !this.made) return;
    this.dirty.set(bar.time, bar);
    this.flush ??= () => this.draw();
    soon(this.flush);
  }

  draw() {
    if (!this.made) return;
    if (this.bars.inserted) {
      this.redraw ??= setTimeout(() => {
        this.redraw = null;
        this.bars.inserted = false;
        if (this.made) this.all();
      }, REDRAW);
      return;
    }
    const bars = [...this.dirty.values()].sort((one, two) => one.time - two.time);
    this.dirty.clear();
    if (bars.length > 50) {
      this.all(); // a tab that slept: one redraw instead of many
      return;
    }
    for (const bar of bars) {
      this.candles.update(this.candle(bar), bar.time < this.last);
      this.volume.update(this.column(bar), bar.time < this.last);
      this.last = Math.max(this.last ?? 0, bar.time);
    }
    if (!this.crossed) this.tell(null);
  }

  /** Lay out a pane for each strategy that has indicators; those near the price lie over it. */
  indicators(strategies) {
    if (!this.made) return;
    for (const line of this.lines.values()) this.chart.removeSeries(line);
    this.lines.clear();
    this.points.clear();
    for (let pane = this.chart.panes().length - 1; pane > 1; pane--) this.chart.removePane(pane);
    let pane = 2;
    let colour = 0;
    this.layout = [];
    for (const strategy of strategies) {
      const own = [];
      for (const [name, values] of Object.entries(strategy.values)) {
        const over = this.isPrice(values);
        const key = `${strategy.strategy}/${name}`;
        this.points.set(key, points(strategy.time, values));
        this.lines.set(key, this.line(name, over ? 0 : pane, colour));
        own.push({ key, name, colour: colour % 8, over });
        colour += 1;
      }
      this.layout.push({ strategy: strategy.strategy, pane: own.some((each) => !each.over) ? pane : 0, own });
      if (own.some((each) => !each.over)) pane += 1;
    }
    this.heights(pane);
  }

  line(name, pane, number) {
    const { LineSeries, HistogramSeries } = this.library;
    const colour = shade(`--s${number % 8}`);
    const quiet = { priceLineVisible: false, lastValueVisible: false, priceFormat: { type: "custom", formatter: (value) => real(value), minMove: 1e-12 } };
    if (/hist/i.test(name)) return this.chart.addSeries(HistogramSeries, { ...quiet, color: `${colour}a0` }, pane);
    return this.chart.addSeries(LineSeries, { ...quiet, color: colour, lineWidth: 1.5, lineStyle: number % 2 ? 2 : 0, crosshairMarkerVisible: false }, pane);
  }

  isPrice(values) {
    const known = values.filter((each) => each !== null);
    const close = this.bars.list.at(-1)?.close;
    if (!known.length || !close) return false;
    const middle = known[known.length >> 1];
    return middle > close * 0.5 && middle < close * 1.5;
  }

  heights(panes) {
    this.canvas.style.height = `${PRICE + 70 + Math.max(0, panes - 2) * PANE}px`;
    const all = this.chart.panes();
    all.forEach((pane, at) => pane.setStretchFactor(at === 0 ? PRICE : at === 1 ? 70 : PANE));
    for (const name of this.names) name.element.remove();
    this.names = this.layout.filter((each) => each.pane).map((each) => ({ ...each, element: h("div.pane-name", { "aria-hidden": "true" }) }));
    for (const name of this.names) this.element.append(name.element);
  }

  place() {
    if (!this.made) return;
    const panes = this.chart.panes();
    for (const name of this.names) {
      let top = 2;
      for (let at = 0; at < name.pane; at++) top += panes[at].getHeight() + 1;
      name.element.style.top = `${top}px`;
    }
  }

  /** A live value of a strategy's indicator at a bar. */
  value(strategy, values, time) {
    for (const [name, value] of Object.entries(values)) {
      const key = `${strategy}/${name}`;
      const list = this.points.get(key);
      if (!list || this.bars.behind) continue;
      const point = { time: seconds(time), value };
      if (list.at(-1)?.time > point.time) continue;
      if (list.at(-1)?.time === point.time) list.pop();
      list.push(point);
      if (list.length > 20_000) list.shift();
      if (!this.fresh.has(key)) this.fresh.set(key, []);
      this.fresh.get(key).push(point);
    }
    soon((this.flushValues ??= () => this.drawValues()));
  }

  drawValues() {
    for (const [key, due] of this.fresh) {
      const line = this.lines.get(key);
      if (!line || !this.made) continue;
      if (due.length > 50) line.setData(this.points.get(key));
      else for (const point of due) line.update(point);
    }
    this.fresh.clear();
  }

  /** Older indicator values, in front of those there are. */
  older(strategies) {
    for (const strategy of strategies) {
      for (const [name, values] of Object.entries(strategy.values)) {
        const key = `${strategy.strategy}/${name}`;
        const list = this.points.get(key);
        if (!list) continue;
        const first = list[0]?.time ?? Infinity;
        this.points.set(key, [...points(strategy.time, values).filter((each) => each.time < first), ...list].slice(0, 20_000));
      }
    }
  }

  /** Marks of fills: `{time, side, words, …}` by bar; and of other things. */
  marked(kind, list) {
    (kind === "fills" ? this.fills : this.other).clear();
    for (const each of list) this.mark(kind, each, false);
    soon((this.flushMarks ??= () => this.marks()));
  }

  mark(kind, each, draw = true) {
    const map = kind === "fills" ? this.fills : this.other;
    const time = this.bars.start(each.time);
    const key = `${time}/${each.side ?? each.kind}`;
    const known = map.get(key);
    if (known) known.count += 1;
    else map.set(key, { at: time, count: 1, side: each.side ?? null, kind: each.kind ?? null });
    if (map.size > 3000) map.delete(map.keys().next().value);
    if (draw) soon((this.flushMarks ??= () => this.marks()));
  }

  /** Choose what is marked. */
  show(choice) {
    this.choice = choice;
    if (!this.made) return;
    this.marks();
    this.shades();
  }

  marks() {
    if (!this.made) return;
    const choice = this.choice ?? {};
    const first = this.bars.list[0]?.time ?? 0;
    const list = [];
    if (choice.fills !== false) for (const each of this.fills.values()) list.push(fillMark(each, this.roomy));
    for (const each of this.other.values()) if (choice[each.kind] !== false && (this.roomy || !this.goesOn(each))) list.push(otherMark(each, this.roomy));
    if (choice.revisions !== false) for (const bar of this.bars.list) if (bar.revision) list.push(revisionMark(bar, this.roomy));
    this.markers.setMarkers(list.filter((each) => each.time * 1000 >= first).sort((one, two) => one.time - two.time));
  }

  /** Whether the same was marked at the bar before: of a row of refusals narrow bars show the first. */
  goesOn({ at, kind }) {
    return kind === "refusal" && this.other.has(`${at - this.bars.interval}/${kind}`);
  }

  /** Shade these gaps. */
  gaps(list) {
    this.spans = list;
    this.shades();
  }

  shades() {
    if (!this.made) return;
    const list = this.bars.list;
    const spans = [];
    for (const gap of this.choice?.gaps === false ? [] : [...this.spans].sort((one, two) => one.from - two.from)) {
      const first = nearest(list, gap.from - this.bars.interval + 1);
      const last = nearest(list, gap.to + 1) - 1;
      const before = spans.at(-1);
      // One shade for gaps that meet: several over each other would hide the candles.
      if (before && first <= before.last + 1) before.last = Math.max(before.last, last);
      else if (last >= first) spans.push({ first, last });
    }
    this.shade.show(spans);
  }

  /** Lines at prices: `{price, name, kind}`. */
  levels(list) {
    if (!this.made) return;
    for (const line of this.priceLines ?? []) this.candles.removePriceLine(line);
    this.priceLines = list.map((each) =>
      this.candles.createPriceLine({ price: Number(each.price), title: each.name, color: shade(each.kind === "average" ? "--s3" : "--warn"), lineWidth: 1, lineStyle: each.kind === "average" ? 2 : 3, axisLabelVisible: true }),
    );
  }

  cross(event) {
    const bar = event.time ? this.bars.find(event.time * 1000) : null;
    this.crossed = Boolean(bar);
    this.pending = bar;
    this.flushTell ??= () => this.tell(this.pending);
    soon(this.flushTell);
  }

  /** Write the values of a bar, the newest unless one is pointed at. */
  tell(pointed) {
    const bar = pointed ?? this.bars.list.at(-1);
    if (!bar) return;
    const { open, high, low, close, volume } = bar.text;
    const change = bar.open ? (bar.close - bar.open) / bar.open : 0;
    const way = change > 0 ? "gain" : change < 0 ? "loss" : "";
    fill(
      this.legend,
      h("b", null, `${dated(bar.time)} UTC`, h("span.k", null, ` ${named(this.bars.interval)}`)),
      ...[["O", open], ["H", high], ["L", low], ["C", close]].map(([name, value]) => h("span", null, h("span.k", null, `${name} `), exact(value))),
      h("span", { class: way }, `${change > 0 ? "▲" : change < 0 ? "▼" : "="} ${grouped((change * 100).toFixed(2), true)} %`),
      h("span", null, h("span.k", null, "Vol "), volumeText(volume)),
      h("span", null, h("span.k", null, "Trades "), count(bar.trades)),
      bar.forming ? h("span.k", null, "forming") : null,
      bar.complete ? null : h("span.warn", null, "◇ incomplete: a gap touches it"),
      bar.revision ? h("span.warn", null, `r${bar.revision}: revised by late trades`) : null,
      (this.layout ?? []).flatMap((each) => each.own.filter((one) => one.over).map((one) => this.worth(one, bar))),
    );
    this.place();
    for (const name of this.names) fill(name.element, h("b", null, name.strategy), name.own.filter((one) => !one.over).map((one) => this.worth(one, bar)));
  }

  worth(one, bar) {
    const list = this.points.get(one.key) ?? [];
    const at = newest(list, seconds(bar.time));
    return h(`i.c${one.colour}`, null, `${one.name} ${real(at)}`);
  }

  moved(range) {
    if (!range) return;
    const roomy = this.chart.timeScale().width() / Math.max(range.to - range.from, 1) >= ROOMY;
    if (roomy !== this.roomy) {
      this.roomy = roomy;
      soon((this.flushMarks ??= () => this.marks()));
    }
    this.toNow.hidden = !this.bars.behind && range.to >= this.bars.list.length - 1;
    if (range.from < NEAR && this.bars.more && !this.asking) {
      this.asking = true;
      Promise.resolve(this.facts.older()).finally(() => {
        this.asking = false;
      });
    }
  }

  /** Keep the view where it is while bars were put in front. */
  extended(task) {
    const before = this.bars.list.length;
    const seen = this.chart.timeScale().getVisibleLogicalRange();
    task();
    const added = this.bars.list.length - before;
    this.all();
    if (seen) this.chart.timeScale().setVisibleLogicalRange({ from: seen.from + added, to: seen.to + added });
  }

  /** Show the newest bars. */
  now() {
    if (this.bars.behind) {
      this.facts.newest();
      return;
    }
    const length = this.bars.list.length;
    const wide = Math.max(60, Math.min(length, Math.round(this.canvas.clientWidth / 7)));
    this.chart.timeScale().setVisibleLogicalRange({ from: length - wide, to: length + 4 });
  }

  /** Take on the colours of the theme. */
  theme() {
    if (!this.made) return;
    this.chart.applyOptions(look());
    this.candles.applyOptions(this.colours());
    let number = 0;
    for (const [, line] of this.lines) {
      line.applyOptions({ color: shade(`--s${number % 8}`) });
      number += 1;
    }
    this.all();
  }

  close() {
    this.made = false;
    this.chart?.remove();
  }
}

function points(times, values) {
  return times.map((time, at) => (values[at] === null || values[at] === undefined ? { time: seconds(time) } : { time: seconds(time), value: values[at] }));
}

/** The value at a time or, for a bar that forms, the last before it. */
function newest(list, time) {
  let at = list.length - 1;
  while (at >= 0 && list[at].time > time) at -= 1;
  return list[at]?.value ?? null;
}

/** Position of the first bar at or after a time. */
function nearest(list, time) {
  let [low, high] = [0, list.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list[middle].time < time) low = middle + 1;
    else high = middle;
  }
  return low;
}

function fillMark({ at, count, side }, roomy) {
  const buy = side === "buy";
  const word = buy ? "B" : "S";
  return { time: seconds(at), position: buy ? "belowBar" : "aboveBar", shape: buy ? "arrowUp" : "arrowDown", color: shade(buy ? "--up" : "--down"), text: roomy ? (count > 1 ? `${word}${count}` : word) : "", size: roomy ? 1 : 0.6 };
}

const OTHERS = {
  refusal: ["square", "--bad", ""],
  long: ["circle", "--up", "long"],
  short: ["circle", "--down", "short"],
  flat: ["circle", "--soft", "flat"],
};

function otherMark({ at, kind }, roomy) {
  const [shape, colour, text] = OTHERS[kind] ?? ["circle", "--soft", kind];
  return { time: seconds(at), position: "aboveBar", shape, color: shade(colour), text: roomy ? text : "", size: roomy ? 0.5 : 0.3 };
}

function revisionMark(bar, roomy) {
  return { time: seconds(bar.time), position: "belowBar", shape: "square", color: shade("--s4"), text: roomy ? `r${bar.revision}` : "", size: roomy ? 0.5 : 0.3 };
}

function volumeText(volume) {
  return real(Number(volume));
}

/** How prices are written on the axis: to the tick. */
function format(tick) {
  const places = (/\.(\d*?)0*$/.exec(tick ?? "") ?? [])[1]?.length ?? 2;
  return { type: "custom", minMove: 10 ** -places, formatter: (value) => grouped(round(value.toFixed(Math.min(20, places + 2)), places)) };
}

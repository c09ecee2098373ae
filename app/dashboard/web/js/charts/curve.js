// Equity over time in; a chart of it with its drawdown below out.

import { h, shade, soon } from "../dom.js";
import { dated, grouped, Money, share } from "../format.js";
import { fall } from "../fold.js";
import { keys, library, look, options, plainNote } from "./library.js";
import { line } from "./plain.js";

const MOST = 5000;

/** A chart of an account's equity; live decisions extend it. */
export class Curve {
  constructor(account) {
    this.account = account;
    this.money = new Money(account.quote, account.capital);
    this.canvas = h("div.canvas", { role: "application", "aria-roledescription": "chart", "aria-label": `Equity and drawdown of ${account.account}; arrow keys move, plus and minus zoom` });
    this.legend = h("div.legend", { "aria-hidden": "true" });
    this.element = h("div.plot", null, this.legend, this.canvas);
    this.rows = [];
  }

  /** Show an answer of /api/equity; the element must be in the page. */
  async show(answer) {
    this.rows = answer.rows.map(([time, equity, , , , drawdown]) => ({ time, equity, drawdown: Number(drawdown) }));
    this.peak = this.rows.reduce((peak, row) => (Number(row.equity) > Number(peak) ? row.equity : peak), "0");
    this.bucket = answer.bucket;
    const found = await library();
    if (this.closed) return;
    if (found) this.draw(found);
    else this.plain();
  }

  plain() {
    if (this.rows.length < 2) return;
    const points = (value) => this.rows.map((row) => [row.time, value(row)]);
    this.canvas.replaceChildren(
      line(`Equity, ${this.account.quote}`, points((row) => Number(row.equity))),
      line("Drawdown", points((row) => -row.drawdown), { height: 90, look: 1 }),
      plainNote(),
    );
  }

  draw({ createChart, AreaSeries }) {
    this.canvas.style.height = "250px";
    this.chart = createChart(this.canvas, { ...options(this.bucket), handleScroll: { mouseWheel: false, pressedMouseMove: true }, handleScale: { mouseWheel: false, pinch: true } });
    const places = this.money.places;
    this.equity = this.chart.addSeries(AreaSeries, { lineWidth: 1.5, priceLineVisible: false, priceFormat: { type: "custom", minMove: 10 ** -places, formatter: (value) => grouped(value.toFixed(places)) } });
    this.below = this.chart.addSeries(AreaSeries, { lineWidth: 1, priceLineVisible: false, invertFilledArea: true, priceFormat: { type: "custom", minMove: 1e-6, formatter: (value) => share(value) } }, 1);
    this.chart.panes()[0].setStretchFactor(3);
    this.chart.panes()[1].setStretchFactor(1);
    keys(this.canvas, this.chart);
    this.chart.subscribeCrosshairMove((event) => {
      this.pointed = event.time ? event.time * 1000 : null;
      soon((this.flushTell ??= () => this.tell()));
    });
    this.theme();
    this.equity.setData(this.rows.map((row) => this.point(row)));
    this.below.setData(this.rows.map((row) => this.depth(row)));
    this.drawnTo = this.rows.at(-1)?.time ?? 0;
    this.chart.timeScale().fitContent();
    this.tell();
  }

  point = (row) => ({ time: row.time / 1000, value: Number(row.equity) });
  depth = (row) => ({ time: row.time / 1000, value: -row.drawdown });

  /** A decision was booked: the newest bucket becomes it, or a new one begins. */
  booked(time, equity) {
    if (!this.rows.length || !time || equity === null) return;
    const last = this.rows.at(-1);
    const begin = Math.floor(time / this.bucket) * this.bucket;
    if (begin < last.time) return;
    const fresh = begin > last.time;
    if (Number(equity) > Number(this.peak)) this.peak = equity;
    const row = fresh ? { time: begin, equity, drawdown: 0 } : last;
    row.equity = equity;
    row.drawdown = Math.max(row.drawdown, fall(this.peak, equity));
    if (fresh) this.rows.push(row);
    if (this.rows.length > MOST) this.rows.shift();
    soon((this.flush ??= () => this.extend()));
  }

  extend() {
    if (!this.chart || this.closed) return;
    const rows = this.rows.filter((row) => row.time >= this.drawnTo);
    if (rows.length > 50) {
      // a tab that slept: one redraw instead of many
      this.equity.setData(this.rows.map(this.point));
      this.below.setData(this.rows.map(this.depth));
    } else {
      for (const row of rows) {
        this.equity.update(this.point(row));
        this.below.update(this.depth(row));
      }
    }
    this.drawnTo = this.rows.at(-1).time;
    if (!this.pointed) this.tell();
  }

  tell() {
    if (this.closed) return;
    const row = (this.pointed && this.rows.find((each) => each.time === this.pointed)) || this.rows.at(-1);
    if (!row) return;
    this.legend.replaceChildren(
      h("b", null, dated(row.time)),
      h("span", null, h("span.k", null, "Equity "), `${this.money.text(row.equity)} ${this.account.quote}`),
      h("span", null, h("span.k", null, "Drawdown "), share(row.drawdown)),
    );
  }

  theme() {
    if (!this.chart) return;
    this.chart.applyOptions(look());
    const [line0, line1] = [shade("--s0"), shade("--s1")];
    this.equity.applyOptions({ lineColor: line0, topColor: `${line0}40`, bottomColor: `${line0}05` });
    this.below.applyOptions({ lineColor: line1, topColor: `${line1}10`, bottomColor: `${line1}40` });
  }

  close() {
    this.closed = true;
    this.chart?.remove();
    this.chart = null;
  }
}

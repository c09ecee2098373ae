// Answers of /api/candles, live candles and forming ones in; the bars of one interval out.
//
// Prices become floats only here, to be drawn; what is written out is the text beside them.

const MOST = 20_000;

/** The bars of one instrument at one interval, oldest first, never more than 20,000. */
export class Bars {
  constructor(interval, base) {
    this.interval = interval;
    this.base = base;
    this.list = [];
    this.through = 0;
    this.more = true;
    this.behind = false; // the newest bars were dropped: the view is in the past
  }

  /** Take an answer that is older than everything here, or everything. */
  take(answer, { older = false } = {}) {
    const at = Object.fromEntries(answer.columns.map((name, number) => [name, number]));
    const bars = answer.bars.map((row) => made((name) => row[at[name]]));
    this.more = answer.more;
    if (!older) {
      this.list = bars;
      this.through = answer.through ?? 0;
      this.behind = false;
      return;
    }
    const first = this.list[0]?.time ?? Infinity;
    this.list = [...bars.filter((bar) => bar.time < first), ...this.list];
    if (this.list.length > MOST) {
      this.list.length = MOST;
      this.behind = true;
    }
  }

  /** The start of the bar that holds a time. */
  start(time) {
    const last = this.list.at(-1);
    if (!last) return Math.floor(time / this.interval) * this.interval;
    return last.time + Math.floor((time - last.time) / this.interval) * this.interval;
  }

  /** Fold a closed base candle in; the bar it changed, or null. */
  closed(candle) {
    if (this.behind || candle.close === null) return null;
    if (candle.revision) return this.revised(candle);
    if (candle.time <= this.through) return null;
    this.through = candle.time;
    const begin = candle.time - candle.interval;
    const bar = this.bar(this.start(begin));
    fold(bar.closedPart, candle);
    bar.complete &&= candle.complete;
    bar.closed = candle.time >= bar.time + this.interval;
    settle(bar, null);
    return bar;
  }

  revised(candle) {
    const bar = this.find(this.start(candle.time - candle.interval));
    if (bar) bar.revision = Math.max(bar.revision, candle.revision);
    return bar;
  }

  /** Put the forming base candle on top; the bar it changed, or null. */
  forming(part) {
    if (this.behind || !part || part.close === null || part.end <= this.through) return null;
    const bar = this.bar(this.start(part.time));
    settle(bar, part);
    return bar;
  }

  find(time) {
    for (let at = this.list.length - 1; at >= 0 && this.list[at].time >= time; at--) {
      if (this.list[at].time === time) return this.list[at];
    }
    return null;
  }

  bar(time) {
    const known = this.find(time);
    if (known) return known;
    const bar = { time, closedPart: blank(), complete: true, closed: false, revision: 0, text: {} };
    let place = this.list.length;
    while (place && this.list[place - 1].time > time) place -= 1;
    this.list.splice(place, 0, bar);
    this.inserted ||= place < this.list.length - 1; // a candle that closed after the next one began
    if (this.list.length > MOST) this.list.splice(0, this.list.length - MOST);
    return bar;
  }
}

const blank = () => ({ open: null, high: null, low: null, close: null, volume: 0, trades: 0 });

function made(value) {
  const bar = {
    time: value("time"),
    closedPart: blank(),
    complete: value("complete"),
    closed: value("closed"),
    revision: value("revision"),
    text: {},
  };
  fold(bar.closedPart, { open: value("open"), high: value("high"), low: value("low"), close: value("close"), volume: value("volume"), trades: value("trades") });
  settle(bar, null);
  return bar;
}

/** Extend a part of a bar by what came after it; texts stay texts for who reads them. */
function fold(part, next) {
  part.open ??= next.open;
  if (part.high === null || Number(next.high) > Number(part.high)) part.high = next.high;
  if (part.low === null || Number(next.low) < Number(part.low)) part.low = next.low;
  part.close = next.close;
  part.volume = Number(part.volume) + Number(next.volume);
  part.trades += next.trades ?? 0;
}

function settle(bar, forming) {
  const whole = { ...bar.closedPart };
  if (forming) fold(whole, forming);
  bar.text = whole;
  bar.forming = Boolean(forming) || !bar.closed;
  for (const name of ["open", "high", "low", "close", "volume"]) bar[name] = Number(whole[name]);
  bar.trades = whole.trades;
}

// One instrument: its candles down to the one that forms, and what was seen and done on it.

import { append, fill, h, update } from "../dom.js";
import { ago, count, dated, exact, interval as named, parseInterval, short, time } from "../format.js";
import { live, now } from "../live.js";
import { go, note } from "../router.js";
import { account as chosen, choose, onChoice } from "../parts/choice.js";
import { state } from "../parts/bits.js";
import * as columns from "../parts/columns.js";
import { Listing } from "../parts/listing.js";
import { empty, failure, loading } from "../parts/states.js";
import { Table } from "../parts/table.js";
import { Bars } from "../charts/bars.js";
import { library, plainNote } from "../charts/library.js";
import { candles as plainCandles } from "../charts/plain.js";
import { PriceChart } from "../charts/price.js";

export const title = (key) => (key ? short(key) : "Instruments");

const POINTS = 1000;
const USUAL = [1, 5, 15, 60, 240, 1440].map((minutes) => minutes * 60_000);
const CHOICES = [
  ["fills", "Fills", true],
  ["refusal", "Refusals", true],
  ["views", "Changes of view", false],
  ["gaps", "Gaps", true],
  ["revisions", "Revisions", true],
];
const TABS = [
  ["fills", "Fills"],
  ["signals", "Changes of view"],
  ["refusals", "Refusals"],
  ["gaps", "Gaps"],
  ["revisions", "Revisions"],
  ["candles", "Candles"],
];

export async function open(main, scope, key, query) {
  const known = await scope.get("/api/instruments");
  const all = known.instruments;
  const fact = key ? all.find((each) => each.instrument === key) : (all.find((each) => each.accounts.includes(chosen())) ?? all[0]);
  if (!fact) {
    const more = all.length ? h("span", null, "There are ", all.map((each, at) => [at ? ", " : "", h("a", { href: `/instruments/${each.instrument}` }, short(each.instrument))]), ".") : "No instrument is known: a worker that starts writes what the configuration lists to the topic instruments.";
    append(main, [h("h1", null, "Instrument"), empty(key ? `There is no instrument ${key}` : "No instrument yet", more)]);
    return;
  }
  if (!key) history.replaceState(null, "", `/instruments/${fact.instrument}${location.search}`);
  document.title = `${short(fact.instrument)} · Lockstep`;
  new Page(main, scope, fact, all, query);
}

class Page {
  constructor(main, scope, fact, all, query) {
    Object.assign(this, { scope, fact, name: fact.instrument });
    this.interval = this.wanted(query.get("interval"));
    this.account = fact.accounts.includes(chosen()) ? chosen() : (fact.accounts[0] ?? null);
    if (this.account) choose(this.account);
    this.choice = Object.fromEntries(CHOICES.map(([id, , usual]) => [id, usual]));
    this.price = h("span.price");
    this.plot = h("div");
    this.picked = h("div");
    this.body = h("div", { id: "tab", role: "tabpanel" });
    main.append(
      h("div.page-head", null, h("h1", null, short(this.name)), this.picker(all), this.price),
      h("section.card", { "aria-label": "Chart" }, this.toolbar(), this.plot, this.key(), this.picked),
      h("section.card", null, this.tabbar(), this.body),
    );
    this.follow();
    this.load();
    this.show(TABS.some(([id]) => id === query.get("tab")) ? query.get("tab") : "fills");
  }

  wanted(text) {
    const base = live.session.interval;
    const found = text ? parseInterval(text) : NaN;
    return found >= base && found % base === 0 ? found : base;
  }

  picker(all) {
    const select = h("select", { "aria-label": "Instrument shown", onchange: () => go(`/instruments/${select.value}${location.search}`) }, all.map((each) => h("option", { value: each.instrument, selected: each.instrument === this.name }, each.instrument)));
    return select;
  }

  toolbar() {
    const base = live.session.interval;
    const list = [...new Set([base, ...USUAL.filter((each) => each > base)])];
    this.buttons = list.map((each) => h("button", { type: "button", "aria-pressed": each === this.interval, onclick: () => this.length(each) }, named(each)));
    this.other = h("input", {
      "aria-label": "Another interval, like 7m or 2h",
      placeholder: "e.g. 2h",
      value: list.includes(this.interval) ? "" : named(this.interval),
      "data-tip": `A multiple of ${named(base)} that divides a day, like 2h`,
      onchange: () => this.typed(),
    });
    const toggles = CHOICES.map(([id, words]) => {
      const box = h("input", { type: "checkbox", checked: this.choice[id], onchange: () => this.toggle(id, box.checked) });
      return h("label", null, box, words);
    });
    const account = this.accountPicker();
    return h("div.toolbar", null, h("div.group", { role: "group", "aria-label": "Interval" }, this.buttons, this.other), account, h("div.toggles", { role: "group", "aria-label": "Shown on the chart" }, toggles));
  }

  accountPicker() {
    const names = this.fact.accounts;
    if (names.length < 2) return names.length ? h("span.note", null, `for ${names[0]}`) : h("span.note.warn", null, "no account trades it");
    const select = h("select", { "aria-label": "Account whose marks are shown", onchange: () => choose(select.value) }, names.map((each) => h("option", { value: each, selected: each === this.account }, each)));
    this.scope.end(
      onChoice((name) => {
        if (!names.includes(name) || name === this.account) return;
        this.account = name;
        select.value = name;
        this.load();
        this.show(this.tab);
      }),
    );
    return select;
  }

  typed() {
    const found = this.wanted(this.other.value);
    if (named(found) !== named(parseInterval(this.other.value))) {
      this.other.setCustomValidity(`Must be a multiple of ${named(live.session.interval)}, like 2h.`);
      this.other.reportValidity();
      return;
    }
    this.other.setCustomValidity("");
    this.length(found);
  }

  length(interval) {
    this.interval = interval;
    note({ interval: named(interval) });
    for (const button of this.buttons) button.setAttribute("aria-pressed", button.textContent === named(interval));
    this.load();
  }

  toggle(id, shown) {
    this.choice[id] = shown;
    this.apply();
    if (id === "views" && shown) this.views();
  }

  apply() {
    const { views, ...rest } = this.choice;
    this.chart?.show({ ...rest, long: views, short: views, flat: views, not_ready: views });
    if (!this.chart && this.bars?.list.length) this.plain();
  }

  key() {
    return h(
      "p.key.note",
      null,
      h("span", null, h("span.gain", null, "▲ B"), " bought"),
      h("span", null, h("span.loss", null, "▼ S"), " sold"),
      h("span", null, h("span.bad", null, "■"), " refused or cut"),
      h("span", null, "◇ hollow: incomplete"),
      h("span", null, "shaded: gap"),
      h("span", null, "r1: revised by late trades"),
      h("span", null, "Click a candle for its fills"),
    );
  }

  // ---- loading

  async load() {
    const turn = (this.turn = (this.turn ?? 0) + 1);
    this.chart?.close();
    this.chart = null;
    fill(this.plot, loading("candles"));
    fill(this.picked);
    const base = live.session.interval;
    const question = { instrument: this.name, interval: this.interval, points: POINTS };
    try {
      const [answer, indicators, found] = await Promise.all([this.scope.get("/api/candles", question), this.indicatorsOf(question), library()]);
      if (turn !== this.turn || this.scope.closed) return;
      this.bars = new Bars(this.interval, base);
      this.bars.take(answer);
      this.gaps = answer.gaps;
      this.merge();
      if (this.bars.list.length) this.draw(found, indicators);
      else fill(this.plot, this.nothing());
    } catch (error) {
      if (error.name === "AbortError" || turn !== this.turn) return;
      fill(this.plot, failure(error, () => this.load()));
    }
  }

  async indicatorsOf(question) {
    if (!this.account) return [];
    return (await this.scope.get("/api/indicators", { ...question, account: this.account })).strategies;
  }

  /** Why there is no candle: which of exchange, topic, sink and filter is empty. */
  nothing() {
    const feed = live.status?.feeds?.find((each) => each.instrument === this.name);
    const sink = live.status?.sink;
    const health = live.status?.health;
    if (health?.database?.well === false) return empty("The database is away", "Candles that closed are read from it. What forms now is shown as soon as it comes.");
    if (!feed?.at) return empty("The exchange's side is empty", "No trade of this instrument has come to the topic trades. See whether a worker runs the stage market: `lockstep status`.");
    if (sink?.lag) return empty("The sink is behind", `Trades come, and the database lacks ${count(sink.lag)} records of the topics; candles stand here as it catches up.`);
    return empty("No candle has closed yet", `Trades come; the first candle closes within ${named(live.session.interval)}.`);
  }

  draw(found, indicators) {
    if (!found) {
      this.plain();
      return;
    }
    this.chart = new PriceChart(found, this.bars, { tick: this.fact.tick_size, older: () => this.older(), newest: () => this.load(), picked: (bar) => this.pick(bar) });
    fill(this.plot, this.chart.element);
    this.chart.open(indicators);
    this.apply();
    this.chart.gaps(this.gaps);
    this.marks();
    this.levels();
    if (this.choice.views) this.views();
  }

  plain() {
    if (!this.bars.list.length) return;
    fill(this.plot, plainCandles(`Candles of ${this.name}, ${named(this.interval)}`, this.bars.list, this.choice.gaps ? this.gaps : [], this.interval), plainNote());
  }

  async older() {
    const first = this.bars.list[0];
    if (!first) return;
    const question = { instrument: this.name, interval: this.interval, points: POINTS, to: first.time };
    const turn = this.turn;
    try {
      const [answer, indicators] = await Promise.all([this.scope.get("/api/candles", question), this.indicatorsOf(question)]);
      if (turn !== this.turn || this.scope.closed) return;
      const before = this.bars.list.length;
      this.chart.extended(() => {
        this.bars.take(answer, { older: true });
        this.chart.older(indicators);
      });
      if (this.bars.list.length === before) this.bars.more = false;
      this.gaps = [...answer.gaps, ...this.gaps].slice(0, 5000);
      this.chart.gaps(this.gaps);
      this.marks();
    } catch (error) {
      if (error.name !== "AbortError") this.bars.more = false;
    }
  }

  /** Fills and refusals of the window that is loaded, as marks. */
  async marks() {
    if (!this.account || !this.bars.list.length) return;
    const question = { account: this.account, instrument: this.name, from: this.bars.list[0].time, limit: 1000 };
    const turn = this.turn;
    const found = await Promise.all([this.scope.get("/api/fills", question), this.scope.get("/api/risk-events", { ...question, kind: "refusal" })]).catch(() => null);
    if (!found || turn !== this.turn || this.scope.closed) return;
    const [fills, refusals] = found;
    this.filled = fills.rows;
    this.chart?.marked("fills", [...fills.rows].reverse());
    this.chart?.marked("other", refusals.rows.map((row) => ({ time: row.time - 1, kind: "refusal" })).reverse());
    if (this.choice.views) this.views();
  }

  async views() {
    if (!this.account || !this.chart) return;
    const turn = this.turn;
    const found = await this.scope.get("/api/signals", { account: this.account, instrument: this.name, from: this.bars.list[0].time, changes: "true", limit: 1000 }).catch(() => null);
    if (!found || turn !== this.turn || this.scope.closed) return;
    for (const row of [...found.rows].reverse()) this.chart.mark("other", { time: row.time - 1, kind: row.view });
  }

  /** What is held and what rests, as lines at their prices. */
  async levels() {
    const held = (live.accounts.get(this.account)?.positions ?? []).filter((each) => each.instrument === this.name && each.average);
    const lines = held.map((each) => ({ price: each.average, name: `${each.strategy}, average`, kind: "average" }));
    this.chart?.levels(lines);
    const turn = this.turn;
    const open = await this.scope.get("/api/orders", { account: this.account, instrument: this.name, open: "true", limit: 50 }).catch(() => null);
    if (!open || turn !== this.turn || this.scope.closed) return;
    for (const order of open.rows) {
      for (const kind of ["limit", "stop"]) {
        if (order[`${kind}_price`]) lines.push({ price: order[`${kind}_price`], name: `${order.strategy} ${kind} ${order.side}`, kind });
      }
    }
    this.chart?.levels(lines);
  }

  // ---- live

  follow() {
    const { scope } = this;
    const mine = (item) => item.record.instrument === this.name;
    const own = (item) => mine(item) && item.record.account === this.account;
    const at = ({ topic, partition, offset }) => ({ topic, partition, offset });
    scope.on("candle", (item) => mine(item) && this.closed(item.record));
    scope.on("prices", (changed) => changed.some((each) => each.instrument === this.name) && this.forming());
    scope.on("signal", (item) => {
      if (!own(item)) return;
      const start = this.bars?.start(item.record.time - 1);
      if (start !== undefined) this.chart?.value(item.record.strategy, item.record.indicators, start);
    });
    scope.on("fill", (item) => {
      if (!own(item)) return;
      const row = { ...item.record, ...at(item), name: `${item.record.order_id}/${item.record.part}` };
      if (this.filled && !this.filled.some((each) => each.name === row.name)) {
        this.filled.unshift(row);
        if (this.filled.length > 2000) this.filled.length = 2000;
        this.chart?.mark("fills", row);
      }
      if (this.tab === "fills") this.listing?.fresh(row);
    });
    scope.on("refusal", (item) => {
      if (!own(item)) return;
      this.chart?.mark("other", { time: item.record.time - 1, kind: "refusal" });
      if (this.tab === "refusals") this.listing?.fresh({ ...item.record, kind: "refusal", ...at(item) });
    });
    scope.on("account", () => this.later("levels", 2000, () => this.levels()));
    scope.every(1000, () => this.head());
    const theme = () => this.chart?.theme();
    addEventListener("theme", theme);
    scope.end(() => removeEventListener("theme", theme));
    scope.end(() => this.chart?.close());
    this.head();
  }

  later(name, pause, task) {
    this.timers ??= {};
    this.timers[name] ??= setTimeout(() => {
      this.timers[name] = null;
      if (!this.scope.closed) task();
    }, pause);
  }

  /** Put what was live while the answer was on its way on top of it. */
  merge() {
    for (const record of this.waiting ?? []) this.bars.closed(record);
    this.bars.forming(live.prices.get(this.name)?.forming);
  }

  closed(record) {
    this.waiting = [...(this.waiting ?? []), record].slice(-500);
    const bar = this.bars?.closed(record);
    if (record.revision) this.later("revised", 200, () => this.chart?.marks());
    this.moved(bar);
  }

  forming() {
    const price = live.prices.get(this.name);
    this.moved(this.bars?.forming(price?.forming));
    const known = new Set((this.gaps ?? []).map((each) => each.id));
    const fresh = (price?.gaps ?? []).filter((each) => !known.has(each.id));
    if (fresh.length && this.gaps) {
      this.gaps = [...this.gaps, ...fresh].slice(-5000);
      this.chart?.gaps(this.gaps);
    }
    this.later("head", 250, () => this.head());
  }

  moved(bar) {
    if (!bar) return;
    if (this.chart) this.chart.changed(bar);
    else if (!live.session.charts) this.later("plain", 1000, () => this.plain());
    else if (this.bars.list.length === 1) this.load();
  }

  head() {
    const price = live.prices.get(this.name);
    const age = price?.at ? Math.max(0, now() - price.at) : null;
    const old = age !== null && age > 30_000;
    update(
      this.price,
      h("strong", { class: old ? "none" : null }, exact(price?.price)),
      h("span.note", null, ` ${this.fact.quote} · `, age === null ? "no trade seen yet" : `last trade ${ago(age)}`, price?.time ? [", at ", time(price.time, dated)] : ""),
      old ? [" ", state("warn", "no new trades")] : null,
    );
  }

  // ---- below the chart

  pick(bar) {
    if (!bar) return;
    const end = bar.time + this.interval;
    const fills = (this.filled ?? []).filter((each) => each.time >= bar.time && each.time < end);
    const table = new Table(columns.fills({ withInstrument: false }), { key: (row) => row.name, name: "fills-of-candle", caption: "Fills of the candle", filter: false, dense: true, empty: h("p.note", null, "Nothing was filled in it.") });
    table.show(fills);
    const why = h("a", { href: `/explain?at=${end}&instrument=${encodeURIComponent(this.name)}&account=${encodeURIComponent(this.account ?? "")}` }, "What was decided at its end, and why");
    fill(this.picked, h("h2", { class: "spaced" }, `Candle of ${dated(bar.time)} UTC `, this.account ? h("span.note", null, why) : null), table.element);
  }

  tabbar() {
    this.tabs = h("div.group", { role: "tablist", "aria-label": "Tables" }, TABS.map(([id, words]) => h("button", { type: "button", role: "tab", id: `tab-${id}`, "aria-controls": "tab", onclick: () => this.show(id) }, words)));
    this.tabs.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const at = TABS.findIndex(([id]) => id === this.tab);
      this.show(TABS[(at + step + TABS.length) % TABS.length][0]);
      this.tabs.querySelector(`#tab-${this.tab}`).focus();
    });
    return h("div.toolbar", null, this.tabs);
  }

  show(tab) {
    this.tab = tab;
    note({ tab });
    for (const [id] of TABS) {
      const button = this.tabs.querySelector(`#tab-${id}`);
      button.setAttribute("aria-selected", id === tab);
      button.setAttribute("aria-pressed", id === tab);
      button.tabIndex = id === tab ? 0 : -1;
    }
    this.body.setAttribute("aria-labelledby", `tab-${tab}`);
    this.listing = null;
    if (tab === "candles") this.numbers();
    else this.list(tab);
  }

  list(tab) {
    const own = { instrument: this.name, limit: 100 };
    const mine = { ...own, account: this.account };
    const file = `${tab}-${short(this.name)}`;
    const kinds = {
      fills: ["/api/fills", mine, { columns: columns.fills({ withInstrument: false }), key: (row) => row.name, empty: empty("No fills yet", "A fill is a part of an order that met a trade of the market.") }],
      signals: ["/api/signals", { ...mine, changes: "true" }, { columns: columns.signals(), key: (row) => row.id, empty: empty("No view has changed yet") }],
      refusals: ["/api/risk-events", { ...mine, kind: "refusal" }, { columns: columns.refusals(), key: (row) => row.id, empty: empty("Nothing was refused", "What a limit refuses or cuts stands here.") }],
      gaps: ["/api/gaps", own, { columns: columns.gaps(), key: (row) => row.id, empty: empty("No gap", "Every trade's id follows the one before it.") }],
      revisions: ["/api/revisions", own, { columns: columns.revisions(), key: (row) => row.id, empty: empty("No revision", "No trade came after its candle had closed.") }],
    };
    const [route, parameters, facts] = kinds[tab];
    if (!this.account && parameters.account === null) {
      fill(this.body, empty("No account trades this instrument", "Add it to an account's instruments in the configuration."));
      return;
    }
    this.listing = new Listing(this.scope, route, parameters, { name: file, ...facts });
    fill(this.body, this.listing.element);
  }

  numbers() {
    const number = (key, name) => ({ key, name, number: true, cell: (row) => exact(row.text[key]), value: (row) => row.text[key] });
    const table = new Table(
      [
        { key: "time", name: "Start, UTC", cell: (row) => time(row.time, dated), value: (row) => row.time },
        number("open", "Open"),
        number("high", "High"),
        number("low", "Low"),
        number("close", "Close"),
        { key: "volume", name: "Volume", number: true, cell: (row) => exact(String(row.text.volume)), value: (row) => row.volume },
        { key: "trades", name: "Trades", number: true, cell: (row) => count(row.trades) },
        { key: "complete", name: "State", cell: (row) => (row.forming ? state("quiet", "forming") : row.complete ? "complete" : state("warn", "incomplete")), value: (row) => (row.forming ? "forming" : row.complete ? "complete" : "incomplete") },
      ],
      { key: (row) => row.time, name: `candles-${short(this.name)}`, caption: "The newest candles", empty: empty("No candle yet") },
    );
    const draw = () => table.show((this.bars?.list ?? []).slice(-200).reverse().map(({ time: at, text, trades, volume, forming, complete }) => ({ time: at, text: { ...text }, trades, volume, forming, complete })));
    fill(this.body, table.element);
    draw();
    const repeat = () => {
      if (this.scope.closed || this.tab !== "candles") return;
      draw();
      this.later("numbers", 1000, repeat);
    };
    this.later("numbers", 500, repeat);
  }
}

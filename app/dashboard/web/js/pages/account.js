// One account: what it holds, what it ordered, what came of it, what was refused, and how it did.

import { append, fill, h, update } from "../dom.js";
import { dated, exact, Money, share, short, time, way } from "../format.js";
import { live } from "../live.js";
import { go, note } from "../router.js";
import { account as chosen, choose } from "../parts/choice.js";
import { named, state, tile } from "../parts/bits.js";
import * as columns from "../parts/columns.js";
import { Listing } from "../parts/listing.js";
import { empty, loading } from "../parts/states.js";
import { Table } from "../parts/table.js";
import { Curve } from "../charts/curve.js";
import { fills as fillColumns } from "../parts/columns.js";

export const title = (key) => key ?? "Accounts";

const TABS = [
  ["positions", "Positions"],
  ["orders", "Orders"],
  ["fills", "Fills"],
  ["refusals", "Refusals and halts"],
  ["strategies", "Strategies"],
  ["months", "Months and days"],
];

export async function open(main, scope, key, query) {
  const name = key ?? chosen();
  if (!name || !live.accounts.has(name)) {
    append(main, [h("h1", null, "Account"), empty(name ? `There is no account ${name}` : "No account is configured", "Accounts are named in the configuration, under accounts; a worker that starts writes them to the topics.")]);
    return;
  }
  if (!key) history.replaceState(null, "", `/accounts/${name}${location.search}`);
  document.title = `${name} · Lockstep`;
  choose(name);
  new Page(main, scope, name, query.get("tab") ?? "positions");
}

class Page {
  constructor(main, scope, name, tab) {
    Object.assign(this, { scope, name });
    this.tiles = h("dl.tiles");
    this.chart = h("div.roomful", null, loading("the equity"));
    this.body = h("div", { id: "tab", role: "tabpanel" });
    this.tabs = h("div.group", { role: "tablist", "aria-label": "Parts of the account" }, TABS.map(([id, words]) => h("button", { type: "button", role: "tab", id: `tab-${id}`, "aria-controls": "tab", onclick: () => this.show(id) }, words)));
    this.tabs.addEventListener("keydown", (event) => this.key(event));
    main.append(
      h("div.page-head", null, h("h1", null, name), this.picker(), h("span.note", null, `${this.account.instruments?.map(short).join(", ") ?? ""}`)),
      h("section.card", { "aria-label": "Figures" }, this.tiles, this.chart),
      h("section.card", null, h("div.toolbar", null, this.tabs), this.body),
    );
    this.figures();
    this.equity();
    this.show(TABS.some(([id]) => id === tab) ? tab : "positions");
    scope.on("account", (touched) => (!touched || touched.has(name)) && this.follow());
    const theme = () => this.curve?.theme();
    addEventListener("theme", theme);
    scope.end(() => removeEventListener("theme", theme));
    scope.end(() => this.curve?.close());
    this.live();
  }

  get account() {
    return live.accounts.get(this.name);
  }

  get money() {
    return new Money(this.account.quote, this.account.capital);
  }

  picker() {
    const names = [...live.accounts.keys()];
    if (names.length < 2) return null;
    const select = h("select", { "aria-label": "Account shown", onchange: () => go(`/accounts/${select.value}${location.search}`) }, names.map((each) => h("option", { value: each, selected: each === this.name }, each)));
    return select;
  }

  key(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const at = TABS.findIndex(([id]) => id === this.tab);
    this.show(TABS[(at + step + TABS.length) % TABS.length][0]);
    document.getElementById(`tab-${this.tab}`).focus();
  }

  follow() {
    this.timer ??= setTimeout(() => {
      this.timer = null;
      if (this.scope.closed) return;
      this.figures();
      this.curve?.booked(this.account.time, this.account.equity);
      if (this.tab === "positions") this.table?.show(this.held());
    }, 250);
  }

  figures() {
    const { account, money } = this;
    const profit = account.equity === null || account.equity === undefined ? null : Number(account.equity) / Number(account.capital) - 1;
    update(this.tiles, [
      tile("equity", money.cell(account.equity), `${account.quote}, from ${money.text(account.capital)}`),
      tile("profit", profit === null ? "–" : h("span", { class: way(String(profit)) > 0 ? "gain" : "loss" }, share(profit, true))),
      tile("today", money.change(account.day_profit)),
      tile("realised", money.change(account.realised)),
      tile("unrealised", money.change(account.unrealised)),
      tile("fees", money.cell(account.fees)),
      tile("drawdown", share(account.drawdown), `halts at ${share(account.drawdown_limit)}`),
      tile("cash", money.cell(account.cash)),
    ]);
  }

  /** What the tables know of the account; before its first decision they know nothing of it. */
  async decided(route, parameters, nothing) {
    return this.account.time === null ? nothing : this.scope.get(route, { account: this.name, ...parameters });
  }

  equity() {
    this.scope.into(this.chart, async () => {
      const answer = await this.decided("/api/equity", { points: 1000, from: "2000-01-01T00:00:00Z" }, { rows: [] });
      if (!answer.rows.length) return empty("No equity yet", "The account has made no decision that the database has.");
      this.curve = new Curve(this.account);
      fill(this.chart, this.curve.element);
      await this.curve.show(answer);
    });
  }

  show(tab) {
    this.tab = tab;
    this.listing = this.table = null;
    note({ tab });
    for (const [id] of TABS) {
      const button = document.getElementById(`tab-${id}`) ?? this.tabs.querySelector(`#tab-${id}`);
      button.setAttribute("aria-selected", id === tab);
      button.setAttribute("aria-pressed", id === tab);
      button.tabIndex = id === tab ? 0 : -1;
    }
    this.body.setAttribute("aria-labelledby", `tab-${tab}`);
    this[tab]();
  }

  held() {
    return (this.account.positions ?? []).map((each) => ({ ...each }));
  }

  positions() {
    this.table = new Table(columns.positions(this.name), {
      key: (row) => `${row.strategy}/${row.instrument}`,
      name: `positions-${this.name}`,
      caption: "Positions",
      empty: empty("Nothing is held", "Positions stand here as soon as an order has filled."),
    });
    fill(this.body, this.table.element);
    this.table.show(this.held());
  }

  list(route, parameters, facts) {
    this.listing = new Listing(this.scope, route, { account: this.name, limit: 100, ...parameters }, facts);
    fill(this.body, this.listing.element);
  }

  orders() {
    const openOnly = h("input", { type: "checkbox", onchange: () => load() });
    const place = h("div");
    const load = () => {
      this.listing = new Listing(
        this.scope,
        "/api/orders",
        { account: this.name, limit: 100, open: openOnly.checked ? "true" : null },
        {
          columns: columns.orders(),
          name: `orders-${this.name}`,
          key: (row) => row.order_id,
          empty: empty(openOnly.checked ? "No order is open" : "No orders yet", "An order is made when a strategy's view asks for another position than the one held, and risk lets it through."),
        },
      );
      fill(place, this.listing.element);
    };
    fill(this.body, h("p.toolbar", null, h("label", null, openOnly, "Open ones only")), place);
    load();
  }

  fills() {
    this.list("/api/fills", {}, { columns: fillColumns(), name: `fills-${this.name}`, key: (row) => `${row.order_id}/${row.part}`, empty: empty("No fills yet", "A fill is a part of an order that met a trade of the market.") });
  }

  refusals() {
    const halts = { key: "kind", name: "What", cell: (row) => ({ halted: state("bad", row.flatten ? "flatten" : "halted"), resumed: state("good", "resumed"), refusal: state("warn", Number(row.allowed) ? "cut" : "refused") })[row.kind] };
    const [when, ...rest] = columns.refusals();
    this.list("/api/risk-events", {}, { columns: [when, halts, ...rest], name: `risk-${this.name}`, key: (row) => row.id, empty: empty("Nothing was refused, nothing halted", "What a limit refuses or cuts stands here, with the limit and its numbers.") });
  }

  live() {
    const mine = (item) => item.record.account === this.name;
    const placed = ({ topic, partition, offset }) => ({ topic, partition, offset });
    this.scope.on("fill", (item) => {
      if (mine(item) && this.tab === "fills") this.listing?.fresh({ ...item.record, ...placed(item), name: `${item.record.order_id}/${item.record.part}` });
    });
    this.scope.on("orders", (item) => {
      if (!mine(item) || this.tab !== "orders") return;
      const { orders, ...rest } = item.record;
      for (const order of orders) this.listing?.fresh({ ...rest, ...order, ...placed(item), filled: null, cancelled: null });
    });
    this.scope.on("booked", (item) => {
      if (!mine(item) || this.tab !== "orders") return;
      for (const { order_id, filled, cancelled } of item.record.outcomes) this.listing?.change((row) => row.order_id === order_id, { filled, cancelled });
    });
    for (const kind of ["refusal", "halted", "resumed"]) {
      this.scope.on(kind, (item) => {
        if (mine(item) && this.tab === "refusals") this.listing?.fresh({ ...item.record, kind, ...placed(item) });
      });
    }
  }

  strategies() {
    const place = h("div");
    fill(this.body, place);
    this.scope.into(place, async () => {
      const found = await this.decided("/api/performance", {}, { strategies: [], days: [], months: [], weights: { rows: [] } });
      if (!found.strategies.length) return empty("No strategy has decided yet");
      const { money } = this;
      const cash = (key, signed = true) => ({ key, name: columnsName(key, money), number: true, tip: null, cell: (row) => (signed ? money.change(row[key]) : money.cell(row[key])) });
      const table = new Table(
        [
          { key: "strategy", name: "Strategy", cell: (row) => row.strategy },
          { key: "weight", name: "Weight", number: true, cell: (row) => (row.weight === null ? "–" : share(row.weight)) },
          cash("profit"),
          cash("realised"),
          cash("unrealised"),
          cash("fees", false),
          { key: "fills", name: "Fills", number: true, cell: (row) => exact(String(row.fills ?? "")) },
        ],
        { key: (row) => row.strategy, name: `strategies-${this.name}`, caption: "Strategies", filter: false, empty: empty("No strategy has decided yet") },
      );
      table.show(found.strategies);
      return [h("p.note", null, "Through ", time(found.time, dated), " UTC."), table.element, weights(found.weights)];
    });
  }

  months() {
    const place = h("div");
    fill(this.body, place);
    this.scope.into(place, async () => {
      const found = await this.decided("/api/performance", {}, { strategies: [], days: [], months: [], weights: { rows: [] } });
      if (!found.months.length) return empty("No month yet", "The first decision begins the first month.");
      const { money } = this;
      const days = new Table(
        [
          { key: "day", name: "Day", cell: (row) => row.day },
          { key: "strategy", name: "Strategy", cell: (row) => row.strategy },
          ...["realised", "unrealised", "fees", "profit", "total"].map((key) => ({ key, name: columnsName(key, money), number: true, cell: (row) => (key === "fees" ? money.cell(row[key]) : money.change(row[key])) })),
        ],
        { key: (row) => `${row.day}/${row.strategy}`, name: `days-${this.name}`, caption: "Days by strategy", sort: { key: "day", down: true }, empty: empty("No day yet") },
      );
      days.show(found.days);
      return [h("h2", null, named("month_return", "Monthly returns")), monthGrid(found.months, money), h("h2", { class: "spaced" }, "Days"), days.element];
    });
  }
}

function columnsName(key, money) {
  const words = { profit: "Profit", realised: "Realised", unrealised: "Unrealised", fees: "Fees", total: "In total" };
  return `${words[key]}, ${money.quote}`;
}

function weights({ rows }) {
  const days = [...new Set(rows.map(([day]) => day))].slice(-14);
  if (days.length < 2) return h("p.note", null, "Weights of single days stand here from the second day on.");
  const names = [...new Set(rows.map(([, name]) => name))];
  const found = new Map(rows.map(([day, name, weight]) => [`${day}/${name}`, weight]));
  const head = h("tr", null, h("th", { scope: "col" }, "Weight at the day's end"), days.map((day) => h("th.n", { scope: "col" }, time(day, (at) => dated(at).slice(5, 10)))));
  const lines = names.map((name) => h("tr", null, h("th", { scope: "row" }, name), days.map((day) => h("td.n", null, found.has(`${day}/${name}`) ? share(found.get(`${day}/${name}`)) : "–"))));
  return h("div.scroll", { tabindex: 0 }, h("table.tight", null, h("thead", null, head), h("tbody", null, lines)));
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

function monthGrid(months, money) {
  const years = [...new Set(months.map((each) => each.month.slice(0, 4)))];
  const found = new Map(months.map((each) => [each.month, each]));
  const head = h("tr", null, h("th", { scope: "col" }, "Year"), MONTHS.map((each) => h("th", { scope: "col" }, each)), h("th", { scope: "col" }, "Year"));
  const lines = years.map((year) => {
    const own = months.filter((each) => each.month.startsWith(year));
    const whole = own.reduce((product, each) => product * (1 + Number(each.return ?? 0)), 1) - 1;
    return h("tr", null, h("th", { scope: "row" }, year), MONTHS.map((_, at) => monthCell(found.get(`${year}-${String(at + 1).padStart(2, "0")}`), money)), h("td", null, h("strong", null, share(whole, true))));
  });
  return h("div.scroll", { tabindex: 0 }, h("table.months", null, h("thead", null, head), h("tbody", null, lines)));
}

function monthCell(found, money) {
  if (!found) return h("td.none", null, "");
  const cell = h("td", { class: way(found.return) > 0 ? "up" : way(found.return) < 0 ? "down" : null, "data-tip": `${money.text(found.profit, true)} ${money.quote}: ${money.text(found.begin)} to ${money.text(found.end)}` }, share(found.return, true));
  cell.style.setProperty("--deep", String(Math.min(40, 8 + Math.abs(Number(found.return)) * 400)));
  return cell;
}

// All accounts, all stages, and what happened last, on one page.

import { fill, h, soon, update } from "../dom.js";
import { ago, count, dated, duration, exact, Money, share, short, time } from "../format.js";
import { cause } from "../fold.js";
import { live, now } from "../live.js";
import { account as accountLink, explain, instrument, meter, named, place, state, tile } from "../parts/bits.js";
import { controls } from "../parts/controls.js";
import { empty, loading } from "../parts/states.js";
import { limit } from "../parts/columns.js";
import { Curve } from "../charts/curve.js";

const BEHIND = 120_000;

export const title = () => "Overview";

export async function open(main, scope) {
  const accounts = h("div.cards.two");
  const stages = h("div");
  const feeds = h("div");
  const events = h("div");
  main.append(
    h("h1.sr", null, "Overview"),
    accounts,
    h(
      "div.columns",
      null,
      h("section.card", { "aria-labelledby": "stages" }, h("h2", { id: "stages" }, "Agents"), stages, h("h2", { class: "spaced" }, "Market data"), feeds),
      h("section.card", { "aria-labelledby": "events" }, h("h2", { id: "events" }, "Halts and risk events ", h("span.note", null, "newest first")), events),
    ),
  );
  const cards = [...live.accounts.values()].map((each) => new Card(each, scope));
  fill(accounts, cards.length ? cards.map((each) => each.element) : empty("No accounts", "The configuration names none: see accounts in app.yaml."));
  for (const card of cards) card.load();
  const paint = throttle(() => {
    update(stages, stageTable());
    update(feeds, feedTable());
  });
  const list = throttle(() => update(events, eventList()));
  scope.on("status", paint);
  scope.on("prices", paint);
  scope.on("risk", list);
  scope.on("account", (touched) => {
    for (const card of cards) if (!touched || touched.has(card.name)) card.follow();
  });
  scope.every(1000, () => {
    paint();
    list();
  });
  const theme = () => cards.forEach((card) => card.curve?.theme());
  addEventListener("theme", theme);
  scope.end(() => removeEventListener("theme", theme));
  scope.end(() => cards.forEach((card) => card.close()));
  paint();
  list();
}

/** At most four times a second, and in a frame. */
function throttle(task, pause = 250) {
  let timer = 0;
  return () => {
    timer ||= setTimeout(() => {
      timer = 0;
      soon(task);
    }, pause);
  };
}

class Card {
  constructor(account, scope) {
    this.name = account.account;
    this.scope = scope;
    this.controls = controls(this.name, { large: true });
    this.badge = h("span");
    this.reason = h("p.bad");
    this.tiles = h("dl.tiles");
    this.limits = h("dl.limits");
    this.chart = h("div.roomful", null, loading("the equity"));
    this.positions = h("div");
    this.element = h(
      "section.card",
      { "aria-label": `Account ${this.name}` },
      h("div.card-top", null, h("h2", null, accountLink(this.name)), this.badge, this.controls.element),
      this.reason,
      this.tiles,
      this.limits,
      this.chart,
      this.positions,
    );
    this.follow = throttle(() => this.draw());
    this.draw();
  }

  get account() {
    return live.accounts.get(this.name);
  }

  draw() {
    const account = this.account;
    if (!account || this.scope.closed) return;
    const money = new Money(account.quote, account.capital);
    this.controls.follow();
    this.element.classList.toggle("halted", account.halted === true);
    update(this.badge, badge(account));
    this.reason.hidden = !account.halt;
    if (account.halt) update(this.reason, `${account.flatten ? "Flattening" : "Halted"} since `, time(account.halt.time, dated), ` ${cause(account.halt, live.commands)}`);
    update(this.tiles, tiles(account, money));
    update(this.limits, limits(account, money));
    update(this.positions, held(account, money));
    this.curve?.booked(account.time, account.equity);
  }

  load() {
    this.scope.into(this.chart, async () => {
      const answer = this.account.time === null ? { rows: [] } : await this.scope.get("/api/equity", { account: this.name, points: 600 });
      if (!answer.rows.length) return empty("No equity yet", "The first decision comes one interval after the account's instruments have joined.", live.status?.stages?.some((each) => each.state === "stopped") ? "No worker runs: start one with `faust -A app worker`." : "");
      this.curve = new Curve(this.account);
      fill(this.chart, this.curve.element);
      await this.curve.show(answer);
      this.curve.booked(this.account.time, this.account.equity);
    });
  }

  close() {
    this.curve?.close();
  }
}

function badge(account) {
  if (!account.time) return state("quiet", "no decisions yet");
  if (account.halted) return state("bad", account.flatten ? "halted, flattening" : "halted");
  return state("good", "trading");
}

function tiles(account, money) {
  const part = account.day_profit && Number(account.day_start) ? share(Number(account.day_profit) / Number(account.day_start), true) : null;
  return [
    tile("equity", money.cell(account.equity), account.quote),
    tile("today", money.change(account.day_profit), part),
    tile("realised", money.change(account.realised)),
    tile("unrealised", money.change(account.unrealised)),
    tile("fees", money.cell(account.fees)),
    tile("cash", money.cell(account.cash)),
  ];
}

function limits(account, money) {
  const bar = (key, used, most, words) => h("div", null, h("dt", null, named(key)), h("dd", null, meter(key, used, most, words)));
  return [
    bar("daily_loss", account.daily_loss, account.daily_loss_limit, `${money.text(account.daily_loss)} of ${money.text(account.daily_loss_limit)}`),
    bar("drawdown", account.drawdown, account.drawdown_limit, `${share(account.drawdown)} of ${share(account.drawdown_limit)}`),
    bar("exposure", account.gross_notional, account.gross_notional_limit, `${money.text(account.gross_notional)} of ${money.text(account.gross_notional_limit)}`),
  ];
}

function held(account, money) {
  const positions = account.positions ?? [];
  if (!positions.length) return h("p.note", null, account.time ? "Nothing is held." : "");
  const rows = positions.map((each) =>
    h(
      "tr",
      null,
      h("td", null, instrument(each.instrument)),
      h("td", null, each.strategy),
      h("td.n", null, exact(each.quantity)),
      h("td.n.roomy", null, exact(each.mark)),
      h("td.n", null, money.change(each.unrealised)),
    ),
  );
  const heads = ["Held", "Strategy", "Quantity", "Mark", `Unrealised, ${account.quote}`];
  return h("div.scroll.tall", null, h("table.tight", null, h("thead", null, h("tr", null, heads.map((each, at) => h(at > 1 ? "th.n" : "th", { scope: "col", class: at === 3 ? "roomy" : null }, each)))), h("tbody", null, rows)));
}

const STATES = { running: ["good", "running"], waiting: ["warn", "waiting"], stopped: ["bad", "nobody runs it"], unknown: ["quiet", "unknown"] };

function stageTable() {
  const stages = live.status?.stages ?? [];
  if (!stages.length) return empty("Nothing is known of the agents yet", "Kafka is asked every two seconds; if this stays, see `lockstep status`.");
  const rows = stages.map((stage) => {
    const [kind, word] = STATES[stage.state] ?? STATES.unknown;
    const waits = Object.entries(stage.waiting ?? {});
    const late = stage.behind !== null && stage.behind > BEHIND;
    return h(
      "tr",
      null,
      h("td", null, stage.stage),
      h("td", null, state(kind, word, waits.map(([key, words]) => `${key}: ${words}`).join("\n") || null)),
      h("td.n", null, count(stage.lag)),
      h("td.n", { class: late ? "warn" : null }, stage.behind === null ? "–" : duration(stage.behind)),
      h("td.n", null, stage.last_at ? ago(now() - stage.last_at) : "–"),
      h("td.n", null, stage.through ? time(stage.through, dated) : "–"),
    );
  });
  const heads = [["Agent"], ["State"], ["lag"], ["behind"], ["age"], ["event_time", "Decided, UTC"]];
  const head = heads.map(([key, text], at) => h(at > 1 ? "th.n" : "th", { scope: "col" }, at < 2 ? key : named(key, text)));
  return h("div.scroll.tall", { tabindex: 0, role: "region", "aria-label": "Agents" }, h("table.tight", null, h("thead", null, h("tr", null, head)), h("tbody", null, rows)));
}

function feedTable() {
  const feeds = live.status?.feeds ?? [];
  if (!feeds.length) return empty("No trades yet", "The exchange's side is empty: no trade of any instrument has come to the topic trades since this page's server began to follow. See market in `lockstep status`.");
  const rows = feeds.map((feed) => {
    const price = live.prices.get(feed.instrument) ?? feed;
    const age = price.at ? Math.max(0, now() - price.at) : null;
    const old = age !== null && age > 30_000;
    const words = feed.gap ? state("warn", "gap, being filled", `From trade ${feed.gap.first_id}: ${feed.gap.reason}`) : age === null ? state("quiet", "no trade seen yet") : old ? state("warn", "quiet") : state("good", "flowing");
    return h(
      "tr",
      null,
      h("td", null, instrument(feed.instrument)),
      h("td", null, words),
      h("td.n", null, exact(price.price)),
      h("td.n", null, age === null ? "–" : ago(age)),
      h("td.n", null, price.time ? time(price.time, dated) : "–"),
    );
  });
  const heads = ["Instrument", "Feed", "Last price", "Last trade", "Its time, UTC"];
  return h("div.scroll.tall", { tabindex: 0, role: "region", "aria-label": "Market data" }, h("table.tight", null, h("thead", null, h("tr", null, heads.map((each, at) => h(at > 1 ? "th.n" : "th", { scope: "col" }, each)))), h("tbody", null, rows)));
}

function eventList() {
  if (!live.events.length) return empty("No risk events", "Nothing was refused, and no account was halted. Refusals, halts and resumptions stand here when they come.");
  return h("ol.events", { tabindex: 0, "aria-label": "Risk events" }, live.events.slice(0, 40).map(eventLine));
}

const EVENTS = {
  halted: (event) => state("bad", `${event.account} ${event.flatten ? "flattened" : "halted"}`),
  resumed: (event) => state("good", `${event.account} resumed`),
  refusal: (event) => state("warn", `${event.account}: ${short(event.instrument)} ${Number(event.allowed) ? "cut" : "refused"} by ${limit(event.limit)}`),
};

function eventLine(event) {
  return h("li", null, time(event.time, dated), EVENTS[event.kind]?.(event) ?? event.kind, h("span", null, explain(event.id, "why"), " ", place(event)), h("span.why", null, event.reason));
}

// The kinds of rows that several pages list in; their tables' columns out.

import { h } from "../dom.js";
import { meaning } from "../definitions.js";
import { at, count, exact, Money, real, stamp } from "../format.js";
import { live } from "../live.js";
import { account, explain, instrument, place, side, view } from "./bits.js";

export function money(name) {
  const found = live.accounts.get(name);
  return new Money(found?.quote, found?.capital);
}

const when = (key = "time", name = "Time, UTC") => ({ key, name, cell: (row) => stamp(at(row[key])), value: (row) => at(row[key]) });
const plain = (key, name, tip = null) => ({ key, name, tip, cell: (row) => row[key] ?? "–" });
const number = (key, name, tip = null) => ({ key, name, tip, number: true, cell: (row) => exact(row[key]) });
const on = { key: "instrument", name: "Instrument", cell: (row) => (row.instrument ? instrument(row.instrument) : "–"), value: (row) => row.instrument };
const of = { key: "account", name: "Account", cell: (row) => (row.account ? account(row.account) : "–") };
const way = { key: "side", name: "Side", cell: (row) => side(row.side) };
const where = { key: "offset", name: "Record", spare: true, tip: "Topic, partition and offset of the record", cell: (row) => place(row), value: (row) => `${row.topic}/${row.partition}/${row.offset}` };
const why = (name) => ({ key: "id", name: "Why", cell: (row) => explain(name(row)), value: name });
const reason = { key: "reason", name: "Reason", cell: (row) => h("span.wrap", null, row.reason) };

/** Fills; `show` leaves out what the page is about. */
export function fills({ withAccount = false, withInstrument = true } = {}) {
  return [
    when(),
    withAccount ? of : null,
    withInstrument ? on : null,
    { ...plain("strategy", "Strategy"), spare: true },
    way,
    number("quantity", "Quantity"),
    number("price", "Price", "The trade's price moved by slippage"),
    { ...number("fee", "Fee"), spare: true },
    { ...plain("liquidity", "Liquidity", meaning("liquidity")), spare: true },
    { key: "part", name: "Part", number: true, spare: true, tip: meaning("participation"), cell: (row) => count(row.part) },
    { key: "trade_id", name: "Trade", number: true, spare: true, tip: "The trade that filled it, by the exchange's id", cell: (row) => explain(`trades/${row.instrument}/${row.trade_id}`, String(row.trade_id)) },
    why((row) => row.name ?? `${row.order_id}/${row.part}`),
    where,
  ].filter(Boolean);
}

export function orders({ withInstrument = true } = {}) {
  return [
    when("time", "Decided, UTC"),
    withInstrument ? on : null,
    plain("strategy", "Strategy"),
    way,
    { ...plain("kind", "Kind"), spare: true },
    number("quantity", "Quantity"),
    { key: "limit_price", name: "Limit", number: true, spare: true, cell: (row) => exact(row.limit_price) },
    { key: "stop_price", name: "Stop", number: true, spare: true, cell: (row) => exact(row.stop_price) },
    number("filled", "Filled", meaning("filled")),
    number("cancelled", "Cancelled"),
    why((row) => row.order_id),
    where,
  ].filter(Boolean);
}

const LIMITS = { order_notional: "order notional", position_notional: "position notional", gross_notional: "gross notional", daily_loss: "daily loss", no_price: "no price", no_short: "no short" };
export const limit = (name) => LIMITS[name] ?? name ?? "–";

export function refusals({ withAccount = false } = {}) {
  return [
    when(),
    withAccount ? of : null,
    on,
    plain("strategy", "Strategy"),
    { key: "limit", name: "Limit", tip: "The rule that refused or cut the order", cell: (row) => limit(row.limit) },
    number("wanted", "Wanted", "Base asset; below zero to sell"),
    number("allowed", "Let through"),
    reason,
    why((row) => row.id),
    where,
  ].filter(Boolean);
}

export function positions(name) {
  const own = money(name);
  const quote = own.quote ? `, ${own.quote}` : "";
  const cash = (key, title, signed = false) => ({ key, name: title, number: true, tip: meaning(key), cell: (row) => (signed ? own.change(row[key]) : own.cell(row[key])) });
  return [
    on,
    plain("strategy", "Strategy"),
    { key: "quantity", name: "Quantity", number: true, cell: (row) => h("span", null, row.quantity.startsWith("-") ? "short " : "", exact(row.quantity)) },
    { key: "average", name: "Average", number: true, tip: meaning("average"), cell: (row) => (row.average === null ? "–" : h("data", { value: row.average, "data-tip": row.average }, real(row.average))) },
    { key: "mark", name: "Mark", number: true, tip: meaning("mark"), cell: (row) => exact(row.mark) },
    cash("cost", `Cost${quote}`),
    cash("unrealised", `Unrealised${quote}`, true),
    cash("realised", `Realised${quote}`, true),
    cash("fees", `Fees${quote}`),
  ];
}

export function signals() {
  return [
    when(),
    plain("strategy", "Strategy"),
    { key: "view", name: "View", tip: meaning("view"), cell: (row) => view(row.view) },
    reason,
    why((row) => row.id),
    where,
  ];
}

export function gaps({ withInstrument = false } = {}) {
  return [
    when("from", "From, UTC"),
    when("to", "To, UTC"),
    withInstrument ? on : null,
    { key: "first_id", name: "First trade", number: true, cell: (row) => String(row.first_id) },
    { key: "last_id", name: "Last trade", number: true, tip: "Empty where the end was not known", cell: (row) => (row.last_id === null ? "–" : String(row.last_id)) },
    plain("reason", "Reason"),
    where,
  ].filter(Boolean);
}

export function revisions() {
  return [
    when("time", "Candle's end, UTC"),
    { key: "revision", name: "Revision", number: true, tip: meaning("revision"), cell: (row) => count(row.revision) },
    ...["open", "high", "low", "close", "volume"].map((key) => number(key, key[0].toUpperCase() + key.slice(1))),
    { key: "trades", name: "Trades", number: true, cell: (row) => count(row.trades) },
    why((row) => row.id),
    where,
  ];
}

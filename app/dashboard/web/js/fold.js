// An account as last known and a record of its own in; the account as the record leaves it out.

import { greatest, multiply, subtract, total } from "./decimal.js";

const FOLDS = { portfolio, risk_report: riskReport, halted, resumed };

/** Change an account by a record, in place; whether anything changed. Older records change nothing. */
export function fold(account, item) {
  const change = FOLDS[item.record.type];
  return Boolean(change?.(account, item.record, item));
}

function portfolio(account, record) {
  if (account.time && record.time < account.time) return false;
  const marks = new Map(record.marks.map((mark) => [mark.instrument, mark.price]));
  const positions = record.holdings.map((holding) => position(holding, marks, account));
  Object.assign(account, {
    time: record.time,
    equity: record.equity,
    cash: record.cash,
    realised: total(positions.map((each) => each.realised)),
    unrealised: positions.some((each) => each.unrealised === null) ? null : total(positions.map((each) => each.unrealised)),
    fees: total(positions.map((each) => each.fees)),
    positions: positions.filter((each) => !/^-?[0.]*$/.test(each.quantity)),
  });
  if (account.day_start) account.day_profit = subtract(record.equity, account.day_start);
  return true;
}

function position(holding, marks, account) {
  const known = account.positions?.find((each) => each.instrument === holding.instrument && each.strategy === holding.strategy);
  const mark = marks.get(holding.instrument) ?? known?.mark ?? null;
  const empty = /^-?[0.]*$/.test(holding.quantity);
  const unrealised = empty ? subtract("0", holding.cost) : mark === null ? null : subtract(multiply(holding.quantity, mark), holding.cost);
  const average = empty ? null : same(known, holding) ? known.average : String(Number(holding.cost) / Number(holding.quantity));
  return { ...holding, mark, unrealised, average };
}

function same(known, holding) {
  return known && known.quantity === holding.quantity && known.cost === holding.cost;
}

function riskReport(account, record) {
  if (record.time < (account.time ?? 0)) return false;
  Object.assign(account, {
    day_start: record.day_start,
    peak: record.peak,
    daily_loss: record.daily_loss,
    drawdown: record.drawdown,
    gross_notional: record.gross_notional,
    halted: record.halted,
    day_profit: subtract(record.equity, record.day_start),
    equity: record.equity,
  });
  if (!record.halted) account.halt = null;
  return true;
}

function halted(account, record, item) {
  Object.assign(account, { halted: true, flatten: record.flatten, halt: riskEvent(item) });
  return true;
}

function resumed(account) {
  Object.assign(account, { halted: false, flatten: false, halt: null });
  return true;
}

const KINDS = new Set(["halted", "resumed", "refusal"]);

/** A notice of risk as the lists of the API have it; null for any other record. */
export function riskEvent(item) {
  const { record, topic, partition, offset } = item;
  return KINDS.has(record.type) ? { ...record, kind: record.type, topic, partition, offset } : null;
}

/** Why an account halted: of a command who gave it and why, else the limit and its numbers. */
export function cause(event, commands) {
  const [name] = /^command\/\S+/.exec(event.reason) ?? [];
  const given = name && commands.find((each) => name.endsWith(`/${each.command_id}`));
  return given ? `told by ${given.by}: ${given.reason}` : `by ${event.limit?.replaceAll("_", " ")}: ${event.reason}`;
}

/** The worse of two falls, for a curve's drawdown: (peak - equity) / peak as a number. */
export function fall(peak, equity) {
  const high = greatest(peak, equity);
  return Number(high) ? (Number(high) - Number(equity)) / Number(high) : 0;
}

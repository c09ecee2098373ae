// What each figure means, shown on hover and on the page About.

export const DEFINITIONS = {
  equity: ["Equity", "cash + Σ quantity × mark, at the newest decision time; the mark is the close of the last candle."],
  cash: ["Cash", "capital − Σ bought + Σ sold − fees, at the newest decision time."],
  today: ["Today", "equity − equity at the first decision of the UTC day (or at the last resume)."],
  realised: ["Realised", "Σ over closed quantities of (proceeds − average cost), before fees, since the start."],
  unrealised: ["Unrealised", "Σ (quantity × mark − cost) of what is open."],
  fees: ["Fees", "Σ fee of every booked fill, since the start."],
  profit: ["Profit", "realised + unrealised − fees = equity − capital, to the last digit."],
  exposure: ["Exposure", "Σ |quantity × mark| over all positions; beside it the most that risk allows."],
  drawdown: ["Drawdown", "(peak − equity) / peak; the peak is the highest equity since the start (or the last resume). At its limit the account halts."],
  daily_loss: ["Daily loss", "equity at the start of the UTC day − equity, at least 0. At its limit the account halts."],
  event_time: ["Decided", "The newest decision time: the end of the last candle that the account has acted on. It is the exchange's time, UTC."],
  last_trade: ["Last trade", "How long ago the newest trade of the account's instruments was appended to the log, by the broker's clock."],
  mark: ["Mark", "Close of the instrument's last candle at the decision time."],
  cost: ["Cost", "What is open cost, at its average, in the quote currency."],
  average: ["Average", "cost / quantity: the average price of what is open."],
  lag: ["Lag", "Records that are in the log and that the stage is not done with."],
  behind: ["Behind", "Time of the newest trade less the stage's newest decision time."],
  age: ["Last event", "How long ago the stage's newest record was appended, by the broker's clock."],
  weight: ["Weight", "The strategy's share of the capital that may be invested, as the meta-strategy set it last."],
  filled: ["Filled", "Quantity that traded by the end of the order's life; what is left was cancelled."],
  participation: ["Part", "Counts the order's fills from 1."],
  liquidity: ["Liquidity", "Maker: the order rested. Taker: it did not. Their fees differ."],
  revision: ["Revision", "How often late trades changed the candle after it had closed. Decisions use revision 0."],
  complete: ["Complete", "No gap touches the interval. On an incomplete candle strategies say “not ready” and risk opens nothing."],
  taker: ["Taker buys", "The part of the volume whose taker bought."],
  month_return: ["Return", "profit of the month / equity at its beginning."],
  rate: ["Rate", "Records a second over the last 10 seconds."],
  records: ["Records", "Σ (end − begin) over the partitions: an upper bound where the topic is compacted."],
  view: ["View", "What the strategy thinks of the instrument: long, short, flat, or not ready."],
};

export const label = (key) => DEFINITIONS[key]?.[0] ?? key;
export const meaning = (key) => DEFINITIONS[key]?.[1] ?? null;

// What is known in; the header's tools and the two strips that stand on every page, out.

import { fill, h, soon, update } from "../dom.js";
import { ago, clock, count, dated, Money, share, time } from "../format.js";
import { cause } from "../fold.js";
import { live, now, on } from "../live.js";
import { account as chosen, choose, onChoice } from "./choice.js";
import { named, place, state } from "./bits.js";
import { controls } from "./controls.js";

const STALE = 30_000; // an instrument's trades this old look alive no more
const PAINT = 250; // ms between two paints of figures that change with every decision

let shown = null;

/** Draw the strips and keep them drawn. */
export function strips() {
  let due = 0;
  const paint = () => {
    due ||= setTimeout(() => {
      due = 0;
      soon(draw);
    }, PAINT);
  };
  for (const kind of ["account", "status", "prices", "connection", "proof"]) on(kind, paint);
  onChoice(paint);
  setInterval(paint, 1000);
  draw();
}

function draw() {
  const name = chosen();
  const account = live.accounts.get(name);
  status(account);
  proof();
  trouble();
  title();
}

/** How old the newest trade of an account's instruments is, ms; null where none is known. */
export function tradeAge(account) {
  const at = (account?.instruments ?? []).map((each) => live.prices.get(each)?.at).filter(Boolean);
  return at.length ? Math.max(0, now() - Math.max(...at)) : null;
}

const CONNECTIONS = { connecting: "CONNECTING", lost: "RECONNECTING", paused: "PAUSED" };

/** What the account is doing, as a kind of state and a word. */
export function mode(account) {
  if (live.connection !== "live") return ["warn", CONNECTIONS[live.connection]];
  if (!account?.time) return ["quiet", "NO DECISIONS YET"];
  if (account.halted) return ["bad", account.flatten ? "HALTED, FLATTENING" : "HALTED"];
  const age = tradeAge(account);
  return age === null || age > STALE ? ["warn", "NO NEW TRADES"] : ["good", "LIVE"];
}

function status(account) {
  const strip = document.getElementById("status");
  strip.hidden = !live.session?.authenticated;
  if (!account) {
    update(strip, h("p.note", null, "No account is known: see accounts in the configuration."));
    shown = null;
    return;
  }
  const names = [...live.accounts.keys()].join();
  if (shown?.account !== account.account || shown.names !== names) build(strip, account, names);
  shown.buttons.follow();
  shown.figures.classList.toggle("stale", live.connection === "lost");
  for (const [key, content] of Object.entries(contents(account))) update(shown.cells[key], content);
}

const SPARE = { realised: "wide", fees: "wide", unrealised: "spare", exposure: "spare", last_trade: "spare", event_time: "spare" };

function build(strip, account, names) {
  const cells = {};
  const made = Object.keys(contents(account)).map((key) => {
    cells[key] = h("dd");
    const mode = key === "mode";
    return h("div", { class: mode ? "mode" : (SPARE[key] ?? null) }, h("dt", null, mode ? picker(account) : named(key)), cells[key]);
  });
  const buttons = controls(account.account);
  const figures = h("dl.figures", null, made);
  shown = { account: account.account, names, cells, buttons, figures };
  fill(strip, figures, buttons.element);
}

function contents(account) {
  const money = new Money(account.quote, account.capital);
  const [kind, word] = mode(account);
  const age = tradeAge(account);
  const today = account.day_profit;
  const part = today && Number(account.day_start) ? Number(today) / Number(account.day_start) : null;
  return {
    mode: state(kind, word, account.halt ? cause(account.halt, live.commands) : null),
    equity: [money.cell(account.equity), h("small", null, ` ${account.quote}`)],
    today: [money.change(today), part === null ? null : h("small", null, ` ${share(part, true)}`)],
    realised: money.change(account.realised),
    unrealised: money.change(account.unrealised),
    fees: money.cell(account.fees),
    exposure: [money.cell(account.gross_notional), h("small", null, ` of ${money.text(account.gross_notional_limit)}`)],
    drawdown: [share(account.drawdown), h("small", null, ` of ${share(account.drawdown_limit)}`)],
    event_time: account.time ? [time(account.time, clock), h("small", null, ` ${dated(account.time).slice(0, 10)}`)] : "–",
    last_trade: age === null ? "–" : h("span", { class: age > STALE ? "warn" : null }, ago(age)),
  };
}

function picker(account) {
  const names = [...live.accounts.keys()];
  if (names.length < 2) return h("span", null, account.account);
  const select = h("select", { "aria-label": "Account", onchange: () => choose(select.value) }, names.map((each) => h("option", { value: each, selected: each === account.account }, each)));
  return select;
}

function proof() {
  const strip = document.getElementById("proof");
  strip.hidden = !live.session?.authenticated;
  const found = live.proof;
  strip.className = `proof ${found ? (found.state === "equal" ? "good" : "bad") : "quiet"}`;
  update(strip, found ? proved(found) : [state("quiet", "Replay and live not compared yet."), h("span.note", null, " Run ", h("code", null, "lockstep verify"), ": it replays the whole run from its log and compares every record.")]);
}

function proved(found) {
  if (found.state === "equal") {
    return [
      state("good", "Replay = live"),
      h("span", null, " through ", time(found.through, dated), ` UTC, ${count(found.records)} records compared, none differs`),
      h("span.note", null, " · checked ", time(found.checked_at, (at) => ago(now() - at))),
    ];
  }
  return [
    state("bad", "Replay ≠ live"),
    h("span", null, ` ${count(found.differences)} of ${count(found.records)} records differ`, first(found.first)),
    h("span.note", null, " · stop trusting this run and see ", h("code", null, "lockstep verify")),
  ];
}

function first(found) {
  if (!found) return null;
  if (typeof found === "string") return `; the first: ${found}`;
  const words = found.says ?? found.sentence ?? found.name ?? found.id ?? JSON.stringify(found);
  return ["; the first: ", found.topic ? place(found) : null, ` ${words}`];
}

function trouble() {
  const problems = [];
  const health = live.status?.health;
  if (live.connection === "lost") problems.push(["warn", "The connection to the dashboard was lost; figures are as they were. It is tried again, and nothing will be missed."]);
  if (health?.broker?.well === false) problems.push(["bad", `Kafka: ${health.broker.problem}`]);
  const away = health?.database?.well === false ? health.database.problem : live.problem;
  if (away) problems.push(["warn", `Database: ${away} History waits for it; trading does not.`]);
  const stopped = (live.status?.stages ?? []).filter((each) => each.state === "stopped").map((each) => each.stage);
  if (stopped.length) problems.push(["bad", `Nobody runs ${names(stopped)}: start a worker (faust -A app worker).`]);
  const box = document.getElementById("trouble");
  const sign = JSON.stringify(problems);
  if (box.dataset.sign === sign) return;
  box.dataset.sign = sign;
  fill(box, problems.map(([kind, words]) => h(`p.trouble.${kind}`, null, state(kind, words))));
}

function names(list) {
  return list.length > 3 ? `${list.length} stages (${list.slice(0, 3).join(", ")}, …)` : list.join(", ");
}

function title() {
  const page = document.title.replace(/^HALTED [^·]*· /, "");
  const halted = [...live.accounts.values()].filter((each) => each.halted).map((each) => each.account);
  const wanted = halted.length ? `HALTED ${halted.join(", ")} · ${page}` : page;
  if (document.title !== wanted) document.title = wanted;
}

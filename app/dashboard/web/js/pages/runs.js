// Replays, backtests, verifications and forks: what was run, and parent against fork.

import { append, fill, h } from "../dom.js";
import { at, dated, duration, grouped, share, time } from "../format.js";
import { go } from "../router.js";
import { place, state } from "../parts/bits.js";
import { code, empty, loading } from "../parts/states.js";
import { Listing } from "../parts/listing.js";

export const title = (key) => key ?? "Replays and forks";

export async function open(main, scope, key, query) {
  if (key) return one(main, scope, key, query.get("with"));
  const forks = h("div");
  const chosen = new Set();
  const compare = h("button.small", { type: "button", disabled: true, onclick: () => { const [left, right] = [...chosen]; go(`/runs/${encodeURIComponent(left)}?with=${encodeURIComponent(right)}`); } }, "Compare the two chosen");
  const pick = (row) => h("input", { type: "checkbox", "aria-label": `Choose ${row.replay_id}`, onchange: (event) => { if (event.target.checked) chosen.add(row.replay_id); else chosen.delete(row.replay_id); compare.disabled = chosen.size !== 2; } });
  const list = new Listing(scope, "/api/replays", { limit: 100 }, {
    name: "replays",
    key: (row) => row.replay_id,
    columns: [
      { key: "chosen", name: "", cell: pick, value: () => "" },
      { key: "replay_id", name: "Run", cell: (row) => h("a", { href: `/runs/${encodeURIComponent(row.replay_id)}` }, row.replay_id) },
      { key: "kind", name: "Kind", cell: (row) => row.kind },
      { key: "state", name: "Result", cell: (row) => result(row), value: (row) => verdict(row) },
      { key: "from", name: "From, UTC", cell: (row) => time(at(row.from), dated) },
      { key: "to", name: "To, UTC", cell: (row) => time(at(row.to), dated) },
      { key: "accounts", name: "Accounts", cell: (row) => (row.accounts ?? []).join(", ") || "–", value: (row) => (row.accounts ?? []).join(" ") },
      { key: "started_at", name: "Started, UTC", cell: (row) => time(at(row.started_at), dated) },
      { key: "took", name: "Took", number: true, cell: (row) => (row.finished_at ? duration(at(row.finished_at) - at(row.started_at)) : "–"), value: (row) => at(row.finished_at) - at(row.started_at) },
    ],
    empty: empty("No replay is recorded yet", code("Make one: `lockstep verify` compares the run with its replay, `lockstep backtest` tries other parameters on old trades. What they find stands here.")),
  });
  append(main, [
    h("div.page-head", null, h("h1", null, "Replays and forks")),
    h("section.card", null, h("h2", null, "Replays, backtests, verifications"), h("div.toolbar", null, compare), list.element),
    h("section.card", null, h("h2", null, "Forks"), forks),
  ]);
  scope.into(fill(forks, loading("forks")), async () => forkList(await scope.get("/api/forks")));
}

function verdict(row) {
  if (!row.finished_at) return "running";
  if (row.kind === "verify") return row.report?.differences ? "different" : "equal";
  return row.report?.state ?? row.report?.result ?? (row.report ? "done" : "no report");
}

function result(row) {
  const word = verdict(row);
  if (word === "running") return state("quiet", "running");
  if (/equal|same|verified/.test(word)) return state("good", "equal");
  if (/differ/.test(word)) return state("bad", "different");
  return state("good", word);
}

function forkList({ forks }) {
  if (!forks.length) return empty("No fork", code("A fork continues any moment of a run (cash, positions, open orders, indicators) under other parameters, beside the original. `lockstep fork run --at TIME --until TIME --set KEY=VALUE` makes one."));
  return forks.map((fork) =>
    h(
      "details.record",
      null,
      h("summary", null, h("span", null, h("strong", null, fork.fork_id)), h("span", null, state({ failed: "bad", running: "good", ready: "good", finished: "good" }[fork.step] ?? "quiet", fork.step)), h("span", null, fork.at ? ["at ", time(fork.at, dated)] : "now"), h("span", null, `${fork.backend}: ${fork.detail}`)),
      h("ol.events", null, fork.steps.map((step) => h("li", null, h("span", null, step.step), h("span", null, step.detail), h("span", null, place(step))))),
    ),
  );
}

async function one(main, scope, key, other) {
  const place = h("div");
  append(main, [h("div.page-head", null, h("h1", null, other ? `${key} and ${other}` : key), h("a", { href: "/runs" }, "all replays")), place]);
  await scope.into(fill(place, loading("the report")), async () => {
    const runs = await Promise.all([key, other].filter(Boolean).map((each) => scope.get(`/api/replays/${encodeURIComponent(each)}`)));
    return runs.length === 2 ? compared(runs) : single(runs[0]);
  });
}

function single(run) {
  return [
    h("section.card", null, head(run), accounts(run.report)),
    h("section.card", null, h("h2", null, "What was read"), json(run.input)),
    h("section.card", null, h("h2", null, "Configuration"), json(run.configuration)),
    h("section.card", null, h("h2", null, "The report as it was stored"), run.report ? h("details", null, h("summary.note", null, "JSON"), json(run.report)) : h("p.note", null, run.finished_at ? "No report was stored." : "It is still running.")),
  ];
}

function head(run) {
  const facts = [
    ["Kind", run.kind],
    ["Result", result(run)],
    ["From", time(at(run.from), dated)],
    ["To", time(at(run.to), dated)],
    ["Started", time(at(run.started_at), dated)],
    ["Took", run.finished_at ? duration(at(run.finished_at) - at(run.started_at)) : "–"],
    ["Accounts", (run.accounts ?? []).join(", ") || "–"],
  ];
  return h("dl.tiles", null, facts.map(([name, value]) => h("div.tile.plainly", null, h("dt", null, name), h("dd", null, value))));
}

const SHARES = /return|drawdown$|rate|cagr|volatility|invested_time|gross$/;

function figure(key, value) {
  if (value === null || value === undefined) return "–";
  if (typeof value === "number") return SHARES.test(key) ? share(value, /return/.test(key)) : grouped(String(Number(value.toPrecision(6))));
  if (typeof value === "string") return /^-?\d+(\.\d+)?$/.test(value) ? grouped(value) : value;
  return JSON.stringify(value);
}

function accounts(report) {
  const found = report?.accounts;
  if (!Array.isArray(found) || !found.length) return report ? plainly(report) : null;
  return found.map((each) => [h("h2", { class: "spaced" }, each.name, h("span.note", null, ` ${each.quote ?? ""}`)), figures(each.figures ?? {})]);
}

function plainly(report) {
  const rows = Object.entries(report).filter(([, value]) => value !== null && typeof value !== "object");
  return rows.length ? h("dl.facts", null, rows.map(([key, value]) => [h("dt", null, key.replaceAll("_", " ")), h("dd", null, figure(key, value))])) : null;
}

function figures(values) {
  return h("div.scroll", { tabindex: 0 }, h("table.tight", { class: "narrow" }, h("tbody", null, Object.entries(values).map(([key, value]) => h("tr", null, h("th", { scope: "row" }, key.replaceAll("_", " ")), h("td.n", null, figure(key, value)))))));
}

function compared([left, right]) {
  const names = [...new Set([...(left.report?.accounts ?? []), ...(right.report?.accounts ?? [])].map((each) => each.name))];
  const find = (run, name) => (run.report?.accounts ?? []).find((each) => each.name === name) ?? ((run.report?.accounts ?? []).length === 1 ? run.report.accounts[0] : null);
  return [
    h("section.card", null, h("h2", null, "Parameters that differ"), differences(left.configuration, right.configuration, left, right)),
    ...names.map((name) => {
      const [one, two] = [find(left, name), find(right, name)];
      const keys = [...new Set([...Object.keys(one?.figures ?? {}), ...Object.keys(two?.figures ?? {})])];
      return h("section.card", null, h("h2", null, name), table(left, right, keys.map((key) => [key, figure(key, one?.figures?.[key]), figure(key, two?.figures?.[key])])));
    }),
    names.length ? null : empty("Neither has a report of figures", "Backtests have; verifications say only whether anything differs."),
  ];
}

function table(left, right, rows) {
  const head = h("tr", null, ["", left.replay_id, right.replay_id].map((each, number) => h(number ? "th.n" : "th", { scope: "col" }, each)));
  return h("div.scroll.tall", { tabindex: 0 }, h("table.tight", null, h("thead", null, head), h("tbody", null, rows.map(([key, one, two]) => h("tr", { class: one === two ? "quiet" : null }, h("th", { scope: "row" }, key.replaceAll("_", " ")), h("td.n", null, one), h("td.n", null, two, one === two ? h("span.note", null, " same") : ""))))));
}

function flat(value, path = "") {
  if (value === null || typeof value !== "object") return [[path, String(value)]];
  return Object.entries(value).flatMap(([key, each]) => flat(each, path ? `${path}.${key}` : key));
}

function differences(one, two, left, right) {
  const [first, second] = [new Map(flat(one)), new Map(flat(two))];
  const rows = [...new Set([...first.keys(), ...second.keys()])].filter((key) => first.get(key) !== second.get(key)).map((key) => [key, first.get(key) ?? "–", second.get(key) ?? "–"]);
  return rows.length ? table(left, right, rows) : h("p.note", null, "Every parameter is the same.");
}

function json(value) {
  return h("pre.json", { tabindex: 0 }, JSON.stringify(value, null, 2));
}

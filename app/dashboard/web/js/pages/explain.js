// A name, or a moment and an instrument, in; the tree from there down to the trades out.

import { append, fill, h } from "../dom.js";
import { at, dated, exact, time } from "../format.js";
import { live } from "../live.js";
import { go } from "../router.js";
import { account as chosen } from "../parts/choice.js";
import { explain as link, place } from "../parts/bits.js";
import { empty, loading } from "../parts/states.js";

export const title = () => "Explain";

const OPEN_DEPTH = 6;

export async function open(main, scope, _, query) {
  const name = query.get("name");
  const moment = query.get("at");
  append(main, [h("h1", null, "Why did it do that?"), form(query)]);
  const place = h("div");
  main.append(place);
  if (name) scope.into(fill(place, loading("the explanation")), () => tell(scope, { name }));
  else if (moment) scope.into(fill(place, loading("the explanation")), () => tell(scope, { at: moment, instrument: query.get("instrument"), account: query.get("account") }));
  else scope.into(place, () => newest(scope));
}

function form(query) {
  const name = h("input", { id: "name", type: "search", placeholder: "an order, a fill, a refusal, trades/INSTRUMENT/ID …", value: query.get("name") ?? "", spellcheck: "false" });
  const moment = query.get("at");
  const start = moment ? new Date(at(/^\d+$/.test(moment) ? Number(moment) : moment) ?? 0).toISOString().slice(0, 19) : "";
  const when = h("input", { id: "at", placeholder: "2019-10-11T10:31:00", value: start, spellcheck: "false" });
  const instruments = h("select", { id: "instrument" }, (live.session.instruments ?? []).map((each) => h("option", { value: each, selected: each === query.get("instrument") }, each)));
  const byName = (event) => {
    event.preventDefault();
    if (name.value.trim()) go(`/explain?name=${encodeURIComponent(name.value.trim())}`);
  };
  const byTime = (event) => {
    event.preventDefault();
    const text = when.value.trim();
    if (!text) return;
    const zoned = /(Z|[+-]\d\d:?\d\d)$/i.test(text) ? text : `${text.replace(" ", "T")}Z`;
    go(`/explain?at=${encodeURIComponent(zoned)}&instrument=${encodeURIComponent(instruments.value)}&account=${encodeURIComponent(chosen() ?? "")}`);
  };
  return h(
    "div.cards.two",
    { class: "asks" },
    h("form.search", { onsubmit: byName }, h("div.field", null, h("label", { for: "name" }, "What is it about? Any name of a record"), name), h("button", { type: "submit" }, "Explain")),
    h("form.search", { onsubmit: byTime }, h("div.field.narrow", null, h("label", { for: "at" }, "Or: what was decided at (UTC)"), when), h("div.field.narrow", null, h("label", { for: "instrument" }, "on"), instruments), h("button", { type: "submit" }, "Why, or why not")),
  );
}

async function tell(scope, question) {
  const found = await scope.get("/api/explain", question);
  if (!found.explanations.length) return empty("Nothing is recorded of that", "See the name's spelling; docs/explain.md lists what can be named.");
  const open = h("button.small", { type: "button", onclick: () => all(true) }, "Unfold all");
  const shut = h("button.small", { type: "button", onclick: () => all(false) }, "Fold all");
  const tree = h("ul.tree", { "aria-label": "Explanation" }, found.explanations.map((node) => item(node, 0)));
  const all = (shown) => tree.querySelectorAll("details").forEach((each) => (each.open = shown));
  return h("section.card", null, h("div.toolbar", null, open, shut, h("span.note", null, "Each line is a record, with where it is: topic/partition/offset. The chain ends at the trades.")), tree);
}

function item(node, depth) {
  const below = [...(node.causes ?? [])];
  const after = node.effects ?? [];
  const facts = Object.entries(node.facts ?? {}).filter(([, value]) => value !== null && value !== "");
  const numbers = facts.length ? factList(facts) : null;
  const more = h("button.small.quiet", { type: "button", "aria-expanded": false, onclick: (event) => toggle(event, numbers) }, "numbers");
  const head = [
    h("span.kind", { class: node.kind?.replace(/\W/g, "-") }, node.kind?.replaceAll("_", " ")),
    h("span", null, node.says),
    " ",
    node.time && !told(node) ? h("span.note", null, time(at(node.time), dated), " ") : null,
    node.topic ? place(node) : null,
    h("span.only", null, node.name && depth ? [" ", link(node.name, "only this")] : null, facts.length ? [" ", more] : null),
  ];
  const rest = [
    below.length ? h("ul", { "aria-label": "Causes" }, below.map((each) => item(each, depth + 1))) : null,
    after.length ? [h("p.note", null, "What came of it"), h("ul", { "aria-label": "Effects" }, after.map((each) => item(each, depth + 1)))] : null,
  ];
  if (!below.length && !after.length) return h("li", null, h("div.node", null, head), numbers);
  return h("li", null, h("details.node", { open: depth < OPEN_DEPTH }, h("summary", null, head), numbers, rest));
}

/** Whether the sentence has the record's time already. */
function told(node) {
  return node.says.includes(new Date(at(node.time)).toISOString().slice(0, 16));
}

function factList(facts) {
  return h("dl.facts", { hidden: true }, facts.map(([key, value]) => [h("dt", null, key.replaceAll("_", " ")), h("dd", null, written(key, value))]));
}

/** Show or hide the numbers of a line without folding it. */
function toggle(event, numbers) {
  event.preventDefault();
  numbers.hidden = !numbers.hidden;
  event.target.setAttribute("aria-expanded", String(!numbers.hidden));
}

function written(key, value) {
  if (typeof value === "number" && /(^|_)(time|at|from|to)$/.test(key) && value > 1e11) return time(value, dated);
  if (typeof value === "string") return /^-?\d+(\.\d+)?$/.test(value) ? exact(value) : value;
  if (Array.isArray(value) || (value && typeof value === "object")) return JSON.stringify(value);
  return String(value);
}

/** Nothing was asked yet: what there is to ask about. */
async function newest(scope) {
  const account = chosen();
  const [orders, events] = await Promise.all([scope.get("/api/orders", { account, limit: 8 }), scope.get("/api/risk-events", { account, limit: 8 })]);
  if (!orders.rows.length && !events.rows.length) return empty("Nothing to explain yet", "Orders, fills and refusals can be asked about as soon as there are some.");
  const list = (title, rows) => h("section.card", null, h("h2", null, title), rows.length ? h("ul.tree", null, rows) : h("p.note", null, "None yet."));
  return h(
    "div.cards.two",
    null,
    list(`Newest orders of ${account}`, orders.rows.map((row) => h("li", null, time(row.time, dated), " ", link(row.order_id, `${row.strategy} ${row.side} ${exact(row.quantity)} ${row.instrument}`)))),
    list("Newest refusals and halts", events.rows.map((row) => h("li", null, time(row.time, dated), " ", link(row.id, `${row.kind}: ${row.reason.slice(0, 110)}`)))),
  );
}

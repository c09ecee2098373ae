// Facts in; the small elements that several pages show, out.

import { address } from "../api.js";
import { h } from "../dom.js";
import { label, meaning } from "../definitions.js";
import { live } from "../live.js";

/** The name of a figure with its definition on hover. */
export function named(key, text = label(key)) {
  return h("span.def", { "data-tip": meaning(key), tabindex: meaning(key) ? 0 : null }, text);
}

/** A figure under its name. */
export function tile(key, value, note = null, text = undefined) {
  return h("div.tile", null, h("dt", null, named(key, text)), h("dd", null, value), note ? h("dd.note", null, note) : null);
}

const SIGNS = { long: "▲", short: "▼", flat: "＝", not_ready: "…" };
const WORDS = { not_ready: "not ready" };

/** A strategy's view: sign, word and colour. */
export function view(name) {
  return h(`span.view.${name}`, null, h("span", { "aria-hidden": "true" }, SIGNS[name] ?? "?"), ` ${WORDS[name] ?? name}`);
}

/** Buy or sell: sign, word and colour. */
export function side(name) {
  return h(`span.side.${name}`, null, h("span", { "aria-hidden": "true" }, name === "buy" ? "▲" : "▼"), ` ${name}`);
}

const STATES = {
  good: ["●", "good"],
  warn: ["◆", "warn"],
  bad: ["■", "bad"],
  quiet: ["○", "quiet"],
};

/** A state: shape, word and colour. */
export function state(kind, words, tip = null) {
  const [shape, look] = STATES[kind];
  return h(`span.state.${look}`, { "data-tip": tip, tabindex: tip ? 0 : null }, h("span", { "aria-hidden": "true" }, shape), ` ${words}`);
}

/** A link to what explain tells of a name. */
export function explain(name, text = "explain") {
  return h("a", { href: address("/explain", { name }), "data-tip": `Why? From ${name} down to the trades` }, text);
}

/** Where a record is: a link to our page on the topic, and one to Kafka UI if it is configured. */
export function place({ topic, partition, offset }) {
  if (!topic && topic !== "") return null;
  if (offset === null || offset === undefined) return h("span.place", null, topic);
  const own = h(
    "a.place",
    { href: address(`/topics/${topic}`, { partition, offset }), "data-tip": `${live.session?.prefix ?? ""}${topic}, partition ${partition}, offset ${offset}` },
    `${topic}/${partition}/${offset}`,
  );
  return [own, kafkaUi({ topic, partition, offset })];
}

function kafkaUi({ topic, partition, offset }) {
  const base = live.session?.kafka_ui;
  if (!base) return null;
  const path = `/ui/clusters/lockstep/all-topics/${encodeURIComponent(live.session.prefix + topic)}/messages`;
  const seek = address("", { seekType: "OFFSET", seekTo: `${partition}::${offset}`, limit: 1, mode: "FROM_OFFSET", offset, partitions: partition });
  return h("a.place.ui", { href: base.replace(/\/$/, "") + path + seek, rel: "noreferrer", target: "_blank", "data-tip": "The same record in Kafka UI" }, "UI");
}

/** How much of a limit is used: a bar, and the share in words. */
export function meter(name, used, limit, words) {
  const part = Number(limit) > 0 ? Math.min(1, Number(used) / Number(limit)) : 0;
  const known = used !== null && limit !== null && used !== undefined && limit !== undefined;
  const look = part >= 1 ? "bad" : part >= 0.8 ? "warn" : "good";
  const bar = h("span.meter", { role: "meter", "aria-label": name, "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": Math.round(part * 100), class: look });
  const inner = h("i");
  inner.style.width = `${part * 100}%`;
  bar.append(inner);
  return h("div.limit", null, bar, h("span.note", null, known ? words : "not known yet", known ? ` · ${Math.round(part * 100)} %` : ""));
}

/** A link to an instrument's page. */
export function instrument(name) {
  return h("a", { href: `/instruments/${name}` }, name.split(":").pop());
}

/** A link to an account's page. */
export function account(name) {
  return h("a", { href: `/accounts/${name}` }, name);
}

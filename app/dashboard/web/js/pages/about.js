// What this is, whose parts are in it, and what every figure means.

import { append, h } from "../dom.js";
import { DEFINITIONS } from "../definitions.js";
import { live } from "../live.js";

export const title = () => "About";

export async function open(main) {
  const { version, run, prefix, schema } = live.session ?? {};
  append(main, [
    h("div.page-head", null, h("h1", null, "About Lockstep")),
    h(
      "section.card",
      null,
      h("p", null, "A trading pipeline on Apache Kafka whose live run and its replay are the same run. Orders are filled on paper, never at an exchange. Nothing here is advice, and no profit is claimed."),
      version ? h("p.note", null, `Version ${version}, run ${run}, topics ${prefix || "without a prefix"}, schema ${schema}.`) : null,
      h("p.note", null, "These pages come from this machine and ask nothing of any other. Every one of them has its data as JSON under ", h("a", { href: "/openapi.json" }, "/openapi.json"), "."),
      h("h2", { class: "spaced" }, "Charts"),
      h("p", null, "TradingView Lightweight Charts™, copyright 2025 TradingView, Inc., ", h("a", { href: "https://www.tradingview.com/", rel: "noreferrer", target: "_blank" }, "https://www.tradingview.com/"), ", under the Apache License 2.0", live.session?.charts ? [" (", h("a", { href: "/static/vendor/lightweight-charts.LICENSE" }, "text"), ")"] : "", "."),
      h("h2", { class: "spaced" }, "Keys"),
      h("p", null, "Tab and Shift-Tab go from part to part, Enter opens. On a chart the arrow keys move, + and − zoom, End goes to now. In a row of tabs the arrow keys choose. Esc closes a dialog or a hint."),
    ),
    h("section.card", null, h("h2", null, "What the figures mean"), h("dl.defs", null, Object.values(DEFINITIONS).map(([name, words]) => h("div", null, h("dt", null, name), h("dd", null, words))))),
  ]);
}

// The chart library, if it is installed, in; charts in the page's colours out.

import { h, shade } from "../dom.js";
import { clock, dated, moment } from "../format.js";
import { live } from "../live.js";

let loaded = null;

/** The library; null where the installation has none, and plain charts must do. */
export function library() {
  if (!live.session?.charts) return Promise.resolve(null);
  loaded ??= import("../../vendor/lightweight-charts.js").catch(() => null);
  return loaded;
}

/** What stands under a plain chart. */
export function plainNote() {
  return h("p.note", null, "Plain charts: the interactive ones come with ", h("code", null, "./run web"), " in a checkout, and are part of the wheel and the image.");
}

/** The chart's options in the colours of the theme. */
export function look() {
  const [ink, soft, grid, rule, card] = ["--ink", "--soft", "--grid", "--rule", "--card"].map(shade);
  return {
    layout: {
      background: { type: "solid", color: card },
      textColor: soft,
      fontSize: 11,
      fontFamily: 'system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif',
      attributionLogo: false, // it brings an inline style, which the page's policy forbids; the foot has the link
      panes: { separatorColor: rule, separatorHoverColor: rule, enableResize: true },
    },
    grid: { vertLines: { color: grid }, horzLines: { color: grid } },
    crosshair: {
      vertLine: { color: soft, labelBackgroundColor: ink },
      horzLine: { color: soft, labelBackgroundColor: ink },
    },
    rightPriceScale: { borderColor: rule },
    timeScale: { borderColor: rule },
  };
}

/** What every chart of ours has beside its colours: UTC, no animation, keys and wheel as usual. */
export function options(interval) {
  return {
    ...look(),
    autoSize: true,
    localization: { timeFormatter: (time) => `${dated(time * 1000)} UTC`, locale: "en" },
    timeScale: {
      ...look().timeScale,
      timeVisible: true,
      secondsVisible: interval < 60_000,
      rightOffset: 4,
      minBarSpacing: 0.3,
      tickMarkFormatter: (time, kind) => (kind <= 2 ? moment(time * 1000).slice(0, -9) : clock(time * 1000).slice(0, kind === 4 ? 8 : 5)),
    },
    handleScale: { axisPressedMouseMove: { time: true, price: true } },
    kineticScroll: { mouse: false, touch: true },
  };
}

/** Let arrow keys move a chart's view, + and - zoom it, and Home and End go to its ends. */
export function keys(element, chart) {
  element.tabIndex = 0;
  element.addEventListener("keydown", (event) => {
    const scale = chart.timeScale();
    const seen = scale.getVisibleLogicalRange();
    if (!seen) return;
    const width = seen.to - seen.from;
    const moves = {
      ArrowLeft: [-width / 10, -width / 10],
      ArrowRight: [width / 10, width / 10],
      "+": [width / 8, -width / 8],
      "=": [width / 8, -width / 8],
      "-": [-width / 6, width / 6],
    };
    if (event.key === "End") scale.scrollToRealTime();
    else if (moves[event.key]) {
      const [left, right] = moves[event.key];
      scale.setVisibleLogicalRange({ from: seen.from + left, to: seen.to + right });
    } else return;
    event.preventDefault();
  });
}

// Gaps in; shaded spans behind the candles, drawn by the chart's own means, out.

import { shade } from "../dom.js";

/** A primitive of a series that shades spans of time over the whole pane. */
export class GapShade {
  constructor() {
    this.spans = [];
    this.view = { zOrder: () => "bottom", renderer: () => ({ draw: (target) => this.draw(target) }) };
  }

  attached({ chart, requestUpdate }) {
    this.chart = chart;
    this.requestUpdate = requestUpdate;
  }

  detached() {
    this.chart = null;
  }

  paneViews() {
    return [this.view];
  }

  updateAllViews() {
    // what is drawn is found anew at every draw
  }

  /** Shade these spans: positions of the first and last bar that each touches. */
  show(spans) {
    this.spans = spans;
    this.requestUpdate?.();
  }

  draw(target) {
    if (!this.chart || !this.spans.length) return;
    const scale = this.chart.timeScale();
    const half = scale.options().barSpacing / 2;
    target.useBitmapCoordinateSpace(({ context, bitmapSize, horizontalPixelRatio }) => {
      context.fillStyle = shade("--gap");
      for (const { first, last } of this.spans) {
        const [left, right] = [scale.logicalToCoordinate(first), scale.logicalToCoordinate(last)];
        if (left === null || right === null) continue;
        const from = Math.round((left - half) * horizontalPixelRatio);
        const to = Math.round((right + half) * horizontalPixelRatio);
        context.fillRect(from, 0, Math.max(2, to - from), bitmapSize.height);
      }
    });
  }
}

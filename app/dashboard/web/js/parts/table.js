// Rows in; a table that sorts, filters and changes only what changed, out.

import { fill, h } from "../dom.js";
import { counted } from "../format.js";

const DRAWN = 500;

/**
 * A table.
 *
 * Columns: `{key, name, tip, number, spare, cell(row), value(row)}`; `cell` makes what is shown (a
 * node or a text), `value` what is sorted and filtered by and written to CSV (the row's own value
 * unless given); a spare one is left out on a phone.
 */
export class Table {
  constructor(columns, { key, name, empty, caption, sort = null, filter = true, mark = null, dense = false }) {
    Object.assign(this, { columns, key, name, empty, mark });
    this.rows = [];
    this.drawn = new Map();
    this.sort = sort;
    this.words = "";
    this.body = h("tbody");
    this.head = h("thead");
    this.foot = h("p.note.count");
    this.more = h("span");
    this.scroll = h(
      "div.scroll",
      { tabindex: 0, role: "region", "aria-label": caption ?? name },
      h(dense ? "table.tight" : "table", null, caption ? h("caption.sr", null, caption) : null, this.head, this.body),
    );
    this.none = h("div", { hidden: true });
    this.bar = filter ? this.tools() : null;
    this.element = h("div.table", null, this.bar, this.scroll, this.none, h("div.under", null, this.foot, this.more));
    this.heads();
  }

  tools() {
    const input = h("input", {
      type: "search",
      placeholder: "Filter",
      "aria-label": `Filter ${this.name}`,
      oninput: () => {
        this.words = input.value.trim().toLowerCase();
        this.draw();
      },
    });
    this.input = input;
    const csv = h("button.small.quiet", { type: "button", onclick: () => this.save(), "data-tip": "Save the rows shown as a CSV file" }, "CSV");
    return h("div.bar", null, input, csv);
  }

  heads() {
    const cells = this.columns.map((column) => {
      const sorted = this.sort?.key === column.key;
      const button = h(
        "button.head",
        { type: "button", "data-tip": column.tip, onclick: () => this.by(column.key) },
        column.name,
        h("span.order", { "aria-hidden": "true" }, sorted ? (this.sort.down ? " ▾" : " ▴") : ""),
      );
      const order = sorted ? (this.sort.down ? "descending" : "ascending") : null;
      return h(column.number ? "th.n" : "th", { scope: "col", "aria-sort": order, class: column.spare ? "roomy" : null }, button);
    });
    fill(this.head, h("tr", null, cells));
  }

  by(key) {
    const same = this.sort?.key === key;
    this.sort = same && !this.sort.down ? null : { key, down: !same };
    this.heads();
    this.draw();
  }

  /** Show these rows, in their order unless sorted. */
  show(rows) {
    this.rows = rows;
    this.draw();
  }

  /** What stands below: how to get more rows, for example. */
  below(...children) {
    fill(this.more, ...children);
  }

  chosen() {
    let rows = this.rows;
    if (this.words) rows = rows.filter((row) => this.columns.some((column) => text(column, row).toLowerCase().includes(this.words)));
    const column = this.columns.find((each) => each.key === this.sort?.key);
    if (column) {
      const way = this.sort.down ? -1 : 1;
      rows = [...rows].sort((one, two) => way * order(value(column, one), value(column, two)));
    }
    return rows;
  }

  draw() {
    const rows = this.chosen();
    const shown = rows.slice(0, DRAWN);
    const kept = new Map();
    const lines = shown.map((row) => {
      const id = this.key(row);
      const line = this.line(row, this.drawn.get(id));
      kept.set(id, line);
      return line.element;
    });
    this.drawn = kept;
    arrange(this.body, lines);
    this.scroll.hidden = !rows.length;
    this.none.hidden = rows.length > 0;
    if (!rows.length) fill(this.none, this.words ? h("p.note", null, `No row has “${this.words}” in it; clear the filter to see ${counted(this.rows.length, "row")}.`) : this.empty);
    const cut = shown.length < rows.length ? `${counted(shown.length, "row")} of ${rows.length} shown; filter to see others` : "";
    this.foot.textContent = cut || (this.words && rows.length ? `${counted(rows.length, "row")} of ${this.rows.length}` : "");
  }

  line(row, before) {
    const sign = JSON.stringify(row);
    if (before?.sign === sign) return before;
    const cells = this.columns.map((column) => h(column.number ? "td.n" : "td", { class: column.spare ? "roomy" : null }, column.cell(row)));
    const element = h("tr", { class: this.mark?.(row) ?? null }, cells);
    return { sign, element };
  }

  save() {
    const quote = (each) => (/[",\n]/.test(each) ? `"${each.replaceAll('"', '""')}"` : each);
    const lines = [this.columns.map((each) => each.key), ...this.chosen().map((row) => this.columns.map((column) => text(column, row)))];
    const body = lines.map((line) => line.map(quote).join(",")).join("\n");
    const link = h("a", { href: URL.createObjectURL(new Blob([body, "\n"], { type: "text/csv" })), download: `${this.name}.csv` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }
}

/** Bring children into an order while moving as few as possible. */
function arrange(parent, children) {
  const wanted = new Set(children);
  for (const child of [...parent.children]) if (!wanted.has(child)) child.remove();
  let place = parent.firstChild;
  for (const child of children) {
    if (child === place) place = place.nextSibling;
    else parent.insertBefore(child, place);
  }
}

function value(column, row) {
  return column.value ? column.value(row) : row[column.key];
}

function text(column, row) {
  const found = value(column, row);
  return found === null || found === undefined ? "" : String(found);
}

function order(one, two) {
  if (one === two) return 0;
  if (one === null || one === undefined) return -1;
  if (two === null || two === undefined) return 1;
  const [left, right] = [Number(one), Number(two)];
  if (!Number.isNaN(left) && !Number.isNaN(right)) return left - right;
  return String(one) < String(two) ? -1 : 1;
}

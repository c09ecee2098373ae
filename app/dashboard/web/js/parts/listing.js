// A route that answers pages of rows in; a table that loads them, more of them, and live ones out.

import { h } from "../dom.js";
import { empty, failure, loading } from "./states.js";
import { Table } from "./table.js";

const KEPT = 1000;

/** A table over a list of the API, with what comes live put in front. */
export class Listing {
  /**
   * @param {object} scope of the page
   * @param {string} route of the list
   * @param {object} parameters of the route
   * @param {object} facts `{columns, name, empty, key, mark, dense}` of the table; `fresh(row)` makes
   *   the row of a live record, or null for one that is none of ours
   */
  constructor(scope, route, parameters, facts) {
    Object.assign(this, { scope, route, parameters, facts });
    this.rows = [];
    this.ids = new Set();
    this.key = facts.key ?? ((row) => `${row.topic}/${row.partition}/${row.offset}/${row.order_id ?? ""}`);
    this.table = new Table(facts.columns, { key: this.key, name: facts.name, empty: facts.empty ?? empty("Nothing yet"), caption: facts.name, mark: facts.mark, dense: facts.dense, filter: facts.filter });
    this.element = h("div", null, loading(facts.name));
    this.load();
  }

  async load(before = null) {
    try {
      const answer = await this.scope.get(this.route, { ...this.parameters, before });
      const found = answer.rows ?? answer[this.facts.list];
      this.next = answer.next ?? null;
      this.add(found, false);
      if (!this.table.element.isConnected) this.element.replaceChildren(this.table.element);
      this.show();
    } catch (error) {
      if (error.name === "AbortError") return;
      this.element.replaceChildren(failure(error, () => this.load(before)));
    }
  }

  add(rows, front) {
    const own = rows.filter((row) => !this.ids.has(this.key(row)));
    for (const row of own) this.ids.add(this.key(row));
    this.rows = front ? [...own, ...this.rows] : [...this.rows, ...own];
    if (front && this.rows.length > KEPT) {
      for (const row of this.rows.splice(KEPT)) this.ids.delete(this.key(row));
      this.next = null; // what was dropped comes back with the page's next opening
    }
    return own.length;
  }

  /** Put a live row in front; a row known already is not doubled. */
  fresh(row) {
    this.waiting ??= [];
    this.waiting.unshift(row);
    if (this.waiting.length > KEPT) this.waiting.length = KEPT;
    this.timer ??= setTimeout(() => {
      this.timer = null;
      if (this.scope.closed) return;
      this.add(this.waiting.splice(0), true);
      this.show();
    }, 100);
  }

  /** Change rows that are there already. */
  change(chosen, values) {
    const row = this.rows.find(chosen);
    if (!row) return;
    Object.assign(row, values);
    this.show();
  }

  show() {
    this.table.show(this.rows);
    const more = h("button.small", { type: "button", onclick: () => this.load(this.next) }, "Older ones");
    this.table.below(this.next ? more : "");
  }
}

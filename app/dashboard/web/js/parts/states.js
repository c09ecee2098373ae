// What is wrong or missing in; a block that says so and what to do, out.

import { ApiError } from "../api.js";
import { h } from "../dom.js";

/** Nothing here: what would be, why it is not, and what to do. */
export function empty(title, ...words) {
  return h("div.empty", null, h("strong", null, title), ...words.map((each) => h("p", null, each)));
}

const PARTS = {
  database: "The database does not answer, so history is missing here. Trading goes on without it, and what is live still moves. See `lockstep status`.",
  broker: "Kafka does not answer. Nothing is live until it does. See `lockstep status`.",
};

/** A question that failed; `again` asks it once more. */
export function failure(error, again) {
  const api = error instanceof ApiError;
  if (!api) console.error(error);
  const sentence = api ? error.message : `This part of the page failed: ${error.message}`;
  return h(
    "div.failure",
    { role: "alert" },
    h("strong", null, heading(error)),
    h("p", null, sentence),
    PARTS[error.part] ? h("p.note", null, ...code(PARTS[error.part])) : null,
    again ? h("button.small", { type: "button", onclick: again }, "Try again") : null,
  );
}

function heading(error) {
  if (error.part === "database") return "The database is away";
  if (error.part === "broker") return "Kafka is away";
  if (error.status === 0) return "No answer";
  return error.status === 404 ? "There is no such thing" : "That was refused";
}

/** Text with `commands` in it. */
export function code(text) {
  return text.split("`").map((each, number) => (number % 2 ? h("code", null, each) : each));
}

/** A grey block where something will be. */
export function loading(what) {
  return h("p.loading", { role: "status" }, `Loading ${what}…`);
}

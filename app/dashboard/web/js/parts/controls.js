// An account in; the dialog that halts, resumes or flattens it, having said what that means, out.

import { post } from "../api.js";
import { fill, h, say } from "../dom.js";
import { exact, interval, Money, short, time } from "../format.js";
import { live, on } from "../live.js";
import { place } from "./bits.js";

const MEANING = {
  halt: {
    verb: "Halt",
    says: "Open nothing from the next decision on.",
    stops: ["Opening a position, or making one larger.", "Orders that rest: what is unfilled then is cancelled."],
    goes: ["Market data, candles, signals and the books.", "What is held stays held, and its profit and loss go on.", "Orders that make a position smaller."],
  },
  resume: {
    verb: "Resume",
    says: "Trade again from the next decision on.",
    stops: ["The halt."],
    goes: ["Everything, by the strategies' newest views.", "The day's start and the peak are set to the equity of that moment, or a limit would halt the account again at once."],
  },
  flatten: {
    verb: "Flatten",
    says: "Halt, and close every position at market from the next decision on.",
    stops: ["Everything that opens.", "Every position below: it is sold or bought back at market, with fees and slippage."],
    goes: ["Market data, candles, signals and the books.", "The halt stays until you resume; a resume buys nothing back until a view changes."],
  },
};

const action = (name) => MEANING[name].verb;

/** The three buttons; which of them make sense now follows the account. */
export function controls(name, { large = false } = {}) {
  const buttons = Object.fromEntries(
    ["halt", "resume", "flatten"].map((each) => [
      each,
      h(`button.act.${each}`, { type: "button", class: large ? "large" : "small", onclick: () => ask(each, name), "data-tip": MEANING[each].says }, action(each), h("span.sr", null, ` ${name}`)),
    ]),
  );
  const element = h("div.controls", { role: "group", "aria-label": `Controls of ${name}` }, Object.values(buttons));
  const follow = () => {
    const halted = live.accounts.get(name)?.halted;
    buttons.halt.disabled = halted === true;
    buttons.resume.disabled = halted === false;
  };
  follow();
  return { element, follow };
}

/** Ask before telling the account. */
export function ask(what, name) {
  const account = live.accounts.get(name);
  const state = { id: identity(), sent: false, taken: false, acted: null };
  const dialog = h("dialog", { "aria-labelledby": "ask-title", class: what });
  const confirm = h("input", { autocomplete: "off", spellcheck: "false", id: "ask-name", oninput: () => ready() });
  const reason = h("input", { maxlength: 500, id: "ask-reason", placeholder: "by hand" });
  const by = h("input", { maxlength: 100, id: "ask-by", value: remembered(), placeholder: "dashboard", autocomplete: "username" });
  const go = h(`button.act.large.${what}`, { type: "submit" }, `${action(what)} ${name}`);
  const outcome = h("div.outcome", { role: "status" });
  const cancel = h("button.large", { type: "button", onclick: () => dialog.close() }, "Cancel");
  const ready = () => {
    go.disabled = state.sent || (what === "flatten" && confirm.value !== name);
  };
  const form = h(
    "form",
    { method: "dialog", onsubmit: (event) => send(event) },
    h("h2", { id: "ask-title" }, `${action(what)} ${name}?`),
    h("p", null, MEANING[what].says, ` A decision is made every ${interval(live.session?.interval ?? 60_000)}.`),
    h("div.halves", null, list("What stops", MEANING[what].stops, "✕"), list("What goes on", MEANING[what].goes, "✓")),
    holdings(account, what),
    h("div.fields", null, field("ask-reason", "Why (it is kept)", reason), field("ask-by", "Who says so", by)),
    what === "flatten" ? field("ask-name", ["Type ", h("strong", null, name), " to go on"], confirm) : null,
    outcome,
    h("div.buttons", null, cancel, go),
  );
  const ends = [];

  async function send(event) {
    event.preventDefault();
    if (state.sent) return;
    state.sent = true;
    ready();
    remember(by.value);
    listen();
    fill(outcome, h("p", null, "Sending…"));
    try {
      const taken = await post("/api/commands", {
        command_id: state.id,
        account: name,
        action: what,
        ...(reason.value.trim() ? { reason: reason.value.trim() } : {}),
        ...(by.value.trim() ? { by: by.value.trim() } : {}),
        ...(what === "flatten" ? { confirm: confirm.value } : {}),
      });
      done(taken);
    } catch (error) {
      state.sent = false; // the same id again can't make it act twice
      fill(outcome, h("p.bad", { role: "alert" }, error.message), error.status === 503 || error.status === 0 ? h("p.note", null, "Press again to send the same command: it can't act twice.") : null);
      ready();
    }
  }

  function done(taken) {
    say(`${action(what)} ${name} was taken`);
    fill(outcome, h("p", null, h("strong", null, "Taken"), ", recorded at ", place(taken), ` as given by ${taken.by}. It acts at the next decision.`));
    cancel.textContent = "Close";
    go.hidden = true;
    state.taken = true;
    if (state.acted) acted(state.acted);
  }

  /** Wait for what the command does: it may be done before the answer is here. */
  function listen() {
    if (ends.length) return;
    const note = (item) => {
      if (item.record.account !== name) return;
      if (state.taken) acted(item.record);
      else state.acted = item.record;
    };
    ends.push(on(what === "resume" ? "resumed" : "halted", note));
  }

  function acted(record) {
    const word = what === "resume" ? "Resumed" : "Halted";
    outcome.append(h("p", null, h("strong", null, word), " at the decision of ", time(record.time), "."));
    say(`${name} ${word.toLowerCase()}`);
  }

  dialog.append(form);
  dialog.addEventListener("close", () => {
    for (const end of ends) end();
    dialog.remove();
  });
  document.body.append(dialog);
  ready();
  dialog.showModal();
  (what === "flatten" ? confirm : reason).focus();
}

function list(title, lines, sign) {
  return h("div", null, h("h3", null, title), h("ul.signs", null, lines.map((line) => h("li", { "data-sign": sign }, line))));
}

function field(id, label, input) {
  return h("div.field", null, h("label", { for: id }, label), input);
}

function holdings(account, what) {
  const positions = account?.positions ?? [];
  if (what === "resume") return null;
  if (!positions.length) return h("p.note", null, "Nothing is held now.");
  const money = new Money(account.quote, account.capital);
  const rows = positions.map((each) =>
    h("tr", null, h("td", null, short(each.instrument)), h("td", null, each.strategy), h("td.n", null, exact(each.quantity)), h("td.n", null, money.cell(each.unrealised, true))),
  );
  const heads = ["Instrument", "Strategy", "Quantity", `Unrealised, ${account.quote}`];
  return h(
    "div.scroll",
    { tabindex: 0 },
    h("table", null, h("caption", null, what === "flatten" ? "Will be closed" : "Stays held"), h("thead", null, h("tr", null, heads.map((each, at) => h(at > 1 ? "th.n" : "th", { scope: "col" }, each)))), h("tbody", null, rows)),
  );
}

function identity() {
  return `web-${[...crypto.getRandomValues(new Uint8Array(12))].map((each) => each.toString(16).padStart(2, "0")).join("")}`;
}

function remembered() {
  try {
    return localStorage.getItem("by") ?? "";
  } catch {
    return "";
  }
}

function remember(name) {
  try {
    localStorage.setItem("by", name.trim());
  } catch {
    // it is asked for again
  }
}

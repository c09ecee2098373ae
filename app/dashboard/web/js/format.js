// Decimal texts and milliseconds in; texts and elements that people read out. No float holds money.

import { h } from "./dom.js";

export const NONE = "–";
const MINUS = "−";
const SPACE = "\u00a0";

/** Round a decimal text half-even to so many places; the result has just those. */
export function round(text, places) {
  const [, sign, whole, part = ""] = /^(-?)(\d+)(?:\.(\d+))?$/.exec(text) ?? [];
  if (whole === undefined) return text;
  const kept = part.slice(0, places).padEnd(places, "0");
  const rest = part.slice(places);
  let digits = BigInt(whole + kept);
  const half = "5".padEnd(rest.length, "0");
  const up = rest > half || (rest === half && rest !== "" && rest[0] === "5" && digits % 2n === 1n);
  if (rest && rest[0] >= "5" && up) digits += 1n;
  const found = digits.toString().padStart(places + 1, "0");
  const cut = found.length - places;
  const zero = digits === 0n;
  return `${zero ? "" : sign}${found.slice(0, cut)}${places ? `.${found.slice(cut)}` : ""}`;
}

/** Group thousands, write a real minus sign, and a plus where it is wanted. */
export function grouped(text, plus = false) {
  const [, sign, whole, rest = ""] = /^(-?)(\d+)(\..*)?$/.exec(text) ?? [];
  if (whole === undefined) return text;
  const body = whole.replace(/\B(?=(\d{3})+$)/g, ",") + rest;
  const zero = /^[0.,]*$/.test(body);
  return `${zero ? "" : sign ? MINUS : plus ? "+" : ""}${body}`;
}

/** Which way a decimal text points: 1, 0 or -1. */
export function way(text) {
  if (text === null || text === undefined || /^-?[0.]*$/.test(text)) return 0;
  return text.startsWith("-") ? -1 : 1;
}

/** Places that an account's money is written with: two from a capital of 10,000 on, more below. */
export function places(capital) {
  const whole = /^-?0*(\d*)/.exec(capital ?? "")[1].length || 1;
  return Math.min(8, Math.max(2, 7 - whole));
}

/** How an account's money is written. */
export class Money {
  constructor(quote, capital) {
    this.quote = quote ?? "";
    this.places = places(capital);
  }

  /** The amount as text, without its currency. */
  text(value, plus = false) {
    return value === null || value === undefined ? NONE : grouped(round(value, this.places), plus);
  }

  /** The amount as an element: rounded for the eye, whole on hover. */
  cell(value, plus = false) {
    if (value === null || value === undefined) return none("Not known yet");
    const rounded = this.text(value, plus);
    return h("data", { value, "data-tip": `${grouped(value, plus)} ${this.quote}`.trim() }, rounded);
  }

  /** A gain or loss: sign, colour and, on hover, every digit. */
  change(value) {
    const cell = this.cell(value, true);
    if (way(value)) cell.classList.add(way(value) > 0 ? "gain" : "loss");
    return cell;
  }
}

/** A quantity or price, exact. */
export function exact(text) {
  return text === null || text === undefined ? NONE : grouped(text);
}

/** A share (1 is 100 %) as a percentage: two places, three below 1 %. */
export function share(value, plus = false) {
  if (value === null || value === undefined) return NONE;
  const percent = Number(value) * 100;
  const written = percent.toFixed(Math.abs(percent) >= 1 || !percent ? 2 : 3);
  return `${grouped(written, plus)}${SPACE}%`;
}

/** A whole number. */
export function count(value) {
  return value === null || value === undefined ? NONE : grouped(String(Math.round(value)));
}

/** A number of things: "1 fill", "2 fills". */
export function counted(value, one, many = `${one}s`) {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** An indicator: six significant digits. */
export function real(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return NONE;
  const number = Number(value);
  const written = Math.abs(number) >= 1e-4 || !number ? String(Number(number.toPrecision(6))) : number.toExponential(3);
  return written.replace("-", MINUS);
}

const UNITS = [["d", 86_400_000], ["h", 3_600_000], ["min", 60_000], ["s", 1_000]];

/** A duration in its two largest units; below ten seconds with tenths, below one in ms. */
export function duration(milliseconds) {
  if (milliseconds === null || milliseconds === undefined) return NONE;
  const sign = milliseconds < 0 ? MINUS : "";
  let rest = Math.abs(milliseconds);
  if (rest < 1000) return `${sign}${Math.round(rest)}${SPACE}ms`;
  if (rest < 10_000) return `${sign}${(rest / 1000).toFixed(1)}${SPACE}s`;
  const parts = [];
  for (const [name, size] of UNITS) {
    const whole = Math.floor(rest / size);
    rest -= whole * size;
    if (whole) parts.push(`${whole}${SPACE}${name}`);
    if (parts.length && (parts.length === 2 || !whole)) break;
  }
  return sign + parts.join(" ");
}

/** How long ago something was, in whole seconds. */
export function ago(milliseconds) {
  const whole = Math.max(0, Math.floor(milliseconds / 1000));
  return whole ? `${duration(whole * 1000).replace(".0", "")} ago` : "just now";
}

/** An interval's short name: 60000 is "1m". */
export function interval(milliseconds) {
  for (const [name, size] of [["d", 86_400_000], ["h", 3_600_000], ["m", 60_000], ["s", 1_000]]) {
    if (milliseconds >= size && milliseconds % size === 0) return `${milliseconds / size}${name}`;
  }
  return `${milliseconds}ms`;
}

/** The milliseconds of "7m", "90s", "1h 30m"; NaN where it is none. */
export function parseInterval(text) {
  const sizes = { ms: 1, s: 1000, m: 60_000, min: 60_000, h: 3_600_000, d: 86_400_000 };
  const found = [...text.trim().matchAll(/(\d+)\s*(ms|min|s|m|h|d)\s*/gy)];
  if (!found.length || found.map((each) => each[0]).join("") !== text.trim()) return NaN;
  return found.reduce((sum, [, number, unit]) => sum + Number(number) * sizes[unit], 0);
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const two = (number) => String(number).padStart(2, "0");

/** A time of day, UTC. */
export function clock(milliseconds) {
  return milliseconds ? new Date(milliseconds).toISOString().slice(11, 19) : NONE;
}

/** A moment, UTC: day and time of day. */
export function moment(milliseconds) {
  if (!milliseconds) return NONE;
  const at = new Date(milliseconds);
  return `${at.getUTCDate()}${SPACE}${MONTHS[at.getUTCMonth()]} ${clock(milliseconds)}`;
}

/** A moment with its year. */
export function dated(milliseconds) {
  return milliseconds ? new Date(milliseconds).toISOString().replace("T", " ").replace(/\.000Z$|Z$/, "") : NONE;
}

/** The viewer's own time, with the name of the zone. */
export function local(milliseconds) {
  const at = new Date(milliseconds);
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const own = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  return `${own} ${zone}`;
}

/** A moment as an element: UTC, the viewer's own time on hover. */
export function time(milliseconds, write = moment) {
  if (!milliseconds) return none("No time is known");
  const at = new Date(milliseconds).toISOString();
  return h("time", { datetime: at, "data-tip": `${at.replace("T", " ")} (UTC)\n${local(milliseconds)} (yours)` }, write(milliseconds));
}

/** A moment in a table: its year is left out on a phone. */
export function stamp(milliseconds) {
  if (!milliseconds) return time(milliseconds);
  return time(milliseconds, (at) => [h("span.roomy", null, dated(at).slice(0, 5)), dated(at).slice(5)]);
}

/** A dash that says on hover why there is nothing. */
export function none(why) {
  return h("span.none", { "data-tip": why }, NONE);
}

/** The milliseconds of an RFC 3339 text or of a number of them; null for neither. */
export function at(value) {
  if (typeof value === "number") return value;
  const parsed = typeof value === "string" ? Date.parse(value) : NaN;
  return Number.isNaN(parsed) ? null : parsed;
}

/** An instrument's short name. */
export function short(instrument) {
  return instrument?.split(":").pop() ?? NONE;
}

/** Bytes. */
export function size(bytes) {
  if (bytes === null || bytes === undefined) return NONE;
  for (const [name, unit] of [["GB", 1e9], ["MB", 1e6], ["kB", 1e3]]) {
    if (bytes >= unit) return `${(bytes / unit).toFixed(bytes >= 10 * unit ? 0 : 1)}${SPACE}${name}`;
  }
  return `${bytes}${SPACE}B`;
}

/** A figure's rate a second. */
export function rate(value) {
  if (value === null || value === undefined) return NONE;
  return grouped(value >= 100 ? String(Math.round(value)) : Number(value).toFixed(value >= 10 ? 1 : 2));
}

// The topics: how much is on them and how far who reads them has come; one of them with its records.

import { append, fill, h } from "../dom.js";
import { ago, at, count, counted, dated, rate, size, time } from "../format.js";
import { now } from "../live.js";
import { go } from "../router.js";
import { explain, named, place, state } from "../parts/bits.js";
import { code, empty, loading } from "../parts/states.js";
import { Table } from "../parts/table.js";

export const title = (key) => key ?? "Topics";

const AGAIN = 5000;

export async function open(main, scope, key, query) {
  if (key) return one(main, scope, key, query);
  const topics = topicTable();
  const groups = groupTable();
  const letters = deadLetters(scope);
  append(main, [
    h("div.page-head", null, h("h1", null, "Topics"), h("span.note", null, "Read-only. Asked anew every 5 seconds.")),
    h("section.card", null, h("h2", null, "Topics"), topics.place),
    h("section.card", null, h("h2", null, "Who reads them ", h("span.note", null, "lag is what they are not done with")), groups.place),
    h("section.card", { id: "dead" }, h("h2", null, "Dead letters ", h("span.note", null, "bytes that could not be processed")), letters),
  ]);
  const ask = async () => {
    const found = await scope.get("/api/topics");
    topics.table.show(found.topics);
    groups.table.show(found.groups);
    for (const each of [topics, groups]) if (!each.table.element.isConnected) fill(each.place, each.table.element);
    return undefined;
  };
  scope.into(topics.place, ask);
  scope.every(AGAIN, () => ask().catch(() => null));
}

function topicTable() {
  const ages = (row) => (row.last_at ? ago(now() - row.last_at) : "–");
  const table = new Table(
    [
      { key: "topic", name: "Topic", cell: (row) => h("a", { href: `/topics/${row.topic}`, "data-tip": `${row.description}\n${row.name}` }, row.topic) },
      { key: "key", name: "Key", spare: true, cell: (row) => row.key ?? "–" },
      { key: "types", name: "Record types", spare: true, cell: (row) => h("span.wrap.types", null, (row.types ?? []).join(", ")), value: (row) => (row.types ?? []).join(" ") },
      { key: "partitions", name: "Partitions", number: true, cell: (row) => count(row.partitions.length), value: (row) => row.partitions.length },
      { key: "records", name: "Records", number: true, tip: "Σ (end − begin) over the partitions: an upper bound where the topic is compacted", cell: (row) => (row.cleanup?.includes("compact") ? `≤ ${count(row.records)}` : count(row.records)), value: (row) => row.records },
      { key: "rate", name: "A second", number: true, tip: "Records a second over the last 10 seconds", cell: (row) => rate(row.rate) },
      { key: "age", name: "Last record", number: true, tip: "How long ago the newest record was appended", cell: ages, value: (row) => row.age },
      { key: "retention_days", name: "Kept", number: true, spare: true, cell: (row) => (row.cleanup?.includes("compact") ? "last of each key" : row.retention_days > 0 ? `${count(row.retention_days)} d` : "for ever"), value: (row) => row.retention_days },
    ],
    { key: (row) => row.topic, name: "topics", caption: "Topics", empty: empty("No topic", code("Make them: `lockstep topics create`; or set kafka.prefix to that of your installation.")) },
  );
  return { table, place: h("div", null, loading("topics")) };
}

function groupTable() {
  const table = new Table(
    [
      { key: "stage", name: "Stage", cell: (row) => row.stage },
      { key: "workers", name: "Workers", cell: (row) => (row.workers?.length ? counted(row.workers.length, "worker") : state("bad", "nobody")), value: (row) => row.workers?.length },
      { key: "lag", name: "Lag", number: true, cell: (row) => count(row.lag) },
      { key: "partitions", name: "By partition", cell: (row) => behind(row), value: (row) => row.partitions?.length },
    ],
    { key: (row) => row.stage, name: "groups", caption: "Readers", filter: false, empty: empty("Nobody reads", "A worker's stages are groups of readers: start one with `faust -A app worker`.") },
  );
  return { table, place: h("div") };
}

function behind(row) {
  const late = (row.partitions ?? []).filter((each) => each.lag);
  if (!late.length) return h("span.note", null, "up to the end everywhere");
  const shown = late.slice(0, 6).map((each) => `${each.topic}/${each.partition}: ${count(each.lag)}`);
  return h("span.note.wrap", null, shown.join(", "), late.length > 6 ? ` and ${late.length - 6} more` : "");
}

function deadLetters(scope) {
  const list = h("div", null, loading("dead letters"));
  const more = h("div");
  const ask = async (before = null) => {
    const found = await scope.get("/api/dead-letters", { limit: 20, before });
    if (!found.rows.length && !before) return empty("No dead letter", "Everything that came could be read. Foreign bytes on trades, signals or instruments would stand here, with the reason and where they stood.");
    const lines = found.rows.map(letter);
    if (before) list.append(...lines);
    fill(more, found.next ? h("button.small", { type: "button", onclick: () => ask(found.next) }, "Older ones") : "");
    return before ? undefined : lines;
  };
  scope.into(list, ask);
  scope.on("dead_letter", () => scope.into(list, ask));
  return h("div", null, list, more);
}

function letter(row) {
  const command = `lockstep topics read ${row.topic} --partition ${row.partition} --offset ${row.offset} --last 1`;
  return h(
    "details.record",
    null,
    h("summary", null, h("span", null, place(row)), h("span", null, row.stage), h("span", null, size(row.size)), h("span", null, state("bad", row.reason))),
    h(
      "div",
      null,
      h("dl.facts", null, h("dt", null, "Key"), h("dd.mono", null, row.key || "(none)"), h("dt", null, "Refused by"), h("dd", null, row.stage), h("dt", null, "Reason"), h("dd", null, row.reason), h("dt", null, "Its own record"), h("dd", null, row.at ? place(row.at) : "–"), h("dt", null, "Look again"), h("dd", null, h("code", null, command))),
      h("h3", null, "As text"),
      h("pre.json", { tabindex: 0 }, row.text),
      h("h3", null, "As bytes"),
      h("pre.json.hex", { tabindex: 0 }, hex(row.payload, row.size)),
    ),
  );
}

function hex(payload, whole) {
  let bytes;
  try {
    bytes = Uint8Array.from(atob(payload.slice(0, payload.length - (payload.length % 4))), (each) => each.charCodeAt(0));
  } catch {
    return "(the bytes can't be shown)";
  }
  const lines = [];
  for (let start = 0; start < Math.min(bytes.length, 512); start += 16) {
    const row = [...bytes.slice(start, start + 16)];
    const text = row.map((each) => (each >= 32 && each < 127 ? String.fromCharCode(each) : ".")).join("");
    lines.push(`${start.toString(16).padStart(6, "0")}  ${row.map((each) => each.toString(16).padStart(2, "0")).join(" ").padEnd(47)}  ${text}`);
  }
  if (whole > Math.min(bytes.length, 512)) lines.push(`… ${whole} bytes in all`);
  return lines.join("\n");
}

// ---- one topic

async function one(main, scope, topic, query) {
  const facts = h("div");
  const records = h("div");
  append(main, [
    h("div.page-head", null, h("h1", null, topic), h("a", { href: "/topics" }, "all topics")),
    h("section.card", null, h("h2", null, "Partitions"), facts),
    h("section.card", null, h("h2", null, "Records ", h("span.note", null, "newest first")), peekForm(topic, query, records, scope), records),
  ]);
  scope.into(fill(facts, loading("the partitions")), async () => {
    const found = await scope.get("/api/topics");
    const own = found.topics.find((each) => each.topic === topic);
    if (!own) return empty(`There is no topic ${topic}`, h("a", { href: "/topics" }, "See all topics"));
    const readers = found.groups.filter((group) => group.partitions.some((each) => each.topic === topic));
    return [h("p.note", null, `${own.description} Keyed by ${own.key ?? "nothing"}; on the broker it is ${own.name}.`), partitions(own, readers, topic)];
  });
}

function partitions(own, readers, topic) {
  const head = h("tr", null, h("th", { scope: "col" }, "Partition"), h("th.n", { scope: "col" }, "Begin"), h("th.n", { scope: "col" }, "End"), h("th.n", { scope: "col" }, "Records"), readers.map((group) => h("th.n", { scope: "col" }, named("lag", `Lag of ${group.stage}`))));
  const lines = own.partitions.map((each) =>
    h(
      "tr",
      null,
      h("td", null, h("a", { href: `/topics/${topic}?partition=${each.partition}` }, String(each.partition))),
      h("td.n", null, count(each.begin)),
      h("td.n", null, count(each.end)),
      h("td.n", null, count(each.end - each.begin)),
      readers.map((group) => h("td.n", null, count(group.partitions.find((one) => one.topic === topic && one.partition === each.partition)?.lag))),
    ),
  );
  return h("div.scroll", { tabindex: 0 }, h("table.tight", null, h("thead", null, head), h("tbody", null, lines)));
}

function peekForm(topic, query, place, scope) {
  const fields = {
    partition: h("input", { inputmode: "numeric", placeholder: "all", size: 4 }),
    offset: h("input", { inputmode: "numeric", placeholder: "newest", size: 9 }),
    time: h("input", { placeholder: "from a time, UTC", size: 20 }),
    key: h("input", { placeholder: "any key", size: 22 }),
    count: h("select", null, [20, 50, 100, 200].map((each) => h("option", { value: each }, each))),
  };
  for (const [name, input] of Object.entries(fields)) {
    input.id = `peek-${name}`;
    if (query.get(name)) input.value = query.get(name);
  }
  const words = { partition: "Partition", offset: "From offset", time: "From time", key: "Key", count: "How many" };
  const ask = () => {
    const parameters = Object.fromEntries(Object.entries(fields).map(([name, input]) => [name, input.value.trim()]));
    if (parameters.time && !/(Z|[+-]\d\d:?\d\d|^\d+)$/i.test(parameters.time)) parameters.time = `${parameters.time.replace(" ", "T")}Z`;
    return peek(scope, topic, parameters);
  };
  const submit = (event) => {
    event.preventDefault();
    const parameters = new URLSearchParams(Object.entries(fields).map(([name, input]) => [name, input.value.trim()]).filter(([name, value]) => value && !(name === "count" && value === "20")));
    go(`/topics/${topic}${parameters.size ? `?${parameters}` : ""}`);
  };
  scope.into(fill(place, loading("records")), ask);
  return h("form.search", { onsubmit: submit }, Object.entries(fields).map(([name, input]) => h("div", null, h("label.note", { for: `peek-${name}` }, words[name]), h("div", null, input))), h("button", { type: "submit" }, "Show"), h("button.quiet", { type: "button", onclick: () => go(`/topics/${topic}`) }, "Newest"));
}

async function peek(scope, topic, parameters) {
  const found = await scope.get(`/api/topics/${topic}/records`, parameters);
  if (!found.records.length) {
    const asked = ["partition", "offset", "time", "key"].filter((each) => parameters[each]);
    if (asked.length) return empty("No record fits", `The filter is empty, not necessarily the topic: ${asked.map((each) => `${each} ${parameters[each]}`).join(", ")}. Press Newest to drop it.`);
    return empty("The topic is empty", "Nothing was ever written to it, or retention has taken what was.");
  }
  return found.records.map((record) => line(topic, record, found.records.length === 1 || Boolean(parameters.offset && record === found.records.at(-1))));
}

function line(topic, record, open) {
  const value = record.value;
  const json = value !== null && typeof value === "object";
  const kind = json ? value.type : "text";
  const short = json ? summary(value) : String(value).slice(0, 200);
  const body = h("div");
  const details = h(
    "details.record",
    {
      open,
      ontoggle: () => {
        if (details.open && !body.firstChild) fill(body, whole(topic, record));
      },
    },
    h("summary", null, h("span", null, place({ topic, ...record })), h("span", null, time(at(record.time), (when) => dated(when).slice(0, 19))), h("span.mono", null, record.key ?? "(no key)"), h("span.mono", null, `${kind ?? ""} ${short}`)),
    body,
  );
  if (open) fill(body, whole(topic, record));
  return details;
}

const QUIET = new Set(["type", "id", "origin", "account", "instrument"]);

function summary(value) {
  const parts = Object.entries(value)
    .filter(([key, each]) => !QUIET.has(key) && (typeof each !== "object" || each === null))
    .map(([key, each]) => `${key} ${each}`);
  return parts.join(", ").slice(0, 200);
}

function whole(topic, record) {
  const { value } = record;
  const json = value !== null && typeof value === "object";
  const name = json ? value.id ?? null : null;
  const traces = name || value?.origin ? h("p", null, name ? [explain(name, "Why is this here?"), " "] : "", value?.origin ? [h("span.note", null, "caused by "), explain(value.origin, value.origin)] : "") : null;
  return [traces, h("p.note", null, `${size(record.size)}, key ${record.key ?? "none"}`), h("pre.json", { tabindex: 0 }, json ? JSON.stringify(value, null, 2) : String(value))];
}

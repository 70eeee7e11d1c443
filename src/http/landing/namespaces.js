// What is running: one row per namespace, and in it every method with a line for the shell and a
// form that makes the call from here.
import { byId, copyButton, count, el } from "./dom.js";
import { example, signature } from "./schema.js";

const rows = new Map(); // namespace → { row, update }
let shownShape = "";

/** Shows the namespaces of a `GET /v1` answer. Known rows stay as they are but for their numbers. */
export function showNamespaces({ namespaces }) {
  // A person may be typing into a row: it is rebuilt only when a restart brought other methods.
  const shape = JSON.stringify(namespaces.map(({ name, methods }) => [name, methods]));
  if (shape !== shownShape) {
    rows.clear();
    for (const namespace of namespaces) rows.set(namespace.name, namespaceRow(namespace));
    byId("namespaces").replaceChildren(...[...rows.values()].map(({ row }) => row));
    shownShape = shape;
  }
  for (const namespace of namespaces) rows.get(namespace.name).update(namespace);
}

function namespaceRow({ name, description, methods, callbacks = [] }) {
  const numbers = el("p", { className: "numbers" });
  const object = el("input", { value: "demo", autocomplete: "off", spellcheck: false, maxLength: 120 });
  const objectPath = () => `/v1/${encodeURIComponent(name)}/${encodeURIComponent(object.value || "demo")}`;

  const parts = methods.map((method) => methodPart(objectPath, method));
  if (callbacks.includes("connected")) parts.push(sessionPart(objectPath));
  object.addEventListener("input", () => parts.forEach(({ refresh }) => refresh()));

  const row = el("section", { className: "namespace", dataset: { namespace: name } },
    el("header", {},
      el("h3", { textContent: name }),
      el("p", {}, ...prose(description)),
      numbers,
      el("label", { className: "object" }, el("span", { textContent: `${name}/` }), object)),
    el("div", { className: "methods" }, ...parts.map(({ part }) => part)));
  const update = ({ activations = 0, sessions = 0 }) => {
    numbers.textContent = `${count(activations, "activation")} · ${count(sessions, "session")}`;
  };
  return { row, update };
}

function methodPart(objectPath, method) {
  const path = () => `${objectPath()}/${encodeURIComponent(method.name)}`;
  const line = commandLine(() => curl(path(), method), `Copy the curl line of ${method.name}`);
  const attempt = tryForm(path, method);
  const toggle = el("button", { type: "button", className: "try", textContent: "Try it", ariaExpanded: "false" });
  toggle.addEventListener("click", () => {
    attempt.hidden = !attempt.hidden;
    toggle.ariaExpanded = String(!attempt.hidden);
    if (!attempt.hidden) attempt.querySelector("textarea").focus();
  });

  const part = el("section", { className: "method", dataset: { method: method.name } },
    el("div", { className: "method-head" },
      el("h4", {}, method.name, el("span", { className: "signature", textContent: signature(method.arguments) })),
      el("span", {
        className: `effect ${method.read ? "is-read" : "is-write"}`,
        textContent: method.read ? "read" : "write",
        title: method.read ? "Commits nothing; also answered to GET" : "Answers once what it wrote is durable",
      }),
      toggle),
    el("p", {}, ...prose(method.description)),
    line.part,
    attempt);
  return { part, refresh: line.refresh };
}

function sessionPart(objectPath) {
  const socket = () => `websocat ${location.origin.replace(/^http/, "ws")}${objectPath()}`;
  const line = commandLine(socket, "Copy the WebSocket line");
  const part = el("section", { className: "method" },
    el("div", { className: "method-head" },
      el("h4", {}, "WebSocket"),
      el("span", { className: "effect is-session", textContent: "session" })),
    line.part);
  return { part, refresh: line.refresh };
}

function commandLine(text, label) {
  const code = el("code", { textContent: text() });
  const part = el("div", { className: "command" }, code, copyButton(text, label));
  return { part, refresh: () => (code.textContent = text()) };
}

function tryForm(path, method) {
  const body = el("textarea", {
    value: JSON.stringify(example(method.arguments), null, 1).replace(/\n\s*/g, " "),
    rows: 2, spellcheck: false, ariaLabel: `Arguments of ${method.name}, JSON`,
  });
  const result = el("output", { className: "result" });
  const form = el("form", { className: "attempt", hidden: true },
    body, el("button", { type: "submit", className: "button", textContent: "Call" }), result);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    result.replaceChildren(...await call(path(), body.value));
  });
  body.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
  return form;
}

/** Makes the call; answers what to show: status, time, request id, body. */
async function call(path, body) {
  const started = performance.now();
  try {
    const response = await fetch(path, {
      method: "POST",
      headers: body.trim() ? { "content-type": "application/json" } : {},
      body: body.trim() || undefined,
    });
    const text = await response.text();
    const ms = performance.now() - started;
    return [
      el("span", { className: response.ok ? "code is-ok" : "code is-error", textContent: response.status }),
      el("span", { className: "fact", textContent: `${ms.toFixed(ms < 10 ? 1 : 0)} ms` }),
      el("span", { className: "fact", textContent: response.headers.get("x-request-id") ?? "", title: "x-request-id" }),
      el("pre", { textContent: pretty(text) || "(empty)" }),
    ];
  } catch (error) {
    return [
      el("span", { className: "code is-error", textContent: "no answer" }),
      el("pre", { textContent: error.message }),
    ];
  }
}

/** A description as nodes: what stands between backticks is code. */
function prose(text = "") {
  return text.split("`").map((part, at) => (at % 2 === 1 ? el("code", { textContent: part }) : part));
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

/** The same call for a shell. A read with plain arguments is a GET, everything else a POST. */
function curl(path, method) {
  const url = location.origin + path;
  const values = example(method.arguments);
  const pairs = Object.entries(values ?? {});
  const plain = pairs.every(([, value]) => typeof value !== "object" || value === null);
  if (method.read && plain) {
    const query = new URLSearchParams(pairs.map(([name, value]) => [name, String(value)])).toString();
    return `curl ${quoted(query ? `${url}?${query}` : url)}`;
  }
  if (pairs.length === 0) return `curl -X POST ${quoted(url)}`;
  return `curl ${quoted(url)} --json ${quoted(JSON.stringify(values))}`;
}

function quoted(word) {
  if (/^[\w@%+=:,./-]+$/.test(word)) return word;
  return `'${word.replaceAll("'", String.raw`'\''`)}'`;
}

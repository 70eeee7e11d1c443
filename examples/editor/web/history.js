// The versions of the document: listed, looked at beside the text of now, restored, named, deleted.
import { call, read } from "./calls.js";
import { diffLines } from "./diff.js";
import { byId, el } from "./dom.js";
import { toast } from "./toast.js";

/** The list is read again this often while it is open: versions also come by themselves. */
const REFRESH_MS = 10_000;

export class History {
  #address;
  #editor;
  /** Number of the version that is looked at. */
  #shown = null;

  constructor(address, editor) {
    this.#address = address;
    this.#editor = editor;
    byId("history-toggle").addEventListener("click", () => this.#toggle());
    byId("version-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#attempt(() => this.#keep());
    });
    byId("preview-close").addEventListener("click", () => this.#close());
    byId("preview-restore").addEventListener("click", () => this.#attempt(() => this.#restore(this.#shown)));
    addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.#shown !== null) this.#close();
    });
    setInterval(() => {
      if (!byId("history").hidden) this.#refresh().catch(() => {}); // the status says that we are offline
    }, REFRESH_MS);
  }

  #toggle() {
    const panel = byId("history");
    panel.hidden = !panel.hidden;
    byId("history-toggle").setAttribute("aria-expanded", String(!panel.hidden));
    if (panel.hidden) {
      this.#close();
    } else {
      this.#attempt(() => this.#refresh());
      byId("version-name").focus();
    }
  }

  async #refresh() {
    const versions = await read(this.#address, "versions");
    const items = versions.map((version) => this.#item(version));
    const none = el("li", { className: "note", textContent: "There is none yet." });
    byId("versions").replaceChildren(...(items.length > 0 ? items : [none]));
  }

  #item(version) {
    const { number, name, before_restoring: restored } = version;
    const title = name ?? (restored === null ? "Kept by itself" : "Before a restore");
    const open = el("button", { type: "button", className: "version", dataset: { number }, ariaCurrent: String(number === this.#shown) },
      el("span", { className: name ? "version-name" : "version-kind", textContent: title }),
      el("time", { dateTime: new Date(version.at).toISOString(), textContent: moment(version.at) }));
    open.addEventListener("click", () => this.#attempt(() => this.#look(number, title)));
    const drop = el("button", { type: "button", className: "drop", textContent: "×", title: "Delete this version", ariaLabel: `Delete the version ${title}, ${moment(version.at)}` });
    drop.addEventListener("click", () => this.#attempt(() => this.#delete(number)));
    return el("li", {}, open, drop);
  }

  /** Shows a version, with the lines that restoring would bring back and those that it would take. */
  async #look(number, title) {
    const { version, text } = await read(this.#address, "version", { number });
    const lines = diffLines(this.#editor.text, text).map(({ kind, line }) =>
      el("div", { className: `line ${kind}` },
        ...(kind === "same" ? [] : [el("span", { className: "visually-hidden", textContent: kind === "new" ? "comes back: " : "would go: " })]),
        line === "" ? "\u200b" : line));
    const changed = lines.filter((line) => !line.classList.contains("same")).length;
    byId("preview-title").replaceChildren(
      el("strong", { textContent: title }), ` ${moment(version.at)}. `,
      changed === 0 ? "It says what the text says now." : "Restoring brings back the green lines and takes the red ones.");
    byId("preview-text").replaceChildren(...lines);
    this.#shown = number;
    byId("editor").hidden = true;
    byId("preview").hidden = false;
    byId("preview-title").focus();
    this.#mark();
  }

  #close() {
    this.#shown = null;
    byId("preview").hidden = true;
    byId("editor").hidden = false;
    this.#mark();
    this.#editor.focus();
  }

  #mark() {
    for (const button of byId("versions").querySelectorAll(".version")) {
      button.ariaCurrent = String(Number(button.dataset.number) === this.#shown);
    }
  }

  async #keep() {
    const field = byId("version-name");
    await call(this.#address, "save_version", { name: field.value.trim() });
    field.value = "";
    await this.#refresh();
  }

  async #restore(number) {
    const { undo } = await call(this.#address, "restore", { number });
    this.#close();
    await this.#refresh();
    if (undo === null) toast("The text says that already.");
    else toast("The version is back.", "Undo", () => this.#attempt(() => this.#restore(undo)));
  }

  async #delete(number) {
    await call(this.#address, "delete_version", { number });
    if (this.#shown === number) this.#close();
    await this.#refresh();
  }

  /** Says what went wrong, if anything does. */
  async #attempt(work) {
    try {
      await work();
    } catch (error) {
      toast(error.message);
    }
  }
}

function moment(at) {
  const date = new Date(at);
  const isToday = date.toDateString() === new Date().toDateString();
  const time = { hour: "2-digit", minute: "2-digit", second: "2-digit" };
  return isToday ? date.toLocaleTimeString([], time) : date.toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
}

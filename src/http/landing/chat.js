// A room of the `chat` namespace over one plain WebSocket. Lines carry sequence numbers: after a
// reconnect the history is merged by them, so nothing shows twice and nothing is missing.
import { byId, el, setStatus } from "./dom.js";
import { showPeople, toneOf } from "./people.js";

const RECONNECT_BASE_MS = 250;
const RECONNECT_MAX_MS = 8_000;
/** Lines kept on the page; the room's own history is the place for more. */
const SHOWN_LINES_MAX = 500;

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });

/** One person's presence in a room: connects at once and stays connected until the page goes. */
export class Chat {
  #room;
  #name;
  #you = "";
  #socket = null;
  #attempts = 0;
  #retry = 0;
  #lastSeq = 0;
  #unconfirmed = []; // said by us, not yet come back as a line: the room has not stored it for sure

  #log = byId("chat-log");
  #members = byId("chat-members");
  #status = byId("chat-status");
  #error = byId("chat-error");
  #input = byId("chat-input");

  constructor(room, name) {
    this.#room = room;
    this.#name = name;
    byId("chat-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#say(this.#input.value.trim());
    });
    // The network is back, or somebody looks: no reason to sit out a long pause.
    addEventListener("online", () => this.#hurry());
    document.addEventListener("visibilitychange", () => document.hidden || this.#hurry());
    this.#connect();
  }

  /** Enters again under another name. */
  rename(name) {
    if (name === this.#name) return;
    this.#name = name;
    this.#attempts = 0;
    this.#socket?.close(1000, "renamed");
    if (this.#retry !== 0) this.#hurry();
  }

  #connect() {
    clearTimeout(this.#retry);
    this.#retry = 0;
    const origin = location.origin.replace(/^http/, "ws");
    const query = new URLSearchParams({ name: this.#name });
    const socket = new WebSocket(`${origin}/v1/chat/${encodeURIComponent(this.#room)}?${query}`);
    this.#socket = socket;
    setStatus(this.#status, "waiting", "connecting");
    socket.addEventListener("message", ({ data }) => this.#received(data));
    socket.addEventListener("close", () => this.#lost());
  }

  #lost() {
    this.#socket = null;
    showPeople(this.#members, [], "");
    setStatus(this.#status, "down", "reconnecting");
    // Full jitter: a thousand windows of one restarted server must not come back in one instant.
    const ceiling = Math.min(RECONNECT_MAX_MS, RECONNECT_BASE_MS * 2 ** this.#attempts);
    this.#attempts += 1;
    this.#retry = setTimeout(() => this.#connect(), Math.random() * ceiling);
  }

  #hurry() {
    if (this.#socket === null) this.#connect();
  }

  #received(data) {
    const message = JSON.parse(data);
    switch (message.type) {
      case "welcome": return this.#welcomed(message);
      case "line": return this.#showLine(message);
      case "joined":
      case "left":
        this.#showMembers(message.members);
        return this.#append(el("li", { className: "note", textContent: `${message.name} ${message.type}` }));
      case "error": return this.#showError(message.detail ?? message.code);
      default: // a newer server may say more than this page knows
    }
  }

  #welcomed({ you, members, history }) {
    this.#attempts = 0;
    // A room that forgot lines starts its numbers anew; what it shows now is what it has.
    const newest = history.at(-1)?.seq ?? 0;
    if (newest < this.#lastSeq) {
      this.#log.replaceChildren();
      this.#lastSeq = 0;
    }
    history.forEach((line) => this.#showLine(line));
    this.#you = you;
    history.forEach((line) => this.#confirm(line));
    this.#returnUnsaid();
    this.#showMembers(members);
    this.#showError("");
  }

  #showMembers(members) {
    showPeople(this.#members, members, this.#you);
    setStatus(this.#status, "live", members.length === 1 ? "only you" : `${members.length} here`);
  }

  #say(text) {
    if (text === "") return;
    if (this.#socket?.readyState !== WebSocket.OPEN) {
      // The words stay in the field: they are sent when the person sees that they can be.
      return this.#showError("Not connected. Your words are kept here; send them again in a moment.");
    }
    this.#socket.send(JSON.stringify({ type: "say", text }));
    this.#unconfirmed.push(text);
    this.#input.value = "";
    this.#showError("");
  }

  #showLine({ seq, from, text, at }) {
    this.#confirm({ from, text });
    if (seq <= this.#lastSeq) return;
    this.#lastSeq = seq;
    const time = new Date(at);
    this.#append(el("li", { className: `line tone-${toneOf(from)}`, dataset: { seq } },
      el("span", { className: "from", textContent: from }),
      el("time", { dateTime: time.toISOString(), textContent: clock.format(time) }),
      el("span", { className: "text", textContent: text })));
  }

  #confirm({ from, text }) {
    if (from !== this.#you) return;
    const at = this.#unconfirmed.indexOf(text);
    if (at !== -1) this.#unconfirmed.splice(at, 1);
  }

  /** What a lost connection swallowed goes back into the field, to be sent again or not. */
  #returnUnsaid() {
    if (this.#unconfirmed.length > 0 && this.#input.value === "") {
      this.#input.value = this.#unconfirmed.join(" ");
    }
    this.#unconfirmed = [];
  }

  #append(item) {
    const log = this.#log;
    // Who has scrolled up is reading: only a log that stands at its end follows new lines.
    const follows = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
    log.append(item);
    while (log.childElementCount > SHOWN_LINES_MAX) log.firstElementChild.remove();
    if (follows) log.scrollTop = log.scrollHeight;
  }

  #showError(text) {
    this.#error.textContent = text;
    this.#error.hidden = text === "";
  }
}

// Starts the parts of the page. `?doc=` and `?room=` name the two live objects.
import { Chat } from "./chat.js";
import { byId } from "./dom.js";
import { SharedEditor } from "./editor.js";
import { showNamespaces } from "./namespaces.js";
import { keepOwnName, ownName, toneOf } from "./people.js";
import { watchServer } from "./server.js";

const asked = new URLSearchParams(location.search);
const documentName = asked.get("doc") || "welcome";
const room = asked.get("room") || "lobby";

watchServer(showNamespaces);
const name = ownName();
const chat = new Chat(room, name);
const editor = new SharedEditor(documentName, name);

byId("second-window").href = location.href;
nameField(byId("chat-name"));
addressForm(byId("doc-form"), byId("doc-name"), documentName);
addressForm(byId("room-form"), byId("room-name"), room);

/** The field with the person's own name; a change holds for the chat and the document. */
function nameField(field) {
  const paint = () => (field.parentElement.className = `whoami tone-${toneOf(field.value)}`);
  field.value = name;
  paint();
  field.addEventListener("input", paint);
  field.addEventListener("change", () => {
    field.value = field.value.trim() || ownName();
    paint();
    keepOwnName(field.value);
    chat.rename(field.value);
    editor.rename(field.value);
  });
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault(); // Enter here means the name, not the line below
    byId("chat-input").focus();
  });
}

/** A field in a panel's head that goes to another object of its namespace. */
function addressForm(form, field, value) {
  field.value = value;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    field.blur();
  });
  field.addEventListener("change", () => {
    const next = new URL(location.href);
    next.searchParams.set(field.name, field.value.trim() || value);
    location.assign(next);
  });
}

// The page: one document, named by the URL (`/?doc=notes`).
import { byId } from "./dom.js";
import { Editor } from "./editor.js";
import { History } from "./history.js";
import { keepOwnName, ownName } from "./people.js";
import { showStatus } from "./status.js";
import { countWords } from "./words.js";

const name = new URLSearchParams(location.search).get("doc")?.trim() || "welcome";
const address = `v1/document/${encodeURIComponent(name)}`;

document.title = name;
byId("doc-name").value = name;
byId("doc-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const other = byId("doc-name").value.trim();
  if (other && other !== name) location.search = new URLSearchParams({ doc: other });
});

const own = byId("own-name");
own.value = ownName();
const editor = new Editor(name, own.value);
own.addEventListener("change", () => {
  own.value = own.value.trim() || ownName();
  keepOwnName(own.value);
  editor.rename(own.value);
});

showStatus(byId("status"), editor.saved);
editor.onText((text) => (byId("count").textContent = countWords(text)));
new History(address, editor);

for (const [link, file] of [["markdown", "codemirror.md"], ["json", "document.json"]]) {
  byId(link).href = `${address}/-/${file}`;
  byId(link).download = `${name}.${file.split(".")[1]}`;
}
byId("share").addEventListener("click", async () => {
  const button = byId("share");
  // Missing outside secure contexts: a page opened over plain HTTP from another machine.
  const copied = await navigator.clipboard?.writeText(location.href).then(() => true, () => false);
  button.textContent = copied ? "Copied" : "Copy the address bar";
  setTimeout(() => (button.textContent = "Copy link"), 2000);
});
// Nothing to save by hand, and the browser's own answer to Ctrl+S would only be in the way.
addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key === "s") event.preventDefault();
});

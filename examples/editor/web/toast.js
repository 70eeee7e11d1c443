// A sentence at the bottom of the page for a while, with something to do about it.
import { byId } from "./dom.js";

const SHOWN_MS = 8_000;
let timer;

export function toast(text, action, run) {
  const box = byId("toast");
  const [sentence, button] = box.children;
  sentence.textContent = text;
  button.hidden = action === undefined;
  button.textContent = action ?? "";
  button.onclick = () => {
    box.hidden = true;
    run();
  };
  box.hidden = false;
  clearTimeout(timer);
  timer = setTimeout(() => (box.hidden = true), SHOWN_MS);
}

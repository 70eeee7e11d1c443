// Elements without a framework. Text always goes in as text nodes, so nothing a person typed can
// become markup.

/** The element of the page with this id; its absence is a mistake in index.html. */
export function byId(id) {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`index.html has no element #${id}`);
  return found;
}

/** Makes an element. Properties are set as properties, `dataset` entries as data attributes. */
export function el(tag, { dataset = {}, ...properties } = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  Object.assign(element.dataset, dataset);
  element.append(...children);
  return element;
}

/**
 * Says in a status pill what a connection does.
 * @param {"live" | "waiting" | "down"} state picks the colour
 */
export function setStatus(pill, state, text) {
  // A live region announces every write, so an unchanged text must not be written again.
  if (pill.dataset.state === state && pill.textContent === text) return;
  pill.dataset.state = state;
  pill.textContent = text;
}

/** `1 session`, `2 sessions`. */
export function count(number, noun) {
  return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
}

/** A button that copies what `text()` gives at the moment of the click. */
export function copyButton(text, label) {
  const button = el("button", { type: "button", className: "copy", textContent: "Copy", ariaLabel: label });
  button.addEventListener("click", async () => {
    button.textContent = (await copy(text())) ? "Copied" : "Select it";
    setTimeout(() => (button.textContent = "Copy"), 1500);
  });
  return button;
}

async function copy(text) {
  try {
    // Missing outside secure contexts: a page opened over plain HTTP from another machine.
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const carrier = el("textarea", { value: text, className: "visually-hidden" });
    document.body.append(carrier);
    carrier.select();
    const copied = document.execCommand("copy");
    carrier.remove();
    return copied;
  }
}

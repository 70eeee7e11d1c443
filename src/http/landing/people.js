// Who is at this window, and how people are drawn: a name and one of eight tones. The tone follows
// from the name, so one person has one colour in the chat and in the document, in every window.
import { el } from "./dom.js";

/** Tones in style.css: `--tone-0` to `--tone-7`. */
export const TONES = 8;

const STORED_NAME = "abide.name";
const FIRST = ["Amber", "Brisk", "Calm", "Clever", "Gentle", "Keen", "Merry", "Quiet", "Sunny", "Swift"];
const LAST = ["Badger", "Crane", "Dolphin", "Finch", "Hare", "Heron", "Lynx", "Marten", "Otter", "Wren"];

/** The name kept for this window, or a fresh one. Each window is its own person. */
export function ownName() {
  const stored = sessionStorage.getItem(STORED_NAME);
  if (stored) return stored;
  const name = `${pick(FIRST)} ${pick(LAST)}`;
  keepOwnName(name);
  return name;
}

/** Keeps the name over reloads of this window. */
export function keepOwnName(name) {
  sessionStorage.setItem(STORED_NAME, name);
}

/** The tone of a name, 0 to 7: FNV-1a over its UTF-16 units. */
export function toneOf(name) {
  let hash = 0x811c9dc5;
  for (let at = 0; at < name.length; at++) {
    hash = Math.imul(hash ^ name.charCodeAt(at), 0x01000193);
  }
  return (hash >>> 0) % TONES;
}

/** Fills a list with one round badge per person; past `shown`, a badge with the number of the rest. */
export function showPeople(list, names, self, shown = 5) {
  const badges = names.slice(0, shown).map((name) =>
    el("li", { className: `person tone-${toneOf(name)}`, title: name === self ? `${name} (you)` : name },
      el("span", { ariaHidden: "true", textContent: initials(name) }),
      el("span", { className: "visually-hidden", textContent: name })),
  );
  if (names.length > shown) {
    badges.push(el("li", { className: "person more", textContent: `+${names.length - shown}` }));
  }
  list.replaceChildren(...badges);
}

function initials(name) {
  const words = name.trim().split(/\s+/);
  // Spread, not index: the first letter of a name may be two UTF-16 units.
  return words.slice(0, 2).map((word) => [...word][0] ?? "").join("").toUpperCase();
}

function pick(list) {
  return list[Math.floor(Math.random() * list.length)];
}

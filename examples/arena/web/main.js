// The page: a menu, then a game. What happens sixty times a second is in `frame`.
import { Game } from "./game.js";
import { Hud } from "./hud.js";
import { Input } from "./input.js";
import { Lobby } from "./lobby.js";
import { Connection } from "./net.js";
import { KEY, KIND, SIZE, TICK_MS } from "./rules.js";
import { Scene, hasHit } from "./scene.js";
import { Sound } from "./sound.js";

/** How long a ship is down, as the server has it. */
const DOWN_MS = 3000;
/** More steps than this at once are not made up for: the page has slept. */
const STEPS_MAX = 6;

const find = (selector) => document.querySelector(selector);
const scene = new Scene(find("#stage"));
const hud = new Hud();
const sound = new Sound();
const input = new Input(find("#stage"), { stick: find("#stick"), fire: find("#fire"), boost: find("#boost") });
const game = new Game({ vanished });

let connection = null;
let lobby = null;
let downAt = null;
let room = "";

// ---- the menu

function showMenu() {
  find("#menu").hidden = false;
  document.body.dataset.mode = "menu";
  lobby ??= new Lobby(listRooms);
}

function listRooms() {
  const list = find("#rooms");
  list.replaceChildren(...lobby.rooms.slice(0, 6).map(({ name, players }) => {
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.room = name;
    const label = document.createElement("span");
    label.textContent = name;
    const count = document.createElement("b");
    count.textContent = `${players} playing`;
    button.append(label, count);
    button.addEventListener("click", () => (find("#room").value = name));
    return button;
  }));
  find("#room").placeholder = lobby.suggestion;
}

find("#menu form").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = find("#name").value.trim();
  if (!name) return find("#name").focus();
  play(find("#room").value.trim() || lobby.suggestion, name);
});

find("#sound").addEventListener("click", toggleSound);
find("#leave").addEventListener("click", () => {
  sessionStorage.removeItem("arena");
  location.hash = "";
  location.reload();
});
addEventListener("keydown", (event) => {
  if (event.code === "KeyM" && !(event.target instanceof HTMLInputElement)) toggleSound();
});

function toggleSound() {
  find("#sound").textContent = sound.toggle() ? "Sound on" : "Sound off";
}

// ---- a game

function play(where, name, token = newToken()) {
  room = where;
  // The token is what the ship is known by. It is kept for this tab: two tabs are two pilots.
  sessionStorage.setItem("arena", JSON.stringify({ room, name, token }));
  localStorage.setItem("arena-name", name);
  location.hash = room;
  lobby?.close();
  lobby = null;
  find("#menu").hidden = true;
  document.body.dataset.mode = "game";
  document.activeElement?.blur();
  find("#room-name").textContent = room;
  connection = new Connection(room, name, token, {
    begins,
    state: (state, reason) => hud.connection(state, reason),
    text: said,
    binary: (buffer) => game.hear(buffer),
  });
}

function newToken() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function begins() {
  game.begin();
  downAt = null;
}

function said(event) {
  if (event.type === "joined") {
    game.ship = event.ship;
    game.prediction.lose();
    hud.best(event.best);
  } else if (event.type === "best") {
    hud.best(event.best);
  } else if (event.type === "error") {
    hud.tell(event.detail);
  } else if (event.type === "down") {
    const { who, ship, by, whose, streak } = event;
    const named = (name, id) => [name, hueOf(id)];
    if (ship === game.ship) downAt = performance.now();
    if (by === null) hud.tell(named(who, ship), " flew into a rock");
    else hud.tell(named(whose, by), " shot down ", named(who, ship), streak > 1 ? ` and ended a streak of ${streak}` : "");
    find("#killer").textContent = by === null ? "a rock" : whose;
  }
}

function hueOf(id) {
  const hue = game.roster.get(id)?.hue;
  return hue === 0 ? null : (hue ?? 200);
}

function who(id) {
  const { name = "", hue = 200 } = game.roster.get(id) ?? {};
  return { name, hue: Math.round(hue / 12) * 12, isDrone: hue === 0, isMe: id === game.ship };
}

function vanished(thing, at, tick) {
  if (!hasHit(thing.row, tick)) return;
  scene.vanish(thing, at, who(thing.row.kind === KIND.shot ? thing.row.size : thing.id));
  const loudness = scene.loudness(at.x, at.y);
  if (thing.row.kind === KIND.ship || thing.row.kind === KIND.rock) sound.boom(loudness);
  if (thing.row.kind === KIND.power && loudness > 0.9) sound.gift();
}

// ---- the clock

let last = performance.now();
let behind = 0;
let keys = 0;
let hull = 0;

function frame(now) {
  const seconds = Math.min((now - last) / 1000, 0.1);
  behind += now - last;
  last = now;
  if (behind > STEPS_MAX * TICK_MS) behind = 0;
  const { prediction } = game;
  keys = document.hidden ? 0 : input.keys(prediction.body?.angle);
  while (behind >= TICK_MS) {
    behind -= TICK_MS;
    if (document.body.dataset.connection === "open") connection.input(prediction.press(keys), keys);
  }
  const own = prediction.drawn(keys, behind / TICK_MS, seconds);
  feel(own);
  scene.draw(game, own, who, seconds, connection === null);
  hud.roster(game.roster, game.ship, now);
  const row = own ? game.things.get(game.ship)?.row ?? null : null;
  hud.gauges(row, own?.energy ?? 0, downAt === null || own ? null : (downAt + DOWN_MS - now) / 1000);
  if (!connection) drift(now);
  requestAnimationFrame(frame);
}

/** What the own ship goes through is felt: a hit shakes, a shot sounds. */
function feel(own) {
  const thing = own && game.things.get(game.ship);
  if (!thing) return void (hull = 0);
  const now = thing.row.hull + thing.row.size;
  if (now < hull) {
    thing.hurtAt = performance.now() / 1000;
    scene.shake(9);
    sound.hit();
  }
  hull = now;
  if (keys & KEY.fire && performance.now() - (thing.firedAt ?? 0) > 240) {
    thing.firedAt = performance.now();
    sound.shot(1);
  }
}

/** Behind the menu the eye wanders. */
function drift(now) {
  scene.eye.x = SIZE / 2 + Math.sin(now / 23000) * 1800;
  scene.eye.y = SIZE / 2 + Math.cos(now / 31000) * 1500;
}

// A page that is not looked at sends no more inputs: the last one says that no key is down.
document.addEventListener("visibilitychange", () => {
  input.release();
  if (document.hidden && connection) connection.input(game.prediction.press(0), 0);
});

find("#name").value = localStorage.getItem("arena-name") ?? "";
find("#room").value = decodeURIComponent(location.hash.slice(1));
const kept = JSON.parse(sessionStorage.getItem("arena") ?? "null");
if (kept) play(kept.room, kept.name, kept.token);
else showMenu();
requestAnimationFrame(frame);

// What the tests look at.
globalThis.arena = { game, scene, input, sessionId: () => connection?.id };

// Everything that is text or a gauge: it lies over the canvas as ordinary elements.
import { HULL_MAX } from "./rules.js";

/** Lines of the score table, as many as there is room for beside the game: on a phone fewer. */
const LINES = matchMedia("(pointer: coarse), (max-width: 700px)").matches ? 5 : 8;
const FEED_MAX = 5;
const FEED_MS = 6000;
const find = (selector) => document.querySelector(selector);

export class Hud {
  #feed = find("#feed");
  #score = find("#score tbody");
  #minimap = find("#minimap").getContext("2d");
  #drawnAt = 0;

  /** A sentence that goes away by itself. Parts are texts, or `[text, hue]` for the name of a ship. */
  tell(...parts) {
    const line = document.createElement("li");
    for (const part of parts) {
      const [text, hue] = Array.isArray(part) ? part : [part];
      const span = document.createElement("span");
      span.textContent = text;
      if (hue !== undefined) span.style.setProperty("--hue", hue);
      span.className = hue === undefined ? "" : hue === null ? "drone" : "pilot";
      line.append(span);
    }
    this.#feed.append(line);
    while (this.#feed.children.length > FEED_MAX) this.#feed.firstChild.remove();
    setTimeout(() => line.remove(), FEED_MS);
  }

  connection(state, reason) {
    const shown = { connecting: "Connecting…", reconnecting: "Connection lost. Your ship waits for you; reconnecting…", closed: reason || "Closed" };
    const banner = find("#banner");
    banner.textContent = shown[state] ?? "";
    banner.hidden = state === "open";
    document.body.dataset.connection = state;
  }

  /** What the own ship has: its row, or null when it is down; energy as predicted. */
  gauges(row, energy, back) {
    find("#gauges").hidden = !row;
    find("#down").hidden = row !== null || back === null;
    if (!row) {
      find("#back").textContent = back === null ? "" : Math.max(0, back).toFixed(1);
      return;
    }
    const hull = find("#hull");
    if (hull.dataset.left !== `${row.hull}/${row.size}`) {
      hull.dataset.left = `${row.hull}/${row.size}`;
      hull.replaceChildren(...Array.from({ length: HULL_MAX + row.size }, (_, at) => {
        const cell = document.createElement("i");
        cell.className = at >= HULL_MAX ? "shield" : at < row.hull ? "full" : "";
        return cell;
      }));
    }
    find("#energy i").style.setProperty("--part", energy / 100);
  }

  /** The score table and the minimap; a few times a second is often enough. */
  roster(roster, me, now) {
    if (now - this.#drawnAt < 200) return;
    this.#drawnAt = now;
    const ships = [...roster].sort(([, one], [, two]) => two.points - one.points);
    const place = ships.findIndex(([id]) => id === me);
    const shown = ships.slice(0, LINES);
    if (place >= LINES) shown[LINES - 1] = ships[place];
    this.#score.replaceChildren(...shown.map(([id, ship]) => line(ships.indexOf(shown.find(([other]) => other === id)) + 1, ship, id === me)));
    find("#players").textContent = `${ships.length} ship${ships.length === 1 ? "" : "s"}`;
    const own = roster.get(me);
    find("#points").textContent = own ? own.points.toLocaleString("en") : "0";
    find("#place").textContent = place < 0 ? "" : `#${place + 1} of ${ships.length}`;
    this.#map(ships, me);
  }

  best(lines) {
    find("#best ol").replaceChildren(...lines.slice(0, 5).map(({ name, points }) => {
      const item = document.createElement("li");
      const who = document.createElement("span");
      const what = document.createElement("b");
      who.textContent = name;
      what.textContent = points.toLocaleString("en");
      item.append(who, what);
      return item;
    }));
    find("#best").hidden = lines.length === 0;
  }

  #map(ships, me) {
    const canvas = this.#minimap;
    const side = canvas.canvas.width;
    canvas.clearRect(0, 0, side, side);
    canvas.strokeStyle = "rgba(150, 175, 255, 0.14)";
    canvas.beginPath();
    for (const at of [0.25, 0.5, 0.75]) {
      canvas.moveTo(at * side, 0);
      canvas.lineTo(at * side, side);
      canvas.moveTo(0, at * side);
      canvas.lineTo(side, at * side);
    }
    canvas.stroke();
    for (const [id, { x, y, hue, state }] of ships) {
      if (state & 1 && id !== me) continue;
      const [atX, atY] = [(x / 120) * side, (y / 120) * side];
      canvas.fillStyle = id === me ? "#ffffff" : hue === 0 ? "#ff5d5d" : `hsl(${hue} 95% 66%)`;
      canvas.beginPath();
      canvas.arc(atX, atY, id === me ? 4.5 : 2.8, 0, 2 * Math.PI);
      canvas.fill();
      if (id !== me) continue;
      canvas.strokeStyle = "rgba(255, 255, 255, 0.5)";
      canvas.beginPath();
      canvas.arc(atX, atY, 9, 0, 2 * Math.PI);
      canvas.stroke();
    }
  }
}

function line(place, { name, points, hue, state }, isMe) {
  const row = document.createElement("tr");
  row.className = [isMe && "me", hue === 0 && "drone", state & 2 && "away"].filter(Boolean).join(" ");
  row.style.setProperty("--hue", hue);
  for (const text of [place, name, points.toLocaleString("en")]) row.insertCell().textContent = text;
  return row;
}

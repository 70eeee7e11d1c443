// The game of examples/arena in real browsers: players see each other fly and shoot. A network that goes and comes back, and
// a restart, are a pause that nobody else sees; the server is killed and started again, and everybody is in the same ship
// as before, with the same points. Exits with 77
// when there is no Chromium, or no program: ARENA_BIN names one that lies elsewhere than beside ABIDE_BIN.
// PLAYERS is how many browser windows play (2), SHOTS a folder for screenshots.
import { setTimeout as pause } from "node:timers/promises";
import { Cable } from "./lib/cable.mjs";
import { expect, ok, until } from "./lib/check.mjs";
import { Stage } from "./lib/stage.mjs";

const ROOM = "duel";
const PLAYERS = Number(process.env.PLAYERS ?? 2);
const NAMES = ["Ada", "Bob", "Cleo", "Dan", "Eve", "Finn", "Gil", "Hana"];
/** Pictures come slowly without a graphics card, and two windows share it. */
const PATIENCE = { deadlineMs: 60_000, everyMs: 100 };
const stage = new Stage("arena");

let abide;
/** The first player's network. */
let cable;

await stage.run(async () => {
  abide = stage.server;

  const players = [];
  cable = await Cable.lay(abide.address);
  stage.atEnd(() => cable.remove());
  for (const [at, name] of NAMES.slice(0, PLAYERS).entries()) {
    players.push(await enter(name, at === 0 ? cable.address : abide.address));
  }
  const [ada, bob] = players;
  await until("everybody lists everybody", async () => (await Promise.all(players.map((page) => look(page)))).every(
    ({ names }) => NAMES.slice(0, PLAYERS).every((name) => names.includes(name)),
  ), PATIENCE);
  ok(`${PLAYERS} pages are in one room and list each other`);
  const rooms = await (await fetch(`http://${abide.address}/v1/arena-lobby/lobby/rooms`)).json();
  await until("the lobby counts them", async () => (rooms[0]?.players === PLAYERS) || (await lobby())[0]?.players === PLAYERS, PATIENCE);
  ok("the lobby says how many play where");

  await sees(ada, bob);
  await movesForBoth(ada, bob);
  await scores(ada);
  await stage.shot(ada, "arena-game");

  await isOnlyAPause("a network that is gone for three seconds", players, async () => {
    cable.tear();
    await until("the page notices", async () => (await look(ada)).connection === "reconnecting", PATIENCE);
    await pause(3_000);
    cable.mend();
  });
  await isOnlyAPause("a network that gets stuck until the page gives up", players, async () => {
    cable.cut();
    await until("the page notices", async () => (await look(ada)).connection === "reconnecting", PATIENCE);
    cable.mend();
  });
  await isOnlyAPause("a restart of the server", players, async () => {
    await abide.drain();
    await until("the page notices", async () => (await look(ada)).connection === "reconnecting", PATIENCE);
    await abide.start();
  });
  await movesForBoth(ada, bob);
  await movesForBoth(bob, ada);

  const before = await Promise.all(players.map(look));
  const best = await firstBest();
  await abide.kill();
  await until("the pages notice", async () => (await look(ada)).connection === "reconnecting", PATIENCE);
  await stage.shot(ada, "arena-server-down");
  await abide.start();
  for (const [at, page] of players.entries()) {
    const after = await until("the page is back by itself", async () => {
      const seen = await look(page);
      return seen.connection === "open" && seen.own && seen.name && seen;
    }, PATIENCE);
    // Positions are saved every two seconds, points of a ship with them.
    expect(after.name === before[at].name, `${before[at].name} came back as ${after.name}`);
  }
  const bestAfter = await (await fetch(`http://${abide.address}/v1/arena/${ROOM}/best`)).json();
  for (const { name, points } of best) {
    const found = bestAfter.find((line) => line.name === name)?.points ?? 0;
    expect(found >= points, `${name} had ${points} points of all times before SIGKILL and has ${found}`);
  }
  ok("after SIGKILL the pages are back in their ships by themselves, and no point of all times is lost");

  const ship = (await look(bob)).ship;
  await bob.reload();
  await until("the reloaded page has its ship", async () => {
    const seen = await look(bob).catch(() => null);
    return seen?.connection === "open" && seen.ship === ship;
  }, PATIENCE);
  ok("a page that is loaded anew has its ship again");
  await movesForBoth(ada, bob);

  await playsOnAPhone("upright", { width: 390, height: 844 });
  await playsOnAPhone("on its side", { width: 844, height: 390 });

  await ada.click("#leave");
  await ada.locator(`#rooms button[data-room="${ROOM}"]`).waitFor({ timeout: PATIENCE.deadlineMs });
  await stage.shot(ada, "arena-menu");
  ok("the menu lists the room");
});

async function lobby() {
  return (await fetch(`http://${abide.address}/v1/arena-lobby/lobby/rooms`)).json();
}

async function enter(name, address) {
  const page = await stage.open({ viewport: { width: 900, height: 620 } });
  await page.goto(`http://${address}/arena/`);
  await page.locator("#name").fill(name);
  await page.locator("#room").fill(ROOM);
  await page.locator(".play").click();
  await until(`${name} flies`, async () => (await look(page)).own, PATIENCE);
  return page;
}

/** What a page knows. */
function look(page) {
  return page.evaluate(() => {
    const { game } = globalThis.arena;
    const body = game.prediction.body;
    return {
      session: globalThis.arena.sessionId(),
      ship: game.ship,
      name: game.roster.get(game.ship)?.name,
      points: game.roster.get(game.ship)?.points ?? 0,
      names: [...game.roster.values()].map(({ name }) => name),
      own: body && { x: body.x, y: body.y },
      places: Object.fromEntries([...game.roster].map(([id, { x, y }]) => [id, { x: x * 50, y: y * 50 }])),
      ships: Object.fromEntries([...game.things].filter(([, { row }]) => row.kind === 0).map(([id, { row }]) => [id, { x: row.x, y: row.y }])),
      shots: [...game.things.values()].filter(({ row }) => row.kind === 2 && row.size === game.ship).length,
      connection: document.body.dataset.connection,
    };
  });
}

/** Everybody is in the same session and flies the same ship after it, and meanwhile the others have not seen the first one leave. */
async function isOnlyAPause(what, players, happens) {
  const before = await Promise.all(players.map(look));
  const [{ name }] = before;
  for (const page of players.slice(1)) await page.evaluate((name) => {
    globalThis.seenAway = 0;
    globalThis.watching = setInterval(() => {
      const { game } = globalThis.arena;
      for (const row of game.roster.values()) if (row.name === name && row.state & 2) globalThis.seenAway += 1;
    }, 20);
  }, name);
  await happens();
  for (const [at, page] of players.entries()) {
    const after = await until(`${before[at].name} goes on after ${what}`, async () => {
      const seen = await look(page);
      return seen.connection === "open" && seen.own && seen.name && seen;
    }, PATIENCE);
    expect(after.session === before[at].session, `${what} was a new session for ${before[at].name}`);
    expect(after.name === before[at].name, `${before[at].name} came back as ${after.name}`);
    expect(after.points >= before[at].points, `${before[at].name} had ${before[at].points} points and has ${after.points}`);
  }
  for (const page of players.slice(1)) {
    const seenAway = await page.evaluate(() => (clearInterval(globalThis.watching), globalThis.seenAway));
    expect(seenAway === 0, `${name} was seen away during ${what}`);
  }
  ok(`${what} is only a pause: same session, same ship, and nobody has seen it leave`);
}

/** Both are on the other's minimap, where they say they are. */
async function sees(one, other) {
  await until("a ship is on the other page's map where it is", async () => {
    const [mine, theirs] = [await look(one), await look(other)];
    const place = mine.places[theirs.ship];
    return theirs.own && place && Math.hypot(place.x - theirs.own.x, place.y - theirs.own.y) < 400;
  }, PATIENCE);
  ok("each page has the other's ship on its map, where it is");
}

async function movesForBoth(one, other) {
  const ship = (await look(other)).ship;
  const from = await until("it is on the map", async () => (await look(one)).places[ship], PATIENCE);
  await other.bringToFront();
  await other.keyboard.down("KeyW");
  await until("the other page sees it move", async () => {
    const to = (await look(one)).places[ship];
    return to && Math.hypot(to.x - from.x, to.y - from.y) > 120;
  }, PATIENCE);
  await other.keyboard.up("KeyW");
  ok("what one page flies, the other sees");
}

/** Turns and shoots until something has given points. */
async function scores(page) {
  await page.bringToFront();
  await page.keyboard.down("Space");
  await until("its shots are on the way", async () => (await look(page)).shots > 0, PATIENCE);
  ok("shots are seen");
  await page.keyboard.down("KeyW");
  await until("it has points", async () => {
    await page.keyboard.down("KeyA");
    await page.waitForTimeout(250);
    await page.keyboard.up("KeyA");
    await page.waitForTimeout(500);
    return (await look(page)).points > 0;
  }, { deadlineMs: 120_000 });
  await page.keyboard.up("Space");
  await page.keyboard.up("KeyW");
  ok("what is hit gives points");
}

/** Everything to be touched and read lies on the screen and beside the rest, and the buttons do what they say. */
async function playsOnAPhone(how, viewport) {
  const page = await stage.open({ viewport, hasTouch: true, isMobile: true });
  await page.goto(`http://${abide.address}/arena/`);
  const play = await page.locator(".play").boundingBox();
  expect(play.y + play.height <= viewport.height, `"Play" ends at ${play.y + play.height} px of ${viewport.height}`);
  await page.locator("#name").fill("A pilot named so");
  await page.locator("#room").fill("a-room-with-a-name-as-long-as-can-be");
  await page.locator(".play").tap();
  await until("the phone flies", async () => (await look(page)).own, PATIENCE);
  const boxes = await until("all is shown", () => page.evaluate(() => {
    const shown = ["#own", "#score", "#minimap", "#gauges", "#sound", "#leave", "#boost", "#fire"].map((selector) => {
      const { left, top, right, bottom } = document.querySelector(selector).getBoundingClientRect();
      return { selector, left, top, right, bottom };
    });
    return shown.every(({ left, right }) => right > left) && shown;
  }), PATIENCE);
  for (const [at, one] of boxes.entries()) {
    const fits = one.left >= 0 && one.top >= 0 && one.right <= viewport.width && one.bottom <= viewport.height;
    expect(fits, `${how}: ${JSON.stringify(one)} leaves the screen`);
    for (const other of boxes.slice(at + 1)) {
      const beside = one.right <= other.left || other.right <= one.left || one.bottom <= other.top || other.bottom <= one.top;
      expect(beside, `${how}: ${one.selector} and ${other.selector} overlap`);
    }
  }
  const touch = { pointerType: "touch", pointerId: 7 };
  await page.dispatchEvent("#fire", "pointerdown", touch);
  await until("the phone's shots are on the way", async () => (await look(page)).shots > 0, PATIENCE);
  await page.dispatchEvent("#fire", "pointerup", touch);
  await stage.shot(page, `arena-phone-${viewport.width}`);
  await page.locator("#leave").tap();
  await page.locator(".play").waitFor({ timeout: PATIENCE.deadlineMs });
  await page.context().close();
  ok(`on a phone ${how} nothing overlaps, and it plays`);
}

/** The table of all times once it has a line. What it shows is durable: that is what it promises. */
function firstBest() {
  return until("the table of all times has a line", async () => {
    const best = await (await fetch(`http://${abide.address}/v1/arena/${ROOM}/best`)).json();
    return best.length > 0 && best;
  }, { deadlineMs: 20_000 });
}

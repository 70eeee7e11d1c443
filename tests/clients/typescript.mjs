// Our own client, `clients/typescript` as it is built, in a browser: what only a browser does to a
// session, and its EventSource. A page that is loaded again goes on with its session, one that is left ends it at once, a
// tab that is duplicated does not take it over; and all of it through a restart of the server.
import { readFile } from "node:fs/promises";
import { Chatter } from "./lib/chatter.mjs";
import { expect, ok, until } from "./lib/check.mjs";
import { Stage } from "./lib/stage.mjs";

const BUILT = new URL("../../clients/typescript/dist/", import.meta.url);

const stage = new Stage();

let abide;

await stage.run(async () => {
  abide = stage.server;
  const bob = await Chatter.enter(abide.address, "room", "Bob");
  const page = await visit("Ada", "sessionStorage");
  await says(page, "from the browser");
  await bob.hears("from the browser");
  const id = await page.evaluate("session.id");

  await page.reload();
  await enter(page, "Ada", "sessionStorage");
  expect(await page.evaluate("session.id") === id, "the page that was loaded again has another session");
  await says(page, "after the reload");
  await bob.hears("after the reload");
  expect(!bob.find("left"), "the reload was seen as leaving");
  ok("a page that is loaded again goes on with its session, and nobody sees it leave");

  const copy = await page.evaluate("JSON.stringify(sessionStorage)");
  expect(copy === "{}", `a page in use leaves its token in the storage, where a duplicated tab finds it: ${copy}`);
  ok("a duplicated tab finds no token");

  const fed = await visit("Fay", "undefined");
  await fed.evaluate(`{
    globalThis.fed = { lines: [], welcomes: 0 };
    const feed = client.object("chat", "room").feed({ query: { name: "Fay" } });
    feed.on("welcome", () => (fed.welcomes += 1));
    feed.on("message", (data) => JSON.parse(data).type === "line" && fed.lines.push(JSON.parse(data).text));
  }`);
  await until("the feed is there", () => fed.evaluate("fed.welcomes === 1"));
  await says(page, "to the feed");
  await until("the feed has the line", () => fed.evaluate('fed.lines.includes("to the feed")'));

  await abide.drain();
  await until("the page notices", () => page.evaluate('session.state === "reconnecting"'));
  await abide.start();
  await says(page, "after the restart");
  expect(await page.evaluate("session.id") === id, "the session did not live through the restart");
  expect(await page.evaluate("resets.length") === 0, "the restart was a reset");
  ok("a restart of the server is no end of it");

  await until("the feed is back", () => fed.evaluate("fed.welcomes === 2"));
  await says(page, "to the feed again");
  await until("the feed has that line too", () => fed.evaluate('fed.lines.includes("to the feed again")'));
  ok("a feed over the browser's EventSource hears the room, before and after the restart");

  const eve = await visit("Eve", "undefined");
  await says(eve, "for a moment");
  const carl = await Chatter.enter(abide.address, "room", "Carl");
  await eve.goto("about:blank");
  await until("Eve is seen leaving at once", () => carl.messages().some(({ type, name }) => type === "left" && name === "Eve"), { deadlineMs: 5_000 });
  ok("a page that is left, without a storage, ends its session at once");
});

/** A page of the server's own origin that has the client. */
async function visit(name, storage) {
  const page = await stage.open();
  await page.route("**/_client/*", async (route) => {
    const file = new URL(new URL(route.request().url()).pathname.split("/").at(-1), BUILT);
    await route.fulfill({ contentType: "text/javascript", body: await readFile(file, "utf8") });
  });
  await page.goto(`http://${abide.address}/health`);
  await enter(page, name, storage);
  return page;
}

async function enter(page, name, storage) {
  await page.evaluate(`import("/_client/index.js").then(({ createClient }) => {
    globalThis.resets = [];
    globalThis.client = createClient({ url: location.origin });
    globalThis.session = client.object("chat", "room").session({ query: { name: "${name}" }, storage: ${storage} });
    session.on("reset", (event) => resets.push(event.reason));
  })`);
  await until(`${name} is in`, () => page.evaluate('session.state === "open"'));
}

async function says(page, text) {
  await page.evaluate(`session.send(${JSON.stringify(text)})`);
}

// A browser's EventSource on the `chat` namespace: what is said while it listens, while the server restarts and
// while it is gone comes once each and in order, with no code of ours in the page. Exits with 77 when no Chromium is installed.
import { Chatter } from "./lib/chatter.mjs";
import { expect, ok, until } from "./lib/check.mjs";
import { Stage } from "./lib/stage.mjs";

const ROOM = "listeners ✓";
const stage = new Stage();

let abide;

await stage.run(async () => {
  abide = stage.server;
  const page = await stage.open();
  // The page's own content security policy holds for the event source.
  await page.goto(`http://${abide.address}/`);
  await listen(page);
  await until("the object has welcomed it", async () => (await heard(page, "message")).some(({ type }) => type === "welcome"));
  expect((await heard(page, "welcome")).at(-1).resumed === false, "a first session is no resumed one");
  ok("a session opens, and the object welcomes it");

  let ada = await Chatter.enter(abide.address, ROOM, "Ada");
  ada.say("one\nof two lines");
  ada.say("é ✓ 👩‍🚀");
  await hears(page, ["one\nof two lines", "é ✓ 👩‍🚀"]);
  ok("lines arrive as they were said");

  await abide.drain();
  await until("the close is told", async () => (await heard(page, "close")).some(({ code }) => code === 1012));
  await abide.start();
  // Somebody is faster than the browser, which waits for a second at least.
  ada = await Chatter.enter(abide.address, ROOM, "Ada");
  ada.say("said while it was away");
  await hears(page, ["said while it was away"]);
  expect((await heard(page, "welcome")).at(-1).resumed === true, "the session did not outlive the restart");
  const welcomes = (await heard(page, "message")).filter(({ type }) => type === "welcome");
  expect(welcomes.length === 1, "the object welcomed a session that goes on");
  ok("EventSource resumes after a restart, and hears what was said meanwhile");

  await abide.kill();
  await abide.start();
  await until("a new session is told to be one", async () => (await heard(page, "welcome")).length === 3, { deadlineMs: 30_000 });
  const { resumed, reset } = (await heard(page, "welcome")).at(-1);
  expect(!resumed && reset === "expired", `after SIGKILL the welcome says ${resumed}, ${reset}`);
  ada = await Chatter.enter(abide.address, ROOM, "Ada");
  ada.say("last");
  await hears(page, ["last"]);
  const seqs = (await lines(page)).map(({ seq }) => seq);
  expect(seqs.every((seq, at) => at === 0 || seq > seqs[at - 1]), `lines are doubled or out of order: ${seqs}`);
  ok("after SIGKILL it gets a new session, as anybody would");

  const refused = await page.evaluate((path) => new Promise((resolve) => {
    const source = new EventSource(path);
    source.onerror = () => resolve(source.readyState);
  }), `/v1/chat/${encodeURIComponent(ROOM)}`);
  expect(refused === 2, `a refusal leaves EventSource in state ${refused}`);
  ok("a refusal ends EventSource for good");
  // The browser tells of the refusal.
}, { complaints: (complaint) => complaint.includes("400") });

/** Opens the source; what comes is kept in the page, by the event's name. */
async function listen(page) {
  await page.evaluate((path) => {
    window.heard = { message: [], welcome: [], close: [] };
    window.source = new EventSource(path);
    for (const name of Object.keys(window.heard)) {
      window.source.addEventListener(name, ({ data }) => window.heard[name].push(JSON.parse(data)));
    }
  }, `/v1/chat/${encodeURIComponent(ROOM)}?name=Eve`);
}

function heard(page, name) {
  return page.evaluate((name) => window.heard[name], name);
}

/** What was said, each line once: a welcome brings those a new session has missed. */
async function lines(page) {
  const all = (await heard(page, "message")).flatMap((message) => message.history ?? [message]).filter(({ seq }) => seq !== undefined);
  return all.filter(({ seq }, at) => all.findIndex((line) => line.seq === seq) === at);
}

async function hears(page, texts) {
  for (const text of texts) {
    await until(`the page hears ${JSON.stringify(text)}`, async () =>
      (await lines(page)).some((line) => line.text === text), { deadlineMs: 30_000 });
  }
}

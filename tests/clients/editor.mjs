// The editor example in real browsers: people write together, the server is killed, drained and comes
// back, the network is cut, an old version is restored. EDITOR_BIN names the example's program; without
// it one beside ABIDE_BIN is looked for. WINDOWS is how many people write (2). Exits with 77 when there is
// no Chromium or no program. SHOTS names a folder for screenshots.
import { Cable } from "./lib/cable.mjs";
import { expect, ok, until } from "./lib/check.mjs";
import { Stage } from "./lib/stage.mjs";

const windows = Number(process.env.WINDOWS ?? 2);
const NAMES = ["Ada Lovelace", "Bob Marley", "Cleo Vega", "Dan Okafor", "Eva Lind", "Finn Roy", "Gia Moss", "Hal Ito"];
const stage = new Stage("editor");
/** The cable of each page. */
const cables = new Map();

let editor;

await stage.run(async () => {
  editor = stage.server;
  const people = [];
  for (let at = 0; at < windows; at++) people.push(await visit(NAMES[at % NAMES.length], at % 2 ? "dark" : "light"));
  await writeTogether(people);
  await killed(people);
  await cutOff(people);
  await restored(people);
  await drained(people);
  await keyboard(people[0]);
  await narrow();
});

async function visit(name, colorScheme, options = {}) {
  const page = await stage.open({ colorScheme, ...options });
  const cable = await Cable.lay(editor.address);
  cables.set(page, cable);
  stage.atEnd(() => cable.remove());
  await page.addInitScript((name) => sessionStorage.setItem("abide.name", name), name);
  const answer = await page.goto(`http://${cable.address}/?doc=notes`);
  const policy = answer.headers()["content-security-policy"] ?? "";
  expect(/default-src 'self'/.test(policy) && !/unsafe/.test(policy), `the page's content security policy is "${policy}"`);
  await status(page, "Saved");
  return page;
}

async function writeTogether(people) {
  await type(people[0], "# Meeting notes\n\nWe write **together**, and `the server` keeps it.\n\n");
  await agree(people);
  for (const [at, page] of people.entries()) await type(page, `- point ${at} by ${NAMES[at]}\n`);
  await agree(people);
  const text = await textOf(people[0]);
  expect(people.every((_, at) => text.includes(`- point ${at} by`)), `somebody's words are missing:\n${text}`);
  for (const page of people) await status(page, "Saved");
  expect(await serverText() === text, "the server says something else than the windows");
  ok(`${windows} windows write one text, and each says that it is saved`);

  await until("each sees the others", async () => {
    const shown = await Promise.all(people.map((page) => page.locator("#people").textContent()));
    return shown.every((names) => NAMES.slice(0, windows).every((name) => names.includes(name)));
  });
  await people[0].locator("#editor .remote-caret", { hasText: NAMES[1] }).waitFor({ state: "attached" });
  ok("who is here is listed, and the others' carets carry their names");
  await stage.shot(people[0], "editor-light");
  await stage.shot(people[1], "editor-dark");
}

/** "Saved" must be true: what stands there when the power goes is there afterwards. */
async function killed(people) {
  await type(people[0], "saved before the kill\n");
  await status(people[0], "Saved");
  await editor.kill();
  for (const page of people) await status(page, "Offline");
  await type(people[0], "from Ada offline\n");
  await type(people[1], "from Bob offline\n");
  await status(people[0], "kept");
  await stage.shot(people[0], "editor-offline");
  // Everybody is gone when it comes back, so only the disk can tell.
  for (const page of people) await cut(page);
  await editor.start();
  const kept = await serverText();
  expect(kept.includes("saved before the kill"), "LOST: it was said to be saved");
  expect(!kept.includes("offline"), "the server knows what it was never told");
  for (const page of people) await mend(page);
  await agree(people);
  for (const page of people) await status(page, "Saved");
  const merged = await serverText();
  expect(merged.includes("from Ada offline") && merged.includes("from Bob offline"), `offline words are missing:\n${merged}`);
  ok("what was saved is there after SIGKILL, what was written meanwhile is merged");
}

async function cutOff(people) {
  const [ada, bob] = people;
  await cut(ada);
  await type(ada, "written in a tunnel\n");
  await type(bob, "written at the desk\n");
  await status(ada, /Offline, \d+ changes? kept/);
  await status(bob, "Saved");
  expect(!(await serverText()).includes("tunnel"), "the cable is not cut");
  await mend(ada);
  await agree(people);
  await status(ada, "Saved");
  const merged = await serverText();
  expect(merged.includes("in a tunnel") && merged.includes("at the desk"), `words are missing:\n${merged}`);
  ok("a window without a network says how much it keeps, and merges it");

  // The window itself goes while it is offline: its browser has kept what was written in it.
  await cut(ada);
  await type(ada, "written before the tab was closed\n");
  await status(ada, /Offline, \d+ changes? kept/);
  await until("the browser has stored it", () => ada.evaluate(stored, "written before the tab was closed"));
  const context = ada.context();
  await ada.close();
  await mend(ada, context);
  const again = await context.newPage();
  cables.set(again, cables.get(ada));
  people[0] = again;
  await again.goto(`http://${cables.get(ada).address}/?doc=notes`);
  await agree(people);
  await status(again, "Saved");
  expect((await serverText()).includes("before the tab was closed"), "LOST with the tab");
  ok("what was written offline outlives the window");
}

/** Whether one of the updates that y-indexeddb has stored has these words in it; runs in the page. */
async function stored(words) {
  const done = (request) => new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  const database = await done(indexedDB.open("abide/notes"));
  const updates = await done(database.transaction("updates").objectStore("updates").getAll());
  database.close();
  return updates.some((update) => new TextDecoder().decode(update).includes(words));
}

/** Nothing gets through any more, and the browser says so to the page, as it does in a tunnel. */
async function cut(page) {
  cables.get(page).cut();
  await page.context().setOffline(true);
}

async function mend(page, context = page.context()) {
  cables.get(page).mend();
  await context.setOffline(false);
}

async function restored(people) {
  const [ada, bob] = people;
  const before = await textOf(ada);
  await ada.locator("#history-toggle").click();
  await ada.locator("#version-name").fill("before the cut");
  await ada.locator("#version-name").press("Enter");
  await ada.locator(".version", { hasText: "before the cut" }).waitFor();
  await replaceAll(bob, "All of it is gone.\n");
  await agree(people);
  await status(bob, "Saved");
  await ada.locator(".version", { hasText: "before the cut" }).click();
  await ada.locator("#preview-text .new").first().waitFor();
  await ada.locator("#preview-text .gone", { hasText: "All of it is gone." }).waitFor();
  await stage.shot(ada, "editor-history");
  await ada.locator("#preview-restore").click();
  await until("the old text is back in every window", async () =>
    (await Promise.all(people.map(textOf))).every((text) => text === before));
  expect(await serverText() === before, "the server says something else");
  await ada.locator("#toast button", { hasText: "Undo" }).click();
  await until("it is undone in every window", async () =>
    (await Promise.all(people.map(textOf))).every((text) => text === "All of it is gone.\n"));
  await ada.locator("#history-toggle").click();
  ok("a named version is looked at, restored for everybody, and that is undone");
}

async function drained(people) {
  await type(people[1], "before the deploy\n");
  await editor.drain();
  await editor.start();
  await type(people[0], "after the deploy\n");
  await agree(people);
  for (const page of people) await status(page, "Saved");
  expect((await serverText()).includes("before the deploy"), "LOST over a drain");
  ok("a drain and a restart lose nothing");
}

/** Everything is reached with Tab alone. */
async function keyboard(page) {
  await page.locator("#doc-name").focus();
  for (const expected of ["share", "markdown", "json", "history-toggle", "editor"]) {
    await page.keyboard.press("Tab");
    const reached = await page.evaluate(() => document.activeElement?.id);
    expect(reached === expected, `Tab reaches #${reached} instead of #${expected}`);
  }
  const files = await Promise.all(["markdown", "json"].map(async (link) => {
    const answer = await fetch(await page.locator(`#${link}`).evaluate((anchor) => anchor.href));
    return [answer.headers.get("content-type"), await answer.text()];
  }));
  expect(files[0][0].startsWith("text/markdown") && files[0][1] === await textOf(page), `the Markdown is ${files[0]}`);
  expect(JSON.parse(files[1][1]).codemirror === files[0][1], `the JSON is ${files[1]}`);
  ok("the tools are reached by keyboard, and the exports are what the text says");
}

async function narrow() {
  const page = await visit("Ida", "light", { viewport: { width: 390, height: 844 } });
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  expect(overflow <= 0, `the page is ${overflow} px wider than a narrow window`);
  await stage.shot(page, "editor-narrow");
  ok("the page fits a narrow window");
}

async function type(page, text) {
  await page.locator("#editor .cm-content").click();
  await page.keyboard.press("ControlOrMeta+End");
  await page.keyboard.insertText(text);
}

async function replaceAll(page, text) {
  await page.locator("#editor .cm-content").click();
  await page.keyboard.press("ControlOrMeta+a");
  // Else Chromium keeps the style of what is replaced by an inline style, and complains about itself.
  await page.keyboard.press("Delete");
  await page.keyboard.insertText(text);
}

/** The text of a window, without the names at other people's carets. */
function textOf(page) {
  return page.locator("#editor .cm-content").evaluate((content) => {
    // Line by line: a copy of the whole would apply its style attribute, which the policy refuses.
    const lines = [...content.querySelectorAll(".cm-line")].map((line) => {
      const copy = line.cloneNode(true);
      copy.querySelectorAll(".remote-caret, .cm-placeholder").forEach((caret) => caret.remove());
      return copy.textContent;
    });
    return lines.join("\n");
  });
}

async function agree(people) {
  await until("all windows show the same text as the server", async () => {
    const texts = await Promise.all([...people.map(textOf), serverText()]);
    return texts.every((text) => text === texts[0]);
  }, { deadlineMs: 20_000, everyMs: 50 });
}

async function serverText() {
  const answer = await fetch(`http://${editor.address}/v1/document/notes/text`);
  return answer.json();
}

async function status(page, words) {
  await page.locator("#status", { hasText: words }).waitFor({ timeout: 20_000 });
}

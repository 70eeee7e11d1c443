// The landing page in a real browser: two people, one chat, one document, and a server that is
// killed twice. Exits with 77 when no Chromium is installed. SHOTS names a folder for screenshots.
import { expect, ok, until } from "./lib/check.mjs";
import { Stage } from "./lib/stage.mjs";

const stage = new Stage();
/** Of a screenshot. */
const WHOLE = { fullPage: true };

let abide;

await stage.run(async () => {
  abide = stage.server;
  let ada = await visit("Ada");
  let bob = await visit("Bob");
  await showsWhatRuns(ada);
  await callsFromThePage(ada);
  await chatAndDocumentAreShared(ada, bob);
  await stage.shot(ada, "light", WHOLE);

  await abide.kill();
  await isDown(ada);
  await stage.shot(ada, "server-down", WHOLE);
  // Both windows go before the server is back: nothing but its own disk can bring the text again.
  await Promise.all([ada.context().close(), bob.context().close()]);
  await abide.start();
  bob = await visit("Bob", { colorScheme: "dark" });
  await hasText(bob, "one line from Ada, one from Bob");
  await hasLine(bob, "hello from Ada");
  ok("after SIGKILL and restart a fresh window shows the document and the history");
  await stage.shot(bob, "dark", WHOLE);

  await abide.kill();
  await isDown(bob);
  await type(bob, ", one without a server");
  await abide.start();
  await isLive(bob);
  ada = await visit("Ada", { viewport: { width: 390, height: 844 } });
  await hasText(ada, "one line from Ada, one from Bob, one without a server");
  await say(bob, "back again");
  await hasLine(ada, "back again");
  const seqs = await bob.locator("#chat-log li.line").evaluateAll((lines) => lines.map((line) => line.dataset.seq));
  expect(new Set(seqs).size === seqs.length, "the history after the reconnect shows a line twice");
  ok("an open window reconnects by itself, and what was typed meanwhile arrives");
  await stage.shot(ada, "narrow", WHOLE);
  const overflow = await ada.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  expect(overflow <= 0, `the page is ${overflow} px wider than a narrow window`);
  ok("the page fits a narrow window");

});

async function visit(name, options) {
  const page = await stage.open(options);
  await page.addInitScript((name) => sessionStorage.setItem("abide.name", name), name);
  const answer = await page.goto(`http://${abide.address}/?doc=shared&room=shared`);
  const policy = answer.headers()["content-security-policy"] ?? "";
  expect(/default-src 'self'/.test(policy), `the page's content security policy is "${policy}"`);
  expect(!/unsafe/.test(policy), `the page's content security policy is not strict: "${policy}"`);
  await isLive(page);
  return page;
}

async function showsWhatRuns(page) {
  for (const namespace of ["chat", "counter", "document", "kv"]) {
    await page.locator(`.namespace[data-namespace="${namespace}"]`).waitFor();
  }
  const line = await page.locator('[data-namespace="counter"] [data-method="increment"] .command code').textContent();
  expect(line.includes(`http://${abide.address}/v1/counter/`), `the curl line has another origin: ${line}`);
  ok("every namespace is shown, with curl lines of the page's own origin");
}

async function callsFromThePage(page) {
  const method = page.locator('[data-namespace="counter"] [data-method="increment"]');
  await method.locator(".try").click();
  await method.locator("textarea").fill('{"by": 20}');
  const result = method.locator("output");
  for (const value of ["20", "40"]) {
    await method.getByRole("button", { name: "Call" }).click();
    await until(`the call from the page answers ${value}`, async () =>
      (await result.locator("pre").allTextContents()).join("") === value);
  }
  expect(await result.locator(".code").textContent() === "200", "the call shows another status than 200");
  expect(/\S/.test(await result.locator("[title=x-request-id]").textContent()), "the call shows no request id");
  ok("a call made from the page shows status, request id and result");
}

async function chatAndDocumentAreShared(ada, bob) {
  await until("each sees the other in the room", async () =>
    (await ada.locator("#chat-members").textContent()).includes("Bob") && (await bob.locator("#chat-members").textContent()).includes("Ada"));
  await say(ada, "hello from Ada");
  await hasLine(bob, "hello from Ada");
  await say(bob, "<b>hello</b> from Bob");
  await hasLine(ada, "<b>hello</b> from Bob");
  ok("a line said in one window appears in the other, as text");

  await type(ada, "one line from Ada");
  await hasText(bob, "one line from Ada");
  await type(bob, ", one from Bob");
  await hasText(ada, "one line from Ada, one from Bob");
  ok("text typed in one editor appears in the other");

  await until("each sees the other in the document", async () =>
    (await ada.locator("#editor-peers").textContent()).includes("Bob") && (await bob.locator("#editor-peers").textContent()).includes("Ada"));
  await ada.locator("#editor .remote-caret", { hasText: "Bob" }).waitFor({ state: "attached" });
  ok("the other person and their caret are shown in the document");
}

async function say(page, text) {
  await page.locator("#chat-input").fill(text);
  await page.locator("#chat-input").press("Enter");
}

async function type(page, text) {
  await page.locator("#editor .cm-content").click();
  await page.keyboard.press("ControlOrMeta+End");
  await page.keyboard.type(text);
}

async function hasLine(page, text) {
  await page.locator("#chat-log li.line .text").getByText(text, { exact: true }).first().waitFor();
}

async function hasText(page, text) {
  const content = page.locator("#editor .cm-line").first();
  await until(`the editor shows "${text}"`, async () => {
    // The names at other people's carets are no part of the text.
    const shown = await content.evaluate((line) => {
      const copy = line.cloneNode(true);
      copy.querySelectorAll(".remote-caret").forEach((caret) => caret.remove());
      return copy.textContent;
    });
    return shown === text;
  });
}

async function isLive(page) {
  await page.locator('#chat-status[data-state="live"]').waitFor();
  await page.locator('#editor-status[data-state="live"]').waitFor();
}

async function isDown(page) {
  await page.locator('#chat-status:not([data-state="live"])').waitFor();
  await page.locator('#editor-status:not([data-state="live"])').waitFor();
}

// Headless Chromium as the distribution ships it, driven by playwright-core.
import { access } from "node:fs/promises";
import { chromium } from "playwright-core";

const PLACES = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome", "/usr/bin/google-chrome-stable"];

const FLAGS = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
];

/** The browser, or null when none is installed. CHROMIUM names one that lies elsewhere. */
export async function launch() {
  const places = process.env.CHROMIUM ? [process.env.CHROMIUM] : PLACES;
  for (const executablePath of places) {
    const installed = await access(executablePath).then(() => true, () => false);
    if (installed) return chromium.launch({ executablePath, args: FLAGS });
  }
  return null;
}

/**
 * A window of its own (own storage, own caches) that notes in `complaints` what a page must not
 * do: throw, break the content security policy, reach for another host.
 */
export async function openWindow(browser, complaints, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, ...options });
  const page = await context.newPage();
  page.on("pageerror", (error) => complaints.push(`exception: ${error.stack}`));
  page.on("console", (message) => {
    // A refused or broken connection is logged by the browser itself: we kill the server on purpose.
    const expected = /net::ERR_|WebSocket connection to/.test(message.text());
    if (message.type() === "error" && !expected) complaints.push(`console: ${message.text()}`);
  });
  let host = null;
  page.on("request", (request) => {
    host ??= new URL(request.url()).host;
    if (new URL(request.url()).host !== host) complaints.push(`request to another host: ${request.url()}`);
  });
  return page;
}

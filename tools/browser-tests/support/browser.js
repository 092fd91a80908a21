// Chromium, and pages that must not report errors.

import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];
const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

export const widths = { wide: { width: 1280, height: 900 }, narrow: { width: 390, height: 844 } };

/** A browser with a profile of its own. */
export async function startBrowser(options = {}) {
    const profile = await mkdtemp(join(tmpdir(), "stockade-chromium-"));
    const context = await chromium.launchPersistentContext(profile, {
        executablePath: "/usr/bin/chromium",
        args: FLAGS,
        viewport: widths.wide,
        reducedMotion: "reduce",
        permissions: ["clipboard-read", "clipboard-write"],
        ...options,
    });
    context.setDefaultTimeout(15_000);
    const stop = async () => {
        await context.close();
        await rm(profile, { recursive: true, force: true });
    };
    return { context, stop };
}

/**
 * A page whose problems are collected: errors of the console, exceptions, violations of the
 * content security policy, and requests to other origins than the allowed ones.
 */
export async function openPage(context, origins) {
    const page = await context.newPage();
    const problems = [];
    page.on("console", (message) => {
        // Chromium reports each response with an error status; the page shows those itself.
        const isStatus = message.text().startsWith("Failed to load resource");
        if (["error", "warning"].includes(message.type()) && !isStatus) problems.push(message.text());
    });
    page.on("pageerror", (error) => problems.push(error.stack));
    page.on("dialog", (dialog) => {
        problems.push(`dialog: ${dialog.message()}`);
        dialog.dismiss();
    });
    page.on("request", (request) => {
        const { protocol, origin } = new URL(request.url());
        if (protocol.startsWith("http") && !origins.includes(origin)) problems.push(`request to ${request.url()}`);
    });
    return { page, problems };
}

const source = await readFile(AXE, "utf8");

/** Fails if axe finds a violation, or if something is wider than the page. */
export async function checkAccessible(page, name) {
    await page.evaluate(source);
    const { violations } = await page.evaluate((tags) => window.axe.run(document, { runOnly: tags, resultTypes: ["violations"] }), TAGS);
    const found = violations.map(({ id, help, nodes }) => `${id}: ${help}\n  ${nodes.map(({ html, failureSummary }) => `${html}\n  ${failureSummary}`).join("\n  ")}`);
    assert.deepEqual(found, [], `axe on ${name}`);
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.ok(overflow <= 0, `${name} is ${overflow} px wider than the window`);
}

/** Stores a screenshot of the whole page. */
export async function screenshot(page, name) {
    const folder = process.env.BROWSER_TESTS_OUT ?? "target/browser-tests";
    await mkdir(folder, { recursive: true });
    await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true, animations: "disabled" });
}

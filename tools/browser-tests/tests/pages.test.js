// All pages with data, in both themes and at two widths: axe, the width, and screenshots. The data
// contains strings that would run if they became markup.

import assert from "node:assert/strict";
import { after, before } from "node:test";

import { checkAccessible, openPage, screenshot, startBrowser, widths } from "../support/browser.js";
import { everywhere } from "../support/everywhere.js";
import { bytesOf } from "../support/picture.js";
import { startServer } from "../support/server.js";
import { ask, closeMessages, eventually, openDialog, sequence, setUp, settled, visit } from "../support/steps.js";

const HOSTILE = `<img src=x onerror="alert(1)"><svg onload=alert(2)>`;
const PAGES = ["overview", "playground", "keys", "keys/billing", "bans", "budgets", "tokens", "audit", "models", "settings", "users", "account", "nowhere"];
const DIALOGS = [
    ["keys", "Create key"],
    ["keys/billing", "Edit"],
    ["keys/billing", "Rotate"],
    ["keys/billing", "Revoke"],
    ["bans", "Add ban"],
    ["audit", "POST /v1/chat/completions"],
    ["settings", "Check a draft"],
    ["settings", "Import"],
    ["budgets", "Add budget"],
    ["users", "Add user"],
    ["users", "Add role"],
    ["account", "Create token"],
    ["account", "Set up one-time codes"],
];

const test = sequence();
const secrets = {};
let server, browser, page, problems;

before(async () => {
    server = await startServer();
    browser = await startBrowser();
    ({ page, problems } = await openPage(browser.context, [server.origin]));
});

after(async () => {
    await browser?.stop();
    await server?.stop();
});

test("setup", async () => {
    await page.goto(server.link);
    await page.getByLabel("Password", { exact: true }).waitFor();
    await everywhere(page, "setup");
    await setUp(page, server.link);
});

test("empty states name the next step", async () => {
    for (const name of ["keys?search=nothing", "bans", "budgets", "tokens", "audit?search=nothing", "playground"]) {
        await visit(page, name);
        await everywhere(page, `empty ${name.split("?")[0]}`);
    }
});

test("data of several kinds", async () => {
    for (const [id, name] of [["billing", "Billing service"], ["search", "Search index"], ["hostile", HOSTILE]]) {
        await visit(page, "keys");
        const dialog = await openDialog(page, "Create key");
        await dialog.getByLabel("Name").fill(name);
        await dialog.getByLabel("Owner").fill(id === "hostile" ? HOSTILE : "ops@example.com");
        await dialog.getByText("Limits and more").click();
        await dialog.getByLabel("Team").fill("core");
        await dialog.getByLabel("Id").fill(id);
        if (id === "search") await dialog.getByLabel("Requests per minute").fill("600");
        await dialog.getByRole("button", { name: "Create key" }).click();
        secrets[id] = await dialog.getByRole("group", { name: "Secret" }).textContent();
        if (id === "hostile") await everywhere(page, "secret");
        await dialog.getByRole("button", { name: "Done" }).click();
    }
    const agent = { "user-agent": HOSTILE };
    for (const text of ["hello", "what is a stockade?", HOSTILE]) {
        assert.equal((await ask(server, secrets.billing, text)).status, 200);
        assert.equal((await ask(server, secrets.search, text, { headers: agent })).status, 200);
    }
    assert.equal((await ask(server, "sk_unknown_guess", "hello", { headers: agent })).status, 401);
    assert.equal((await ask(server, secrets.hostile, "hello", { model: HOSTILE, headers: agent })).status, 404);

    for (const [client, reason, duration] of [["203.0.113.7", "scans for /.env", "1 hour"], ["key:search", HOSTILE, "Permanent"], ["2001:db8:12::/48", "floods of guesses", "7 days"]]) {
        await visit(page, "bans");
        const dialog = await openDialog(page, "Add ban");
        await dialog.getByLabel("Client").fill(client);
        await dialog.getByLabel("Reason").fill(reason);
        await dialog.getByLabel("Duration").selectOption(duration);
        await dialog.getByRole("button", { name: "Add ban" }).click();
        await dialog.waitFor({ state: "hidden" });
    }
    assert.equal((await ask(server, secrets.search, "hello")).status, 403);
    await closeMessages(page);
});

test("all pages, with the strings of clients as text", async () => {
    await visit(page, "audit?search=onerror");
    await eventually(async () => {
        await page.reload();
        await settled(page);
        assert.ok((await page.locator("tbody tr").count()) > 0);
    });
    for (const name of PAGES) {
        await visit(page, name);
        await everywhere(page, name);
        assert.equal(await page.locator("img[src=x], main svg[onload]").count(), 0, "no markup from clients");
    }
    await visit(page, "keys");
    await page.getByText(HOSTILE).first().waitFor();
    await visit(page, "bans");
    await page.getByText(HOSTILE).first().waitFor();
});

test("a conversation with a picture", async () => {
    await visit(page, "playground");
    await page.setInputFiles("input[type=file]", { name: `it's ${HOSTILE.replaceAll("/", "")}.png`, mimeType: "image/png", buffer: bytesOf(server.picture) });
    await page.getByLabel("Key", { exact: true }).fill(secrets.billing);
    await page.locator("summary", { hasText: "Options" }).click();
    await page.getByLabel("Temperature").fill("0");
    await page.getByLabel("Question").fill("Click the Submit button");
    await page.keyboard.press("Enter");
    await page.getByRole("img", { name: /^Clicks at / }).waitFor();
    await page.getByRole("button", { name: "Python" }).click();
    await everywhere(page, "conversation");
});

test("dialogs", async () => {
    for (const [name, button] of DIALOGS) {
        await visit(page, name);
        await openDialog(page, button);
        await everywhere(page, `${name} ${button}`);
        await page.keyboard.press("Escape");
        await page.getByRole("dialog").waitFor({ state: "hidden" });
    }
});

test("the menu of narrow screens works with the keyboard", async () => {
    await page.setViewportSize(widths.narrow);
    await visit(page, "keys");
    const menu = page.getByRole("button", { name: "Open the menu" });
    await menu.press("Enter");
    assert.equal(await menu.getAttribute("aria-expanded"), "true");
    await screenshot(page, "menu-light-narrow");
    await checkAccessible(page, "menu");
    await page.keyboard.press("Escape");
    assert.ok(await menu.evaluate((node) => node === document.activeElement));
    await page.setViewportSize(widths.wide);
});

test("the theme is chosen, and kept", async () => {
    await page.emulateMedia({ colorScheme: "light" });
    const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const light = await background();
    await page.getByRole("button", { name: "Dark theme" }).click();
    const dark = await background();
    assert.notEqual(dark, light);
    await page.reload();
    await settled(page);
    assert.equal(await background(), dark);
    await page.getByRole("button", { name: "Theme of the system" }).click();
    assert.equal(await background(), light);
});

test("logout leaves no data behind", async () => {
    await visit(page, "keys");
    await page.getByRole("button", { name: "Log out" }).click();
    await page.getByText("You are logged out.").waitFor();
    await everywhere(page, "login");
    await page.goBack();
    await page.getByLabel("User name").waitFor();
    assert.equal(await page.getByText("billing").count(), 0);
});

test("the browser reports no problem", () => assert.deepEqual(problems, []));

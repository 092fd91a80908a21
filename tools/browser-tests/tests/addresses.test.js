// Addresses that an attacker sends (M10), and a wrong login.

import assert from "node:assert/strict";
import { after, before } from "node:test";

import { openPage, startBrowser } from "../support/browser.js";
import { startServer } from "../support/server.js";
import { password, sequence, setUp, settled } from "../support/steps.js";

const test = sequence();
let server, browser, page, problems;

before(async () => {
    server = await startServer();
    browser = await startBrowser();
    ({ page, problems } = await openPage(browser.context, [server.origin]));
    await setUp(page, server.link);
});

after(async () => {
    await browser?.stop();
    await server?.stop();
});

test("M10: no address leads to another site", async () => {
    for (const hash of ["#//evil.example", "#/\\evil.example", "#/login?next=//evil.example", "#javascript:alert(1)", "#/keys/%2e%2e%2f%2e%2e", "#/__proto__", "#/constructor", "#/%"]) {
        await page.goto(`${server.origin}/admin/${hash}`);
        await page.reload();
        await settled(page);
        assert.equal(new URL(page.url()).origin, server.origin, hash);
    }
    for (const path of ["/admin/?next=//evil.example", "/admin/?next=/%5Cevil.example"]) {
        const response = await fetch(server.origin + path, { redirect: "manual" });
        assert.equal(response.status, 400, path);
    }
});

test("a wrong password is refused with a message, and the login keeps the page", async () => {
    await page.goto(`${server.origin}/admin/#/models`);
    await settled(page);
    await page.getByRole("button", { name: "Log out" }).click();
    await page.getByLabel("User name").fill("admin");
    await page.getByLabel("Password", { exact: true }).fill("not the password");
    await page.keyboard.press("Enter");
    await page.getByRole("alert").waitFor();
    await page.getByLabel("Password", { exact: true }).fill(password);
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Models" }).waitFor();
});

test("a session that ends elsewhere leads to the login", async () => {
    await browser.context.clearCookies();
    await page.goto(`${server.origin}/admin/#/users`);
    await page.getByText("Your session has ended.").waitFor();
});

test("the browser reports no problem", () => assert.deepEqual(problems, []));

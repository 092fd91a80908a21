// A login at an identity provider, which runs in this process.

import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before } from "node:test";

import { checkAccessible, openPage, screenshot, startBrowser } from "../support/browser.js";
import { client, startProvider } from "../support/provider.js";
import { startServer } from "../support/server.js";
import { sequence, setUp, settled, visit } from "../support/steps.js";

const test = sequence();
let provider, server, browser, page, problems;

before(async () => {
    provider = await startProvider({ zoe: { groups: ["gateway-admins"] }, sam: { groups: ["staff"] }, guest: { groups: [] } });
    server = await startServer({ settings });
    browser = await startBrowser();
    ({ page, problems } = await openPage(browser.context, [server.origin, provider.issuer]));
    await setUp(page, server.link);
    await page.getByRole("button", { name: "Log out", exact: true }).click();
    await page.getByText("You are logged out.").waitFor();
});

after(async () => {
    await browser?.stop();
    await server?.stop();
    await provider?.stop();
});

async function settings({ origin, folder }) {
    await writeFile(join(folder, "oidc-secret.txt"), client.secret);
    return `
[admin.oidc]
issuer = "${provider.issuer}"
client_id = "${client.id}"
client_secret_file = "oidc-secret.txt"
public_url = "${origin}"
name = "Example"
role_claim = "groups"
roles = { staff = "viewer", gateway-admins = "admin" }
`;
}

/** Goes to the provider and comes back. */
async function logInAs(name) {
    await page.getByRole("link", { name: "Log in with Example" }).click();
    await page.getByRole("button", { name: `Continue as ${name}` }).click();
}

test("the login offers the provider", async () => {
    await page.getByRole("link", { name: "Log in with Example" }).waitFor();
    await checkAccessible(page, "login with a provider");
    await screenshot(page, "login-provider-light-wide");
});

test("a user without a role is refused with a reason", async () => {
    await logInAs("guest");
    await page.getByRole("link", { name: "Back to the login" }).waitFor();
    await checkAccessible(page, "refused login");
    await screenshot(page, "login-refused-light-wide");
    await page.getByRole("link", { name: "Back to the login" }).click();
    await page.getByRole("link", { name: "Log in with Example" }).waitFor();
});

test("the groups of a user become the role", async () => {
    await logInAs("zoe");
    await page.getByRole("heading", { name: "Overview" }).waitFor();
    await visit(page, "users");
    const row = page.getByRole("row", { name: /zoe/ });
    assert.match(await row.textContent(), /admin/);
    await page.getByRole("button", { name: "Log out", exact: true }).click();
    await page.getByText("You are logged out.").waitFor();
});

test("another user sees the pages of the own role only", async () => {
    await logInAs("sam");
    await page.getByRole("heading", { name: "Overview" }).waitFor();
    await settled(page);
    assert.equal(await page.getByRole("link", { name: "Users and roles" }).count(), 0);
    await visit(page, "users");
    await page.getByRole("heading", { name: "No access" }).waitFor();
});

test("a callback that no login began is refused", async () => {
    await browser.context.clearCookies();
    await page.goto(`${server.origin}/admin/oidc/callback?code=stolen&state=forged`);
    await page.getByRole("link", { name: "Back to the login" }).waitFor();
});

test("the browser reports no problem", () => assert.deepEqual(problems, []));

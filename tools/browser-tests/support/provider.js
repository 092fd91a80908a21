// An OpenID Connect provider with a login page of its own: discovery, keys, the code flow with PKCE.

import assert from "node:assert/strict";
import { createHash, randomUUID } from "node:crypto";
import { createServer } from "node:http";

import { signingKey } from "./jwt.js";

export const client = { id: "stockade", secret: "s3cret: with a colon" };

/** Starts a provider; `users` has the claims of each user by name. */
export async function startProvider(users) {
    const key = signingKey();
    const grants = new Map();
    let issuer = "";

    const discovery = () => ({
        issuer,
        authorization_endpoint: `${issuer}/authorize`,
        token_endpoint: `${issuer}/token`,
        jwks_uri: `${issuer}/keys`,
        response_types_supported: ["code"],
        subject_types_supported: ["public"],
        id_token_signing_alg_values_supported: ["ES256"],
        authorization_response_iss_parameter_supported: true,
    });

    /** The login page: a button for each user. */
    function authorize(query, response) {
        assert.equal(query.get("response_type"), "code");
        assert.equal(query.get("client_id"), client.id);
        assert.equal(query.get("code_challenge_method"), "S256");
        const buttons = Object.keys(users).map((name) => `<button name="user" value="${name}">Continue as ${name}</button>`);
        const hidden = [...query].map(([name, value]) => `<input type="hidden" name="${name}" value="${encodeURIComponent(value)}">`);
        response.setHeader("content-type", "text/html");
        response.end(`<!doctype html><html lang="en"><title>Provider</title><form action="/login">${hidden.join("")}${buttons.join("")}</form></html>`);
    }

    /** Sends the browser back with a code. */
    function login(query, response) {
        const value = (name) => decodeURIComponent(query.get(name));
        const code = randomUUID();
        const redirect = value("redirect_uri");
        grants.set(code, { user: query.get("user"), nonce: value("nonce"), challenge: value("code_challenge"), redirect });
        response.writeHead(302, { location: `${redirect}?${new URLSearchParams({ code, state: value("state"), iss: issuer })}` });
        response.end();
    }

    /** Exchanges a code once, for the client that knows its secret and the verifier. */
    function token(form, authorization) {
        const grant = grants.get(form.get("code"));
        grants.delete(form.get("code"));
        const form_encoded = (text) => new URLSearchParams({ text }).toString().slice("text=".length);
        const expected = Buffer.from(`${form_encoded(client.id)}:${form_encoded(client.secret)}`).toString("base64");
        if (authorization !== `Basic ${expected}`) return { error: "invalid_client" };
        const challenge = createHash("sha256").update(form.get("code_verifier") ?? "").digest("base64url");
        if (!grant || grant.challenge !== challenge || grant.redirect !== form.get("redirect_uri")) return { error: "invalid_grant" };
        const now = Math.floor(Date.now() / 1000);
        const claims = { iss: issuer, aud: client.id, sub: `sub-${grant.user}`, iat: now, exp: now + 300, nonce: grant.nonce, preferred_username: grant.user, ...users[grant.user] };
        return { access_token: randomUUID(), token_type: "Bearer", id_token: key.issue(claims) };
    }

    const server = createServer(async (request, response) => {
        const url = new URL(request.url, issuer);
        if (url.pathname === "/authorize") return authorize(url.searchParams, response);
        if (url.pathname === "/login") return login(url.searchParams, response);
        let body = "";
        for await (const part of request) body += part;
        const answers = {
            "/.well-known/openid-configuration": discovery,
            "/keys": () => ({ keys: [key.jwk] }),
            "/token": () => token(new URLSearchParams(body), request.headers.authorization),
        };
        const answer = answers[url.pathname]?.();
        response.writeHead(!answer ? 404 : answer.error ? 400 : 200, { "content-type": "application/json" });
        return response.end(JSON.stringify(answer ?? {}));
    });
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    issuer = `http://127.0.0.1:${server.address().port}`;
    const stop = () =>
        new Promise((resolve) => {
            server.close(resolve);
            server.closeAllConnections();
        });
    return { issuer, stop };
}

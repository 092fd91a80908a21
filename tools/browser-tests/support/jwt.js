// Signed tokens, as an identity provider issues them (RFC 7519), with keys of their own.

import { generateKeyPairSync, randomUUID, sign } from "node:crypto";

const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

/** A key pair for ES256: its public key as PEM and as a JWK, and the function that signs claims. */
export function signingKey(type = "JWT") {
    const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const kid = randomUUID();
    return {
        pem: publicKey.export({ type: "spki", format: "pem" }),
        jwk: { ...publicKey.export({ format: "jwk" }), kid, alg: "ES256", use: "sig" },
        issue(claims) {
            const text = `${encode({ alg: "ES256", typ: type, kid })}.${encode(claims)}`;
            const signature = sign("sha256", Buffer.from(text), { key: privateKey, dsaEncoding: "ieee-p1363" });
            return `${text}.${signature.toString("base64url")}`;
        },
    };
}
